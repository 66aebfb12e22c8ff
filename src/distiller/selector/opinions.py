"""What a teacher thinks of every query of a pool, as distributions over the options."""

from collections.abc import Mapping

import numpy as np

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, uses_gold
from distiller.student.base import Lesson
from distiller.task import Task
from distiller.teacher.base import Teacher


def without_gold(sources: Mapping[str, Teacher]) -> None:
    """Raise ValueError if one of the sources, by field name, reads gold matches."""
    for name, source in sources.items():
        if uses_gold(source):
            raise ValueError(f"{name}={source.label()} reads gold matches, and selection must not; choose another")


def answered(task: Task, pool: np.ndarray, source: Teacher) -> AnswerSet:
    """The source's answers to all queries of `pool`.

    Raises:
        DistillerError: it answered not all of them, or was shown other candidates.
    """
    answers = source.answers(task, pool)
    if not np.array_equal(answers.query_ids, pool):
        n = len(np.intersect1d(answers.query_ids, pool))
        raise DistillerError(
            f"{source.label()} answered {n} of the {len(pool)} queries of {task.name} to select from; "
            "a selector needs a source that answers all of them, such as teacher@selector.source=zeroer"
        )
    _check_options(task, answers, source, *task.candidates.of(pool))
    return answers


def probabilities(task: Task, answers: AnswerSet, soft: bool) -> np.ndarray:
    """Probabilities of all options of the queries answered, "none" first in each, [n_pairs + n_queries].

    Candidates are in the task's order. soft: the distribution where the source gives one, else 1 for its choice.
    A reply that could not be read is spread evenly.
    """
    begins = ragged.option_offsets(answers.offsets)
    sizes = np.diff(begins)
    probability = 1 / np.repeat(sizes, sizes)
    lesson = Lesson.of(task, answers, soft=soft)
    entries, _ = ragged.rows_within(begins, np.searchsorted(answers.query_ids, lesson.query_ids))
    probability[entries] = lesson.target
    return probability


def _check_options(task: Task, answers: AnswerSet, source: Teacher, rows: np.ndarray, offsets: np.ndarray) -> None:
    shown, owner = answers.option_ids, ragged.owner(answers.offsets)
    listed, query = task.candidates.candidate_ids[rows], ragged.owner(offsets)
    same = np.array_equal(answers.offsets, offsets)
    if not (same and np.array_equal(shown[np.lexsort((shown, owner))], listed[np.lexsort((listed, query))])):
        raise DistillerError(
            f"{source.label()} was shown other candidates of {task.name} than the blocker gives; set blocker=recorded"
        )


def entropy(probability: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Entropy of each segment of `begins` in nats, [n_segments], from 0 to the logarithm of its size."""
    positive = np.where(probability > 0, probability, 1.0)
    return ragged.segment_sum(-positive * np.log(positive), begins)
