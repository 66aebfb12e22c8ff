"""Arithmetic over the candidates of each query: rows of one query are contiguous, `offsets` says where each begins.

`offsets` is [n_queries + 1], non-decreasing, from 0 to the number of pairs. "Option 0" of a query is "none of them",
option i its i-th candidate, so a distribution over options is [n_pairs + n_queries] numbers, "none" first.
"""

import numpy as np


def offsets_of(sorted_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct ids, [n_queries], and where each begins and the last ends, [n_queries + 1], in an ascending array."""
    starts = np.flatnonzero(np.r_[True, sorted_ids[1:] != sorted_ids[:-1]]) if len(sorted_ids) else np.zeros(0, int)
    return sorted_ids[starts], np.r_[starts, len(sorted_ids)].astype(np.int64)


def owner(offsets: np.ndarray) -> np.ndarray:
    """Index of the query that each pair belongs to, [n_pairs]."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def rows_within(offsets: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pairs of the chosen queries, in their order, and the offsets of what was taken."""
    sizes = np.diff(offsets)[chosen]
    taken = np.r_[0, np.cumsum(sizes)]
    return np.repeat(offsets[:-1][chosen] - taken[:-1], sizes) + np.arange(taken[-1]), taken


def segment_sum(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum over the pairs of each query, [n_queries]; 0 for a query without pairs."""
    return np.bincount(owner(offsets), weights=values, minlength=len(offsets) - 1)


def segment_max(values: np.ndarray, offsets: np.ndarray, empty: float = -np.inf) -> np.ndarray:
    """Largest value of each query, [n_queries]; `empty` for a query without pairs."""
    best = np.full(len(offsets) - 1, empty, dtype=np.result_type(values, float))
    filled = np.diff(offsets) > 0
    if filled.any():
        best[filled] = np.maximum.reduceat(values, offsets[:-1][filled])
    return best


def first_maximum(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Row of the largest value of each query, the first among equals, [n_queries]; -1 for a query without pairs."""
    order = np.lexsort((-np.arange(len(values)), values, owner(offsets)))
    return np.where(np.diff(offsets) > 0, order[np.maximum(offsets[1:] - 1, 0)] if len(order) else -1, -1)


def option_offsets(offsets: np.ndarray) -> np.ndarray:
    """Where the options of each query begin once "none" is counted as its option 0, [n_queries + 1]."""
    return offsets + np.arange(len(offsets))


def with_none(pair_values: np.ndarray, none_values: np.ndarray | float, offsets: np.ndarray) -> np.ndarray:
    """Values of pairs and of "none" interleaved into one array over options, [n_pairs + n_queries]."""
    begins = option_offsets(offsets)
    options = np.empty(begins[-1], dtype=np.float64)
    is_none = np.zeros(begins[-1], dtype=bool)
    is_none[begins[:-1]] = True
    options[is_none], options[~is_none] = none_values, pair_values
    return options


def without_none(options: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The pairs' part of an array over options, [n_pairs]."""
    return np.delete(options, option_offsets(offsets)[:-1])


def softmax(logits: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 within each segment of `offsets`, [same as logits]."""
    whose = owner(offsets)
    shifted = np.exp(logits - segment_max(logits, offsets)[whose])
    return shifted / segment_sum(shifted, offsets)[whose]


def top_two(values: np.ndarray, offsets: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """The two largest values of each query, largest first, [n_queries, 2]; `fill` where there are fewer."""
    order = np.lexsort((-values, owner(offsets)))
    best = np.full((len(offsets) - 1, 2), fill, dtype=np.float64)
    for place in (0, 1):
        has = np.diff(offsets) > place
        best[has, place] = values[order[offsets[:-1][has] + place]]
    return best
