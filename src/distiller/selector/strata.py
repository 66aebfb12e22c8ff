"""Two groups of queries, presumed to have a match and not to, and how many of each to draw."""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from distiller.artifacts import CandidateSet
from distiller.config import component
from distiller.selector.base import BudgetedSelector


@component
class TwoGroups(BudgetedSelector):
    """Base of the selectors that take a share of the budget from presumed positives and the rest from the others."""

    positive_ratio: Annotated[float, Field(ge=0, le=1)] = 0.75

    def split(self, available: int) -> tuple[int, int]:
        """The quota of so many queries: floor(positive_ratio * quota) presumed positives, and the rest."""
        quota = self.quota(available)
        positives = math.floor(self.positive_ratio * quota + 1e-9)
        return positives, quota - positives


@component
class DrawnGroups(TwoGroups):
    """Two groups from which the quotas are drawn at random."""

    seed: int = 1924

    def draw(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """Ids drawn at random from two ascending arrays of ids, ascending.

        A group that is too small gives all it has and the other one makes up for it (fault Q21 of the reference).
        """
        wanted, rest = self.split(len(positives) + len(negatives))
        first = min(max(wanted, wanted + rest - len(negatives)), len(positives))
        sizes = first, wanted + rest - first
        drawn = [drawn_at_random(ids, n, self.seed) for ids, n in zip((positives, negatives), sizes, strict=True)]
        return np.sort(np.concatenate(drawn))


def drawn_at_random(ids: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n of the ids, each equally likely: the very draw of pandas' `sample(n, random_state=seed)`."""
    return ids[np.random.RandomState(seed).choice(len(ids), size=n, replace=False)] if n else ids[:0]


def similarities(candidates: CandidateSet, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of the pairs of these queries, float64 [n_pairs], and their offsets, [n_pool + 1]."""
    rows, offsets = candidates.of(pool)
    return candidates.similarity[rows].astype(np.float64), offsets
