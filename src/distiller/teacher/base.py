"""What every teacher gives: noisy answers to the queries it is asked."""

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet
from distiller.config import Component
from distiller.task import Task


class Teacher(Component):
    """Answers queries: a language model, a recording of one, several together, or no model at all."""

    def label(self) -> str:
        """The name of the teacher in tables and in the `source` column."""
        raise NotImplementedError

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        """One answer per query asked (ids ascending, all with candidates).

        `gold` (query_id, candidate_id) is given only to teachers that declare USES_GOLD.
        """
        raise NotImplementedError
