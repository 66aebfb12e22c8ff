"""What every teacher gives: noisy answers to the queries it is asked."""

import hashlib

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet
from distiller.budget import Forecast
from distiller.config import declares, nested, uses_gold
from distiller.source import Source
from distiller.store import Store, file_sum
from distiller.task import Task


class Teacher(Source):
    """Answers queries: a language model, a recording of one, several together, or no model at all."""

    def label(self) -> str:
        """The name of the teacher in tables and in the `source` column."""
        raise NotImplementedError

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        """One answer per query asked (ids ascending, all with candidates).

        `gold` (query_id, candidate_id) is given only to teachers that declare USES_GOLD. What was spent stands in the
        answers' `facts`: requests, tokens_in, tokens_out, cost.
        """
        raise NotImplementedError

    def answers(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        """What `annotate` gives, kept in the task's store: the same teacher is never asked the same queries twice.

        Answers are keyed by the very queries asked, so two selectors that pick the same queries share them.
        """
        recorded = [file_sum(path) for path in self.reads(task.records.folder)]
        key = task.features_key if declares(self, "USES_FEATURES") else task.key
        shown = gold if uses_gold(self) else None
        models = [found for each in nested(self) for found in each.fingerprints()]
        inputs = [key, _ids_key(query_ids), *recorded, *models]
        answers = task.store.produce(AnswerSet, [self], inputs, lambda: self.annotate(task, query_ids, shown))
        if answers.reused:  # what is asked now enters the ledger by itself
            task.ledger.spend(answers.facts)
        return answers

    def ready(self, store: Store) -> None:
        """Find out, before anything else is done, whether the teacher can be asked at all; `store` may hold its replies.

        Raises:
            DistillerError: a library, a model, a server or a key is missing.
        """

    def forecast(self, task: Task, query_ids: np.ndarray) -> Forecast | None:
        """What asking these queries will take; None for a teacher that costs nothing."""
        return None


def _ids_key(ids: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(ids, dtype="<i8").tobytes()).hexdigest()
