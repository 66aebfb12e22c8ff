"""What every selector decides: which queries the teacher labels."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import PlainValidator

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

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        """Which of the queries in `pool` (ids, ascending, all with candidates) to label.

        `gold` (query_id, candidate_id) is given only to selectors that declare USES_GOLD.
        """
        raise NotImplementedError


def _fraction_or_count(budget: Any) -> int | float:
    count = isinstance(budget, int) and not isinstance(budget, bool) and budget >= 1
    if not count and not (isinstance(budget, float) and 0 < budget <= 1):
        raise ValueError(
            f"must be a fraction in (0, 1], such as 0.1, or a whole number of queries, such as 100; got {budget!r}"
        )
    return budget


@component
class BudgetedSelector(Selector):
    """A selector that may spend a budget: a fraction of the queries (0.1, 1.0) or their number (100)."""

    budget: Annotated[int | float, PlainValidator(_fraction_or_count)] = 0.1

    def quota(self, available: int) -> int:
        """Number of queries to select of those available: floor(fraction * available), or the count, at most all.

        Raises:
            DistillerError: the budget selects nothing.
        """
        if isinstance(self.budget, int):
            return min(self.budget, available)
        quota = math.floor(self.budget * available + 1e-9)
        if not quota:
            least = 1 / max(available, 1)
            raise DistillerError(
                f"selector.budget={self.budget} of {available} queries selects none; set at least {least:.2g}"
            )
        return quota


@component
class ScoreSelector(BudgetedSelector):
    """Selects the queries with the highest scores; ties go to the smaller id."""

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        scores = self.scores(task, pool)
        order = np.lexsort((pool, -scores))
        return Ranking(np.sort(pool[order[: self.quota(len(pool))]]), scores)

    def scores(self, task: Task, pool: np.ndarray) -> np.ndarray:
        """One score per query of the pool, [n_pool]; the highest are selected."""
        raise NotImplementedError
