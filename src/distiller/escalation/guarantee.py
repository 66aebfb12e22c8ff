"""How many answers may be left to the student, with a stated confidence: learn-then-test on a sample of teacher answers.

The quantity that is held down is the risk of a threshold t: the share of queries that the student answers alone, being at
least t sure, and otherwise than the teacher would have. Asking more queries never raises it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtri

STEPS = 100  # thresholds tested, each leaving the student another hundredth of the queries


@dataclass(frozen=True)
class Guarantee:
    """A threshold and what is known of its risk.

    threshold: the student's answers that are at least so sure stand; inf if none does. tested: thresholds tested.
    met: whether the risk is at most the level, with the stated confidence. p_value: of the last threshold that passed.
    """

    threshold: float
    tested: int
    met: bool
    p_value: float


def binomial_p_value(errors: int, n: int, level: float) -> float:
    """P(at most so many errors among n if each has probability `level`), in [0, 1]: small speaks for a risk below `level`.

    Valid for draws with replacement and, as a sample without replacement scatters less, for these as well.

    Source: Angelopoulos, Bates, Candès, Jordan, Lei 2021 (Learn then Test), section 3; exact for losses of 0 and 1.
    """
    return float(bdtr(errors, n, level))


def upper_bound(errors: int, n: int, confidence: float) -> float:
    """The risk that lies above the true one with the stated confidence, whichever that is, in [0, 1].

    Source: Clopper, Pearson 1934, one-sided.
    """
    return 1.0 if errors >= n else float(bdtri(errors, n, 1 - confidence))


def thresholds(sureness: np.ndarray) -> np.ndarray:
    """Thresholds to test, the most cautious first, [at most STEPS]: quantiles of how sure the student is of all queries.

    sureness: in [0, 1], [n_queries]. They depend on no teacher answer, as fixed-sequence testing needs it.
    """
    return np.unique(np.quantile(sureness, np.arange(STEPS) / STEPS, method="lower"))[::-1]


def learn_then_test(
    sequence: np.ndarray, sureness: np.ndarray, disagrees: np.ndarray, level: float, confidence: float
) -> Guarantee:
    """The boldest threshold of the sequence whose risk is at most `level` with probability at least `confidence`.

    sequence: thresholds in the order of testing. sureness, disagrees: of the sample, drawn at random from all queries,
    [n_sample]. Testing stops at the first threshold that does not pass at 1 - confidence, so that all that passed
    hold together without any correction. Before the first one stands "the student answers nothing", whose risk is 0.

    Source: fixed-sequence testing in Learn then Test, Angelopoulos et al. 2021, section 4.
    """
    passed = Guarantee(float("inf"), 0, True, 0.0)
    for tested, threshold in enumerate(sequence.tolist(), 1):
        p_value = binomial_p_value(int((disagrees & (sureness >= threshold)).sum()), len(sureness), level)
        if p_value > 1 - confidence:
            break
        passed = Guarantee(threshold, tested, True, p_value)
    return passed
