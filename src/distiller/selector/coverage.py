"""Select queries that cover all kinds of queries: no query is far from a selected one."""

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from distiller import features, ragged
from distiller.config import component
from distiller.selector.base import BudgetedSelector, Ranking
from distiller.selector.strata import similarities
from distiller.task import Task


@component
class Coverage(BudgetedSelector):
    """Greedy k-center: again and again the query that is farthest from all selected ones; equally far ones by id.

    The first centre is the query closest to the mean. The distance is Euclidean between the queries' representations;
    no query is farther from a selected one than twice the smallest distance possible with so many.
    Score: the distance to the nearest selected query, at the time of selection for the selected ones (for the first one
    that of the query farthest from it).

    Source: Gonzalez 1985 (k-center); Sener and Savarese 2018 (core-set selection).
    """

    USES_FEATURES = True

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        centres, distances = k_center(representations(task, pool), self.quota(len(pool)))
        return Ranking(np.sort(pool[centres]), distances)


def representations(task: Task, pool: np.ndarray) -> np.ndarray:
    """Each query as a point, float32 [n_pool, 2 * n_features + 3].

    The features of its most similar candidate, their lead over those of the runner-up (0 without one), the number of
    candidates, the largest similarity and its lead; each with mean 0 and variance 1 over the pool, cut off at 5.
    """
    rows, offsets = task.candidates.of(pool)
    similarity, _ = similarities(task.candidates, pool)
    matrix = features.dense(task.features.names, task.features.matrix)
    first = ragged.first_maximum(similarity, offsets)
    rest = similarity.copy()
    rest[first] = -1.0
    second = ragged.first_maximum(rest, offsets)
    several = np.diff(offsets) > 1
    lead = np.where(several[:, None], matrix[rows[first]] - matrix[rows[second]], 0.0)
    gap = similarity[first] - np.where(several, similarity[second], 0.0)
    points = np.c_[matrix[rows[first]], lead, np.diff(offsets), similarity[first], gap].astype(np.float64)
    points -= points.mean(axis=0)
    spread = points.std(axis=0)
    points /= np.where(spread > 1e-9, spread, 1.0)
    return np.clip(points, -5, 5).astype(np.float32)


def k_center(points: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of n centres in the order chosen, [n], and each point's distance to its nearest centre, [n_points].

    A centre's distance is that to the centres chosen before it; the first one's is the largest distance of any point
    from it. Centres are distinct also where points are equal.
    """
    length = np.einsum("ij,ij->i", points, points)
    centre = int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))
    squared = np.full(len(points), np.inf, dtype=np.float32)
    centres, at_selection = [], []
    free = np.ones(len(points), dtype=bool)
    with threadpool_limits(1):  # products summed in another order could move a tie
        for _ in range(n):
            at_selection.append(squared[centre])
            centres.append(centre)
            free[centre] = False
            to_centre = length + length[centre] - 2 * (points @ points[centre])
            np.minimum(squared, np.maximum(to_centre, 0), out=squared)
            centre = int(np.argmax(np.where(free, squared, -1)))
    at_selection[0] = at_selection[1] if n > 1 else squared.max()
    distance = squared.copy()
    distance[centres] = at_selection
    return np.array(centres), np.sqrt(distance)
