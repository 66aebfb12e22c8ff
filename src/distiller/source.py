"""What can be asked for answers without having been taught: the contract of teachers, as seen from below them."""

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet
from distiller.config import Component
from distiller.task import Task


class Source(Component):
    """Answers queries. Every teacher is one; what lies below teachers names it when it needs one."""

    def label(self) -> str:
        """The name of the source in tables and in the `source` column."""
        raise NotImplementedError

    def answers(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        """One answer per query asked (ids ascending, all with candidates), kept in the task's store.

        `gold` is passed on only to sources that declare USES_GOLD. The task's budget applies: answers can be fewer.
        """
        raise NotImplementedError
