"""How a pair stands among its rivals: the other candidates of its query, and the other queries of its candidate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

KINDS = ("query_rank", "query_gap", "query_standing", "candidate_gap", "mutual_best")
SIZES = ("list.query_size", "list.candidate_size")


@dataclass(frozen=True)
class Rivals:
    """One value per pair, and the group each pair competes in, numbered from 0 without a gap; both [n_pairs]."""

    values: np.ndarray
    group: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """Pairs group by group, the largest value first, [n_pairs]."""
        return np.lexsort((-self.values, self.group))

    @cached_property
    def begins(self) -> np.ndarray:
        """Whether a new group begins at each place of `order`, [n_pairs]."""
        return np.diff(self.group[self.order], prepend=-1) != 0

    def rank(self) -> np.ndarray:
        """How many of the group have a larger value, [n_pairs]; 0 is best, equals share a rank."""
        value = self.values[self.order]
        new_value = self.begins | np.r_[True, value[1:] != value[:-1]][: len(value)]
        at = np.arange(len(value))
        result = np.empty(len(value))
        first_of_equals = np.maximum.accumulate(np.where(new_value, at, 0))
        result[self.order] = first_of_equals - np.maximum.accumulate(np.where(self.begins, at, 0))
        return result

    def gap(self) -> np.ndarray:
        """The value less the largest of the others of the group, [n_pairs]; less 0 where there is no other."""
        starts = np.flatnonzero(self.begins)
        size = np.diff(np.r_[starts, len(self.order)])
        first = self.order[starts]
        second = np.zeros(len(starts))
        second[size > 1] = self.values[self.order[starts[size > 1] + 1]]
        rival = self.values[first][self.group]
        rival[first] = second
        return self.values - rival

    def standing(self) -> np.ndarray:
        """The value less the group's mean, in standard deviations of the group, [n_pairs]; 0 where all are equal."""
        size = np.maximum(np.bincount(self.group), 1)
        centred = self.values - (np.bincount(self.group, weights=self.values) / size)[self.group]
        deviation = np.sqrt(np.bincount(self.group, weights=centred**2) / size)[self.group]
        return np.where(deviation > 1e-6, centred / np.maximum(deviation, 1e-6), 0.0)


def context_names(columns: Iterable[str]) -> list[str]:
    """Names of the features that `context_features` gives for these columns."""
    return [f"{name}.{kind}" for name in columns for kind in KINDS] + list(SIZES)


def group_numbers(rows: np.ndarray) -> np.ndarray:
    """Number of the group of each pair, [n_pairs]: pairs of one row form a group, numbered by ascending row."""
    return np.unique(rows, return_inverse=True)[1].reshape(-1)


def context_features(values: np.ndarray, query: np.ndarray, candidate: np.ndarray) -> Iterator[np.ndarray]:
    """The features of one column (NaN counts as 0) in the order of `KINDS`, each [n_pairs], never NaN.

    query, candidate: group numbers. query_rank, query_gap and query_standing are among the candidates of the query,
    candidate_gap among the queries that list the candidate; mutual_best is 1 where the pair is the best of both.
    """
    values = np.nan_to_num(values.astype(np.float64), nan=0.0)
    of_query, of_candidate = Rivals(values, query), Rivals(values, candidate)
    rank = of_query.rank()
    yield rank
    yield of_query.gap()
    yield of_query.standing()
    yield of_candidate.gap()
    yield ((rank == 0) & (of_candidate.rank() == 0)).astype(np.float64)


def list_sizes(query: np.ndarray, candidate: np.ndarray) -> Iterator[np.ndarray]:
    """How many candidates the query has and how many queries list the candidate, each [n_pairs], as in `SIZES`."""
    for group in (query, candidate):
        yield np.bincount(group)[group].astype(np.float64)
