"""Select the queries that blocking is surest about, at both ends: the most and the least similar best candidate."""

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.config import component
from distiller.selector.base import Ranking
from distiller.selector.strata import TwoGroups, similarities
from distiller.task import Task


@component
class BlockingMax(TwoGroups):
    """Queries are sorted by their largest similarity, falling, equals by id; the first ones are taken as presumed
    positives, the last ones as presumed negatives.

    Source: DistillER, section on data selection (strategy `blocking_max`).
    """

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        score = self.score(*similarities(task.candidates, pool))
        order = np.lexsort((pool, -score))
        first, last = self.split(len(pool))
        return Ranking(np.sort(pool[np.r_[order[:first], order[len(order) - last :]]]))

    def score(self, similarity: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Largest similarity of each query, [n_queries]."""
        return ragged.segment_max(similarity, offsets)
