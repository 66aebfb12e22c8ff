"""Seeded numbers and permutations, computed for any rows without the rows before them and without a list of all."""

import numpy as np

_ROUNDS = 4


def hashed(values: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """Well-mixed numbers below 2^64, one for each value, [n] uint64; other seeds and purposes give unrelated numbers.

    Source: the finaliser of SplitMix64, Steele et al. 2014.
    """
    start = (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    mixed = _mixed(np.array([start], dtype=np.uint64))
    return _mixed(values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + mixed)


def _mixed(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def uniform(values: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """A number in [0, 1) for each value, [n] float64."""
    return (hashed(values, seed, purpose) >> np.uint64(11)) / float(2**53)


class Permutation:
    """A seeded one-to-one map of 0..size-1 onto itself; both directions cost the same for any subset.

    A balanced Feistel network over the next power of four, walked until the value falls below `size`.
    Source: Black and Rogaway 2002, cycle walking.
    """

    def __init__(self, size: int, seed: int, purpose: int):
        self.size = size
        self.seed = seed
        self.purpose = purpose
        self.half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
        self.mask = (np.uint64(1) << self.half) - np.uint64(1)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Where each value is sent, [n] int64."""
        return self._walked(values, range(_ROUNDS), inverse=False)

    def backward(self, values: np.ndarray) -> np.ndarray:
        """What is sent to each value, [n] int64."""
        return self._walked(values, range(_ROUNDS - 1, -1, -1), inverse=True)

    def _walked(self, values: np.ndarray, rounds: range, inverse: bool) -> np.ndarray:
        out = values.astype(np.uint64)
        todo = np.arange(len(out))
        while len(todo):
            out[todo] = self._once(out[todo], rounds, inverse)
            todo = todo[out[todo] >= self.size]
        return out.astype(np.int64)

    def _once(self, values: np.ndarray, rounds: range, inverse: bool) -> np.ndarray:
        high, low = values >> self.half, values & self.mask
        for number in rounds:
            if inverse:
                high, low = low ^ (hashed(high, self.seed, self.purpose * _ROUNDS + number) & self.mask), high
            else:
                high, low = low, high ^ (hashed(low, self.seed, self.purpose * _ROUNDS + number) & self.mask)
        return (high << self.half) | low
