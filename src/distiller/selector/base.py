"""What every selector decides: which queries the teacher labels."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from distiller.config import Component, DistillerError, component
from distiller.task import Task


@dataclass(frozen=True)
class Ranking:
    """The selected queries, and the score of every query of the pool (null where a selector does not rank)."""

    selected: np.ndarray
    scores: np.ndarray | None = None


@component
class Selector(Component):
    """Picks the queries that a teacher labels. Results depend on ids, contents and seed, never on row order."""

    # int before float, each strict: 100 is a number of queries, 0.1 and 1.0 are fractions of them.
    budget: Annotated[int, Field(strict=True, ge=1)] | Annotated[float, Field(strict=True, gt=0, le=1)] = 0.1
    seed: int = 1924

    def quota(self, available: int) -> int:
        """Number of queries to select of those available: floor(fraction * available), or the count, at most all.

        Raises:
            DistillerError: the budget selects nothing.
        """
        if isinstance(self.budget, int):
            return min(self.budget, available)
        quota = math.floor(self.budget * available + 1e-9)
        if not quota:
            raise DistillerError(
                f"selector.budget={self.budget} of {available} queries selects none; set at least {1 / max(available, 1):.2g}"
            )
        return quota

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        """Which of the queries in `pool` (ids, ascending, all with candidates) to label.

        `gold` (query_id, candidate_id) is given only to selectors that declare USES_GOLD.
        """
        raise NotImplementedError


@component
class ScoreSelector(Selector):
    """Selects the queries with the highest scores; ties go to the smaller id."""

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        scores = self.scores(task, pool)
        order = np.lexsort((pool, -scores))
        return Ranking(np.sort(pool[order[: self.quota(len(pool))]]), scores)

    def scores(self, task: Task, pool: np.ndarray) -> np.ndarray:
        """One score per query of the pool, [n_pool]; the highest are selected."""
        raise NotImplementedError
