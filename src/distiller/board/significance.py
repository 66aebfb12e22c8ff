"""Which differences between scores are more than chance: a paired bootstrap over queries and seeds, corrected by Holm.

A row is one recipe, run with one seed or several, scored on queries of one dataset or several. Its score is the mean over
seeds of the unweighted mean over datasets of a ratio of sums over queries (an accuracy, an F1).

Resampling. In each replicate, the queries of every dataset are drawn with replacement, and the same draw counts for all rows
and all seeds that were scored on these queries, so that differences are paired. Then the seeds are drawn, the same for all
rows with the same seeds; deviations of the drawn seeds are stretched by sqrt(S / (S - 1)), without which S seeds would look
less spread than they are. Queries drawn anew within every seed would average away what is hard about a query for all seeds,
and find differences where there are none. Rows of one seed say nothing about other seeds.

Tests. The standard error of a difference is the standard deviation of its replicates, its reference distribution a t whose
degrees of freedom follow from the variance between seeds (Satterthwaite), so that p-values are not bounded by the number of
replicates. Sources: Efron, Tibshirani 1993; Owen 2007 (both factors resampled); Satterthwaite 1946; Holm 1979; letters:
Piepho 2004.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

ALPHA = 0.05
POWER = 0.8
DRAWS = 2000
_CHUNK = 2_000_000  # resampled queries held in memory at a time


@dataclass(frozen=True)
class Counts:
    """What one seed's answers to one dataset's queries add to a ratio: sum(part) / (sum(whole) + beyond).

    part, whole: [n_queries], in the order of `query_ids`. beyond: added to the denominator whatever is drawn.
    """

    query_ids: np.ndarray
    part: np.ndarray
    whole: np.ndarray
    beyond: float = 0.0

    @property
    def sample(self) -> str:
        """Names the queries; counts of the same queries are resampled together."""
        return hashlib.sha256(np.ascontiguousarray(self.query_ids, dtype=np.int64).tobytes()).hexdigest()

    @property
    def score(self) -> float:
        """The ratio itself; 0 where there is nothing to divide by."""
        whole = float(self.whole.sum()) + self.beyond
        return float(self.part.sum()) / whole if whole else 0.0


#: One row: seed -> dataset -> counts; every seed has the same datasets.
Row = dict[int, dict[str, Counts]]


@dataclass(frozen=True)
class Replicates:
    """Scores of rows under resampling.

    by_seed: observed score of each seed of each row. observed: their means, [n_rows]. drawn: [n_draws, n_rows].
    """

    seeds: list[tuple[int, ...]]
    by_seed: list[np.ndarray]
    observed: np.ndarray
    drawn: np.ndarray

    def interval(self, alpha: float = ALPHA) -> np.ndarray:
        """Low and high end of each row's own score, [n_rows, 2]; wide for few seeds."""
        error = self.drawn.std(axis=0, ddof=1)
        between = [values.var(ddof=1) / len(values) if len(values) > 1 else 0.0 for values in self.by_seed]
        sizes = [len(values) for values in self.by_seed]
        df = np.array([_freedom(e**2, [(b, s)]) for e, b, s in zip(error, between, sizes, strict=True)])
        half = stats.t.ppf(1 - alpha / 2, df) * error
        return np.column_stack([self.observed - half, self.observed + half])


def replicates(rows: list[Row], draws: int = DRAWS, seed: int = 0) -> Replicates:
    """Resample queries and seeds of all rows together."""
    cells: dict[tuple[str, str], list[tuple[int, int, Counts]]] = {}
    seeds = [tuple(sorted(row)) for row in rows]
    datasets = [len(row[own[0]]) for row, own in zip(rows, seeds, strict=True)]
    for i, row in enumerate(rows):
        for s, number in enumerate(seeds[i]):
            for name, counts in row[number].items():
                cells.setdefault((name, counts.sample), []).append((i, s, counts))
    observed = [np.zeros(len(own)) for own in seeds]
    drawn = [np.zeros((draws, len(own))) for own in seeds]
    for order, key in enumerate(sorted(cells)):
        members = cells[key]
        for (i, s, counts), values in zip(
            members, _ratios([m[2] for m in members], draws, (seed, 1, order)).T, strict=True
        ):
            drawn[i][:, s] += values / datasets[i]
            observed[i][s] += counts.score / datasets[i]
    places = {own: place for place, own in enumerate(sorted(set(seeds)))}
    final = np.column_stack(
        [_seeds_drawn(values, (seed, 2, places[own])) for values, own in zip(drawn, seeds, strict=True)]
    )
    return Replicates(seeds, observed, np.array([values.mean() for values in observed]), final)


def _ratios(cells: list[Counts], draws: int, seed: tuple[int, ...]) -> np.ndarray:
    """The ratio of every cell, all of the same queries, in every draw of these, [n_draws, n_cells]."""
    rng = np.random.default_rng(seed)
    # Sums of counts below 2**24 are exact in single precision.
    part = np.stack([c.part for c in cells], axis=1).astype(np.float32)
    whole = np.stack([c.whole for c in cells], axis=1).astype(np.float32)
    beyond = np.array([c.beyond for c in cells])
    n = len(part)
    step = max(1, _CHUNK // max(n, 1))
    found = []
    for begin in range(0, draws, step):
        size = min(step, draws - begin)
        picked = rng.integers(0, n, (size, n), dtype=np.int32) if n else np.zeros((size, 0), np.int32)
        times = np.bincount((picked + n * np.arange(size)[:, None]).ravel(), minlength=size * n).reshape(size, n)
        times = times.astype(np.float32)
        below = (times @ whole).astype(np.float64) + beyond
        found.append(np.divide(times @ part, below, out=np.zeros_like(below), where=below > 0))
    return np.concatenate(found)


def _seeds_drawn(values: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """Means over seeds drawn with replacement, [n_draws], of values by draw and seed."""
    draws, n = values.shape
    middle = values.mean(axis=1)
    if n == 1:
        return middle
    picked = np.random.default_rng(seed).integers(0, n, (draws, n))
    return middle + math.sqrt(n / (n - 1)) * (np.take_along_axis(values, picked, axis=1).mean(axis=1) - middle)


@dataclass(frozen=True)
class Difference:
    """Score of row `first` less that of row `second`, with its interval (not corrected) and p-values, raw and by Holm."""

    first: int
    second: int
    value: float
    error: float
    low: float
    high: float
    p: float
    holm: float
    df: float


def differences(
    found: Replicates, pairs: list[tuple[int, int]] | None = None, alpha: float = ALPHA
) -> list[Difference]:
    """Differences of all pairs of rows, or of the given ones; Holm's correction is over those asked for."""
    pairs = list(combinations(range(len(found.observed)), 2)) if pairs is None else pairs
    weights = np.zeros((len(pairs), len(found.observed)))
    for k, (i, j) in enumerate(pairs):
        weights[k, i], weights[k, j] = 1.0, -1.0
    return [
        replace(each, first=i, second=j) for each, (i, j) in zip(contrasts(found, weights, alpha), pairs, strict=True)
    ]


def contrasts(found: Replicates, weights: np.ndarray, alpha: float = ALPHA) -> list[Difference]:
    """Weighted sums of the rows' scores, weights [n_contrasts, n_rows], such as a mean of differences; Holm over all."""
    value, error = weights @ found.observed, (found.drawn @ weights.T).std(axis=0, ddof=1)
    df = np.array([_freedom(e**2, _between(found, own)) for e, own in zip(error, weights, strict=True)])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(np.abs(value) < 1e-12, 1.0, 2 * stats.t.sf(np.abs(value) / error, df))
    half = stats.t.ppf(1 - alpha / 2, df) * error
    columns = (value, error, value - half, value + half, p, holm(p), df)
    return [Difference(k, k, *map(float, rest)) for k, rest in enumerate(zip(*columns, strict=True))]


def _between(found: Replicates, weights: np.ndarray) -> list[tuple[float, int]]:
    """Variances of a contrast that lie between seeds, each with its number of seeds; rows with the same seeds are paired."""
    parts: dict[tuple[int, ...], np.ndarray] = {}
    for row in np.flatnonzero(weights):
        own = found.seeds[row]
        parts[own] = parts.get(own, np.zeros(len(own))) + weights[row] * found.by_seed[row]
    return [(float(each.var(ddof=1)) / len(each), len(each)) for each in parts.values() if len(each) > 1]


def _freedom(variance: float, between: list[tuple[float, int]]) -> float:
    """Degrees of freedom of a variance of which these parts were estimated from few seeds."""
    uncertain = sum(part**2 / (n - 1) for part, n in between if n > 1)
    total = max(variance, sum(part for part, _ in between))
    return total**2 / uncertain if uncertain > 0 else math.inf


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected so that among all of them the chance of one false finding is bounded, [n]."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def letters(n: int, different: set[tuple[int, int]]) -> list[str]:
    """Letters of n rows: two rows share a letter if and only if they are not told apart; the first rows get "a".

    different: pairs (i, j), i < j, that differ. Letters go on with "aa" after "z".
    """
    groups: list[set[int]] = [set(range(n))]
    for i, j in sorted(different):
        for group in [g for g in groups if {i, j} <= g]:
            groups.remove(group)
            groups += [group - {i}, group - {j}]
        groups = [g for k, g in enumerate(groups) if not any(g < o or (g == o and k > m) for m, o in enumerate(groups))]
    groups.sort(key=lambda g: sorted(g))
    names = [_letter(k) for k in range(len(groups))]
    return [" ".join(name for name, group in zip(names, groups, strict=True) if row in group) for row in range(n)]


def _letter(k: int) -> str:
    return (_letter(k // 26 - 1) if k >= 26 else "") + chr(ord("a") + k % 26)


def detectable(error: float, df: float, comparisons: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest true gap that is found with this power where `comparisons` are made, at Holm's strictest step."""
    return float((stats.t.ppf(1 - alpha / (2 * comparisons), df) + stats.t.ppf(power, df)) * error)
