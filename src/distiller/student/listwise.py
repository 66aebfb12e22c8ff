"""The list-wise objective that all comparators share: one softmax over {none, 1..k} for each query.

The logit of "none" is 0, so a model gives one logit per pair and says "none" where all its logits are low.
"""

from dataclasses import dataclass

import numpy as np

from distiller import ragged


def probabilities(logits: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Distribution over the options of each query, "none" first, [n_pairs + n_queries], from logits [n_pairs]."""
    return ragged.softmax(ragged.with_none(logits, 0.0, offsets), ragged.option_offsets(offsets))


def cross_entropy(logits: np.ndarray, target: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Cross-entropy of each query in nats, [n_queries], >= 0. target: probabilities, [n_pairs + n_queries]."""
    begins = ragged.option_offsets(offsets)
    log_p = np.log(np.maximum(probabilities(logits, offsets), 1e-300))
    return -ragged.segment_sum(target * log_p, begins)


def derivatives(logits: np.ndarray, target: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient p - t and diagonal Hessian p (1 - p) of the cross-entropy with respect to the logits, [n_pairs] each."""
    p = ragged.without_none(probabilities(logits, offsets), offsets)
    return p - ragged.without_none(target, offsets), np.maximum(p * (1 - p), 1e-6)


def folds(target: np.ndarray, offsets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Fold of each query, [n_queries], in 0..count-1: random, with equal shares of "none" in each."""
    none = target[ragged.option_offsets(offsets)[:-1]] > 0.5
    order = np.lexsort((np.random.default_rng(seed).random(len(none)), none))
    fold = np.empty(len(none), dtype=np.int64)
    fold[order] = np.arange(len(none)) % count
    return fold


@dataclass(frozen=True)
class Calibration:
    """Corrects logits to `scale * logit + shift`: how sure the student is, and how readily it says "none"."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Corrected logits, [n_pairs]."""
        return self.scale * logits + self.shift

    @classmethod
    def fit(cls, logits: np.ndarray, target: np.ndarray, offsets: np.ndarray) -> "Calibration":
        """The correction under which held-out teacher answers are most likely (Platt scaling over options)."""
        from scipy.optimize import minimize

        def loss(x: np.ndarray) -> float:
            return float(cross_entropy(np.exp(x[0]) * logits + x[1], target, offsets).mean())

        found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6})
        return cls(float(np.exp(found.x[0])), float(found.x[1]))


def agreement(logits: np.ndarray, target: np.ndarray, offsets: np.ndarray) -> float:
    """Share of queries where the most probable option is the target's most probable one."""
    begins = ragged.option_offsets(offsets)
    mine = ragged.first_maximum(ragged.with_none(logits, 0.0, offsets), begins)
    return float((mine == ragged.first_maximum(target, begins)).mean())
