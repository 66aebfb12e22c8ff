"""How a pair stands among its rivals: the other candidates of its query, and the other queries of its candidate."""

import numpy as np


def groups(rows: np.ndarray) -> np.ndarray:
    """Number of the group of each pair, [n_pairs], groups numbered from 0 by ascending row."""
    return np.unique(rows, return_inverse=True)[1].reshape(-1)


def rank(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How many of the group have a larger value, [n_pairs]; 0 is best, equals share a rank."""
    order = np.lexsort((-values, group))
    owner, value = group[order], values[order]
    new_group = np.r_[True, owner[1:] != owner[:-1]]
    new_value = new_group | np.r_[True, value[1:] != value[:-1]]
    at = np.arange(len(order))
    result = np.empty(len(order))
    result[order] = np.maximum.accumulate(np.where(new_value, at, 0)) - np.maximum.accumulate(
        np.where(new_group, at, 0)
    )
    return result


def gap(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The value less the largest of the others of the group, [n_pairs]; less 0 where there is no other."""
    order = np.lexsort((-values, group))
    starts = np.flatnonzero(np.r_[True, group[order][1:] != group[order][:-1]])
    size = np.diff(np.r_[starts, len(order)])
    best = values[order[starts]]
    second = np.where(size > 1, values[order[np.minimum(starts + 1, len(order) - 1)]], 0.0)
    is_first = np.zeros(len(order), dtype=bool)
    is_first[order[starts]] = True
    return values - np.where(is_first, second[group], best[group])


def standing(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The value less the group's mean, in standard deviations of the group, [n_pairs]; 0 where all are equal."""
    size = np.bincount(group)
    centred = values - (np.bincount(group, weights=values) / size)[group]
    deviation = np.sqrt(np.bincount(group, weights=centred**2) / size)[group]
    return np.where(deviation > 1e-6, centred / np.maximum(deviation, 1e-6), 0.0)


def context_features(
    columns: dict[str, np.ndarray], query_rows: np.ndarray, candidate_rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each given column (NaN counts as 0), each [n_pairs], never NaN.

    `*.query_rank`, `*.query_gap`, `*.query_standing`: among the candidates of the query; `*.candidate_gap`: among the
    queries that list the candidate; `*.mutual_best`: 1 where the pair is the best of both. `list.*_size`: how many there are.
    """
    query, candidate = groups(query_rows), groups(candidate_rows)
    found: dict[str, np.ndarray] = {}
    for name, raw in columns.items():
        values = np.nan_to_num(raw.astype(np.float64), nan=0.0)
        found[f"{name}.query_rank"] = rank(values, query)
        found[f"{name}.query_gap"] = gap(values, query)
        found[f"{name}.query_standing"] = standing(values, query)
        found[f"{name}.candidate_gap"] = gap(values, candidate)
        best = (found[f"{name}.query_rank"] == 0) & (rank(values, candidate) == 0)
        found[f"{name}.mutual_best"] = best.astype(np.float64)
    found["list.query_size"] = np.bincount(query)[query].astype(np.float64)
    found["list.candidate_size"] = np.bincount(candidate)[candidate].astype(np.float64)
    return found
