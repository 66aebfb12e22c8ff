"""How a pair stands among its rivals: the other candidates of its query, and the other queries of its candidate."""

import numpy as np


def groups(rows: np.ndarray) -> np.ndarray:
    """Number of the group of each pair, [n_pairs], groups numbered from 0 by ascending row."""
    return np.unique(rows, return_inverse=True)[1].reshape(-1) if len(rows) else np.zeros(0, np.int64)


def rank(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How many of the group have a larger value, [n_pairs]; 0 is best, equals share a rank."""
    order = np.lexsort((-values, group))
    begins, value = group[order], values[order]
    new_group = np.r_[True, begins[1:] != begins[:-1]]
    new_value = new_group | np.r_[True, value[1:] != value[:-1]]
    at = np.arange(len(order))
    place = np.maximum.accumulate(np.where(new_value, at, 0)) - np.maximum.accumulate(np.where(new_group, at, 0))
    result = np.empty(len(order))
    result[order] = place
    return result


def gap(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The value less the largest of the others of the group, [n_pairs]; less 0 where there is no other. Values are >= 0."""
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
    mean = np.bincount(group, weights=values) / size
    centred = values - mean[group]
    deviation = np.sqrt(np.bincount(group, weights=centred**2) / size)[group]
    return np.where(deviation > 1e-6, centred / np.maximum(deviation, 1e-6), 0.0)


def context_features(
    columns: dict[str, np.ndarray], query_rows: np.ndarray, candidate_rows: np.ndarray
) -> dict[str, np.ndarray]:
    """For each given column, rank, gap and standing within the query and within the candidate, each [n_pairs], never NaN.

    `*.mutual_best`: 1 where the pair is the best of its query and of its candidate. `list.*`: sizes of the two lists.
    """
    query, candidate = groups(query_rows), groups(candidate_rows)
    found: dict[str, np.ndarray] = {}
    if not len(query):
        query = candidate = np.zeros(0, np.int64)
    for name, raw in columns.items():
        values = np.nan_to_num(raw.astype(np.float64), nan=0.0)
        for side, group in (("query", query), ("candidate", candidate)):
            if not len(group):
                found |= {f"{name}.{side}_{what}": np.zeros(0) for what in ("rank", "gap", "standing")}
                continue
            found[f"{name}.{side}_rank"] = rank(values, group)
            found[f"{name}.{side}_gap"] = gap(values, group)
            found[f"{name}.{side}_standing"] = standing(values, group)
        found[f"{name}.mutual_best"] = (found[f"{name}.query_rank"] + found[f"{name}.candidate_rank"] == 0).astype(np.float64)
    found["list.query_size"] = np.bincount(query)[query].astype(np.float64)
    found["list.candidate_size"] = np.bincount(candidate)[candidate].astype(np.float64)
    return found
