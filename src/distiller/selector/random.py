"""Select queries at random."""

import numpy as np
import pyarrow as pa

from distiller.config import component
from distiller.selector.base import BudgetedSelector, Ranking
from distiller.selector.strata import drawn_at_random
from distiller.task import Task


@component
class Random(BudgetedSelector):
    """Every query of the pool is equally likely. With seed 1924: the reference's split `random`."""

    seed: int = 1924

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        return Ranking(np.sort(drawn_at_random(pool, self.quota(len(pool)), self.seed)))
