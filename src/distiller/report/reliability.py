"""How often answers of a given probability are right."""

from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose probability lies in [begin, end), the last bin closed.

    count: how many. confidence, right: their mean probability and the share that is right, both in [0, 1].
    low, high: 95 % interval of the share (Wilson 1927).
    """

    begin: float
    end: float
    count: int
    confidence: float
    right: float
    low: float
    high: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold answers, lowest first.

    confidence: probability of each answer's choice in [0, 1], NaN for answers without one, which do not count, [n].
    right: whether each answer is right, [n].
    """
    known = ~np.isnan(confidence)
    confidence, right = confidence[known].astype(float), right[known].astype(float)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for i in np.unique(place):
        inside = place == i
        n, hits = int(inside.sum()), float(right[inside].sum())
        low, high = interval(hits, n)
        found.append(Bin(i / bins, (i + 1) / bins, n, float(confidence[inside].mean()), hits / n, low, high))
    return found


def expected_error(bins: list[Bin]) -> float:
    """Expected calibration error, in [0, 1]: mean distance of probability and share right, weighted by answers."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.confidence - each.right) for each in bins) / total if total else 0.0


def interval(hits: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Ends of the Wilson interval of a share, in [0, 1]; (0, 1) where nothing was counted."""
    if not n:
        return 0.0, 1.0
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
