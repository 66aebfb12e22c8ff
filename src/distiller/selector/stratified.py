"""Select a set number of queries with a match and without, by looking at gold: an oracle to compare with."""

import numpy as np
import pyarrow as pa

from distiller.config import DistillerError, component
from distiller.selector.base import Ranking
from distiller.selector.strata import DrawnGroups
from distiller.task import Task


@component
class Stratified(DrawnGroups):
    """The share `positive_ratio` is drawn from queries with a gold match among their candidates, the rest from others.

    With seed 1924: the reference's split `sampled`.
    """

    USES_GOLD = True

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        if gold is None:
            raise DistillerError(f"selector=stratified needs gold matches, {task.name} has none; choose another one")
        found = task.candidates.table.join(gold, ["query_id", "candidate_id"], join_type="left semi")
        has_match = np.isin(pool, found["query_id"].to_numpy())
        return Ranking(self.draw(pool[has_match], pool[~has_match]))
