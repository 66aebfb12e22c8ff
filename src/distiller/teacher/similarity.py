"""A teacher that knows nothing but how similar blocking found the candidates: the least that any matcher must beat."""

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.task import Task
from distiller.teacher.base import Teacher

BINS = 256  # of the similarities of the best candidates, in which the threshold is sought


@component
class Similarity(Teacher):
    """The most similar candidate where its similarity reaches a threshold, else "none"; no label is used.

    threshold: the least similarity of a match, in [0, 1]; null for the one that best separates two classes among the
      similarities of every query's best candidate: the classes' variance between them is largest (Otsu 1979).
    unique: no candidate is given to two queries. Pairs are accepted in order of similarity, equals by query and position,
      while both ends are free, among all queries of the dataset: unique mapping clustering. What a query is answered then
      depends on all queries, though not on those asked together with it.

    Source: unique mapping clustering as in Lacoste-Julien et al. 2013 (SiGMa); baseline UMC of arXiv 2602.05452, which
    states one row without and several with a threshold.
    """

    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    unique: bool = True

    def label(self) -> str:
        return "similarity"

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        candidates = task.candidates
        least = self.least(task)
        best = ragged.first_maximum(candidates.similarity, candidates.offsets)
        everyone = np.where(candidates.similarity[best] >= least, best - candidates.offsets[:-1] + 1, 0)
        if self.unique:
            everyone = _unique(candidates.similarity, candidates.candidate_ids, candidates.offsets, least)
        rows, offsets = candidates.of(query_ids)
        choice = everyone[np.searchsorted(candidates.query_ids, query_ids)]
        return AnswerSet.make(self.label(), query_ids, candidates.candidate_ids[rows], offsets, choice)

    def least(self, task: Task) -> float:
        """The least similarity of a match in this task, in [0, 1]."""
        if self.threshold is not None:
            return self.threshold
        return otsu(ragged.segment_max(task.candidates.similarity, task.candidates.offsets))


def otsu(values: np.ndarray) -> float:
    """The border between two classes of values in [0, 1] whose variance between the classes is largest, in [0, 1].

    Of several equally good borders, the middle one. Values on the border belong to the upper class.

    Source: Otsu 1979, eq. 12-19.
    """
    counts, edges = np.histogram(values, BINS, (0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * centres)
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    equal = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float((edges[1:-1][equal[0]] + edges[1:-1][equal[-1]]) / 2)


def _unique(similarity: np.ndarray, candidate_ids: np.ndarray, offsets: np.ndarray, least: float) -> np.ndarray:
    """Option of each query after unique mapping of all pairs that reach `least`, [n_queries], 0 = none."""
    whose = ragged.owner(offsets)
    order = np.argsort(-similarity, kind="stable")
    order = order[similarity[order] >= least]
    _, candidate = np.unique(candidate_ids, return_inverse=True)
    choice = np.zeros(len(offsets) - 1, dtype=np.int64)
    taken = np.zeros(candidate.max(initial=-1) + 1, dtype=bool)
    for row, query, wanted in zip(order.tolist(), whose[order].tolist(), candidate[order].tolist(), strict=True):
        if not choice[query] and not taken[wanted]:
            taken[wanted] = True
            choice[query] = row - offsets[query] + 1
    return choice
