"""Base of the selectors that tell presumed positives from negatives by clustering the queries' similarities."""

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from distiller import ragged
from distiller.config import component
from distiller.selector.base import Ranking
from distiller.selector.strata import DrawnGroups, similarities
from distiller.task import Task


@component
class Clustered(DrawnGroups):
    """Two clusters of queries by the histogram of their candidates' similarities over `bins` equal bins on [0, 1].

    The cluster whose queries have the larger mean of their best similarity counts as positive; the share
    `positive_ratio` is drawn from it at random and the rest from the other. Queries that all have one and the same
    histogram are one cluster.

    Source: DistillER, section on data selection (strategies `clustering_*`).
    """

    bins: Annotated[int, Field(ge=2, le=1000)] = 10

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        similarity, offsets = similarities(task.candidates, pool)
        counts = histograms(similarity, offsets, self.bins)
        one = (counts == counts[0]).all()
        second = np.zeros(len(pool), dtype=bool) if one else self.clusters(task.name, counts) == 1
        best = ragged.segment_max(similarity, offsets)
        positive = second if second.any() and best[second].mean() > best[~second].mean() else ~second
        return Ranking(self.draw(pool[positive], pool[~positive]))

    def clusters(self, name: str, counts: np.ndarray) -> np.ndarray:
        """Cluster, 0 or 1, of each query, [n_queries]; of its histogram, [n_queries, bins]; at least two differ."""
        raise NotImplementedError


def histograms(similarity: np.ndarray, offsets: np.ndarray, bins: int) -> np.ndarray:
    """How many candidates of each query fall into each bin of equal width on [0, 1], [n_queries, bins]."""
    n = len(offsets) - 1
    place = np.minimum((similarity * bins).astype(np.int64), bins - 1)
    return np.bincount(ragged.owner(offsets) * bins + place, minlength=n * bins).reshape(n, bins).astype(np.float64)
