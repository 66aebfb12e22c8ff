"""What every student gives: after training on a teacher's answers, a distribution over the options of any query."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import Component, DistillerError
from distiller.task import Task
from distiller.trainer import Trainer


@dataclass(frozen=True)
class Lesson:
    """One task with the answers of a teacher to some of its queries, as targets to learn.

    query_ids: the queries answered, ascending, [n_queries]. target: probabilities of all options, "none" first in each
    query, [n_pairs + n_queries], in the order of the task's candidate set.
    """

    task: Task
    query_ids: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, task: Task, answers: AnswerSet, soft: bool) -> "Lesson":
        """What can be learnt from these answers; replies that could not be read are left out.

        soft: learn the teacher's distribution where it gives one, instead of its choice alone.
        """
        answers = answers.of(answers.query_ids[answers.choice >= 0])
        rows, offsets = task.candidates.of(answers.query_ids)
        if soft:
            probability = answers.distribution
        else:
            probability = np.zeros(len(answers.option_ids) + len(answers.query_ids))
            probability[ragged.option_offsets(answers.offsets)[:-1] + answers.choice] = 1.0
        # The teacher may have seen the candidates in another order than the candidate set has.
        given = np.lexsort((answers.option_ids, ragged.owner(answers.offsets)))
        wanted = np.lexsort((task.candidates.candidate_ids[rows], ragged.owner(offsets)))
        pairs = np.empty(len(rows))
        pairs[wanted] = ragged.without_none(probability, answers.offsets)[given]
        none = probability[ragged.option_offsets(answers.offsets)[:-1]]
        return cls(task, answers.query_ids, ragged.with_none(pairs, none, offsets))


class Student(Component):
    """A small model that imitates a teacher."""

    def label(self) -> str:
        """The name of the student in tables and in the `source` column."""
        return type(self).__name__.lower()

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        """The student's answers with their distributions to these queries (ids ascending, all with candidates)."""
        raise NotImplementedError


class DirectStudent(Student):
    """A student that minimises the cross-entropy against its targets by a method of its own, without gradients of ours."""

    def fit(self, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path) -> dict[str, Any]:
        """Train on all lessons together, write the model into `folder`, return facts about the training."""
        raise NotImplementedError


def pooled(lessons: list[Lesson]) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Features of all lessons' pairs under one another.

    Returns names, matrix [n_pairs, n_features], offsets [n_queries + 1] and target [n_pairs + n_queries].

    Raises:
        DistillerError: no teacher answer is left to learn from.
    """
    blocks, sizes = [], []
    names: list[str] = []
    for lesson in lessons:
        rows, offsets = lesson.task.candidates.of(lesson.query_ids)
        names = lesson.task.features.names
        blocks.append(lesson.task.features.matrix[rows])
        sizes.append(np.diff(offsets))
    offsets = np.r_[0, np.cumsum(np.concatenate(sizes))]
    if len(offsets) == 1:
        raise DistillerError("the teacher gave no answer that could be read, so there is nothing to learn from")
    return names, np.concatenate(blocks), offsets, np.concatenate([lesson.target for lesson in lessons])


@dataclass(frozen=True)
class Schooling:
    """What an algorithm needs to train a network.

    network: maps (features [batch, k, inputs], present [batch, k]) to logits [members, batch, k].
    tensors: features, present, target [n_queries, k + 1] and fold [n_queries], one row per query.
    save: writes the trained network into a folder, given held-out logits [n_queries, k]; returns facts.
    """

    network: Any
    tensors: dict[str, Any]
    save: Callable[[np.ndarray, Path], dict[str, Any]]


class NetworkStudent(Student):
    """A student with a torch network, trained by the Lightning module of the algorithm."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int

    def school(self, lessons: list[Lesson]) -> Schooling:
        """A fresh network with everything to train it on."""
        raise NotImplementedError
