"""The gold matches as a teacher: the upper bound of what labels can give."""

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, component
from distiller.task import Task
from distiller.teacher.base import Teacher


@component
class Gold(Teacher):
    """Answers with the gold match where it is among the candidates, else "none". Reads gold, as its name says.

    A query with several gold matches among its candidates is answered with the first of them shown.
    """

    USES_GOLD = True

    def label(self) -> str:
        return "gold"

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        if gold is None:
            raise DistillerError(f"teacher=gold needs gold matches, and {task.name} has none; choose another teacher")
        rows, offsets = task.candidates.of(query_ids)
        partners: dict[int, set[int]] = {}
        for query, candidate in zip(gold["query_id"].to_pylist(), gold["candidate_id"].to_pylist(), strict=True):
            partners.setdefault(query, set()).add(candidate)
        options = task.candidates.candidate_ids[rows]
        asked = np.repeat(query_ids, np.diff(offsets))
        match = np.array(
            [c in partners.get(q, ()) for q, c in zip(asked.tolist(), options.tolist(), strict=True)], bool
        )
        first = ragged.first_maximum(match.astype(float), offsets)
        choice = np.where(match[first], first - offsets[:-1] + 1, 0)
        return AnswerSet.make(self.label(), query_ids, options, offsets, choice)
