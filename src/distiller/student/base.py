"""What every student gives: after training on a teacher's answers, a distribution over the options of any query."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import Component, DistillerError
from distiller.rationale.reasons import Reasons, reasons_of
from distiller.store import Store
from distiller.task import Task
from distiller.trainer import Place, Trainer


@dataclass(frozen=True)
class Lesson:
    """One task with the answers of a teacher to some of its queries, as targets to learn.

    query_ids: the queries answered, ascending, [n_queries]. target: probabilities of all options, "none" first in each
    query, [n_pairs + n_queries], in the order of the task's candidate set. reasons: what the teacher said about the options,
    by query id, perhaps of more queries than these; nothing of queries that are not there.
    """

    task: Task
    query_ids: np.ndarray
    target: np.ndarray
    reasons: dict[int, Reasons] = field(default_factory=dict)

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
        return cls(task, answers.query_ids, ragged.with_none(pairs, none, offsets), reasons_of(answers))

    def part(self, chosen: np.ndarray) -> "Lesson":
        """The same about some of the queries only. chosen: whether a query stays, [n_queries]."""
        rows, _ = ragged.rows_within(self.option_offsets, np.flatnonzero(chosen))
        return Lesson(self.task, self.query_ids[chosen], self.target[rows], self.reasons)

    @property
    def option_offsets(self) -> np.ndarray:
        """Where the options of each query begin in `target`, and the last end, [n_queries + 1]."""
        return ragged.option_offsets(self.task.candidates.of(self.query_ids)[1])


def split(lessons: list[Lesson], share: float, seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """The lessons in two parts, by query: what is learnt, and a share that is held out, at least one query of all lessons.

    Raises:
        DistillerError: there are fewer than two queries in all.
    """
    sizes = [len(lesson.query_ids) for lesson in lessons]
    total = sum(sizes)
    if total < 2:
        raise DistillerError(
            f"there are readable answers to {total} queries, and a student needs two to learn from one and be judged by the "
            "other; raise selector.budget"
        )
    held = np.zeros(total, dtype=bool)
    held[np.random.default_rng(seed).permutation(total)[: min(max(1, round(share * total)), total - 1)]] = True
    parts: tuple[list[Lesson], list[Lesson]] = ([], [])
    for lesson, own in zip(lessons, np.split(held, np.cumsum(sizes)[:-1]), strict=True):
        for part, mask in zip(parts, (~own, own), strict=True):
            if mask.any():
                part.append(lesson.part(mask))
    return parts


class Student(Component):
    """A small model that imitates a teacher."""

    def label(self) -> str:
        """The name of the student in tables and in the `source` column."""
        return type(self).__name__.lower()

    def ready(self, store: Store) -> None:
        """Find out within moments, before anything else is done, whether the student can be trained here at all.

        Raises:
            DistillerError: a library, weights or a device is missing; one sentence with the way out.
        """

    def learner(self) -> "Student":
        """The student as far as its training goes: what concerns only its answers is as in all others, in keys of checkpoints."""
        return self

    def refuses(self, trainer: Trainer) -> str | None:
        """Why it cannot be trained in the way of this trainer, in one sentence, or None if it can."""
        if trainer.strategy == "single":
            return None
        return (
            f"trainer.strategy={trainer.strategy} trains in several processes, and {self.label()} is trained in one within "
            "seconds to minutes; set trainer=cpu or trainer=gpu"
        )

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


@dataclass(frozen=True)
class Shared:
    """One process's rows of every batch: of rows 0, 1, ... each process takes the next in turn.

    whole: batches of a student; a dataclass whose `groups` has a sequence of rows for each.
    """

    whole: Any
    place: Place

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import torch

        sizes = [len(group) for group in self.whole.groups]
        starts = [self.place.rank if self.place.rank < size else 0 for size in sizes]
        own = replace(
            self.whole,
            groups=[group[i :: self.place.ranks] for group, i in zip(self.whole.groups, starts, strict=True)],
        )
        for batch, size, start in zip(own, sizes, starts, strict=True):
            row = torch.arange(start, size, self.place.ranks)
            share = torch.full(row.shape, 1 / size if start == self.place.rank else 0.0)
            yield {**batch, "row": row, "share": share}


@dataclass(frozen=True)
class Classroom:
    """A differentiable student with everything to teach it, whatever it is made of.

    model: a torch module; `model.log_probabilities(batch)` gives natural log-probabilities of the options, float32
      [batch, options], "none" first, -inf where a query has fewer options, with gradients where these are switched on. They
      sum to 1, or to less where the model could also say something that is no option (a language model).
    batches: gives the training batches of an epoch, one after the other; each is a dict of tensors on the CPU that
      `log_probabilities` takes, and `target` [batch, options], probabilities that sum to 1, 0 where an option does not exist.
      What an epoch holds, and in which order, follows from the seed and the number of the epoch (from 0) alone.
    validation: gives the batches of the held-out queries, never trained on, always the same; the epoch with the lowest
      loss on them is kept.
    steps: optimisation steps that all epochs take together, about; the learning rate rises over the first `warmup`
      (a share, [0, 1)) of them and then falls linearly to 0.
    save: writes the trained model, as it stands, into a folder, and returns facts.
    place: of this process among those that share the batches out among them, see `at`; `batches` and `validation` must then
      give what `Shared` takes.
    """

    model: Any
    batches: Callable[[int], Iterable[dict[str, Any]]]
    validation: Callable[[], Iterable[dict[str, Any]]]
    epochs: int
    steps: int
    learning_rate: float
    weight_decay: float
    warmup: float
    seed: int
    save: Callable[[Path], dict[str, Any]]
    place: Place = field(default_factory=Place)

    def at(self, place: Place) -> "Classroom":
        """What one of the processes that train together is taught: its rows of every batch, at least one.

        Each batch also has `row` [batch], the places of its rows in the whole batch, and `share` [batch], their weights in
        its mean: one over the number of all rows, or 0 where a row is another process's and only keeps this one busy.
        """
        if place.ranks == 1:
            return self
        batches, validation = self.batches, self.validation
        return replace(
            self,
            batches=lambda epoch: Shared(batches(epoch), place),
            validation=lambda: Shared(validation(), place),
            place=place,
        )


class GradientStudent(Student):
    """A student whose distribution over the options is a differentiable function of weights in torch.

    SHARDS: whether processes can share its weights out among them, layer by layer.
    """

    SHARDS: ClassVar[bool] = False

    seed: int

    def refuses(self, trainer: Trainer) -> str | None:
        if trainer.strategy != "fsdp" or self.SHARDS:
            return None
        return (
            f"trainer.strategy=fsdp shares out the weights of a language model, and {self.label()} is none and fits on every "
            "device; set trainer=ddp"
        )

    def classroom(self, lessons: list[Lesson], trainer: Trainer, threads: int) -> Classroom:
        """The model at its start, and what it is taught of these lessons; torch's threads and seed are set by the caller.

        Raises:
            DistillerError: there are fewer than two queries to learn from, so that none can be held out.
        """
        raise NotImplementedError
