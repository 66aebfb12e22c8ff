"""The promise of a cascade: what is left to the student disagrees with the teacher no more often than was said."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from distiller.escalation.guarantee import STEPS, binomial_p_value, learn_then_test, thresholds, upper_bound


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_the_p_value_is_the_sum_of_binomial_probabilities(n, errors, level):
    errors = min(errors, n)
    summed = sum(comb(n, k) * level**k * (1 - level) ** (n - k) for k in range(errors + 1))
    assert binomial_p_value(errors, n, level) == pytest.approx(summed, abs=1e-9)


@given(st.integers(1, 80), st.integers(0, 80), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_bound_is_the_one_sided_interval_of_scipy(n, errors, confidence):
    errors = min(errors, n)
    exact = binomtest(errors, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert upper_bound(errors, n, confidence) == pytest.approx(exact, abs=1e-9)


def test_thresholds_come_from_the_most_cautious_on_and_the_last_leaves_everything_to_the_student():
    sure = np.random.default_rng(3).random(1000)
    order = thresholds(sure)
    assert (np.diff(order) < 0).all()
    assert len(order) == STEPS
    assert order[-1] == sure.min()
    kept = [(sure >= threshold).mean() for threshold in order]
    assert kept[0] <= 0.02
    assert kept[-1] == 1.0


def population(random, hard):
    """How sure a student is of 4,000 queries, and where it disagrees: the less sure, the more often."""
    sure = random.beta(4, 1.5, 4000)
    return sure, random.random(4000) < hard * (1 - sure)


@pytest.mark.parametrize("hard", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("level", [0.05, 0.1])
def test_the_level_is_exceeded_in_no_more_splits_than_the_confidence_allows(hard, level):
    random, confidence, splits = np.random.default_rng(11), 0.9, 400
    sure, wrong = population(random, hard)
    order = thresholds(sure)
    exceeded = asked = 0
    for _ in range(splits):
        sample = random.choice(len(sure), 150, replace=False)
        found = learn_then_test(order, sure[sample], wrong[sample], level, confidence)
        exceeded += (wrong & (sure >= found.threshold)).mean() > level
        asked += (sure < found.threshold).mean() / splits
    # 400 independent splits of which a tenth may fail: 59 or more would happen once in a thousand times.
    assert exceeded <= 58
    assert asked < 1


def test_a_student_that_always_agrees_is_left_alone_and_one_that_never_does_is_always_asked_after():
    sure = np.random.default_rng(5).random(500)
    order = thresholds(sure)
    agreeing = learn_then_test(order, sure[:120], np.zeros(120, dtype=bool), 0.05, 0.9)
    assert agreeing.threshold == sure.min()
    never = learn_then_test(order, sure[:120], np.ones(120, dtype=bool), 0.05, 0.9)
    assert (sure >= never.threshold).mean() < 0.05


def test_too_small_a_sample_promises_nothing_and_leaves_nothing_to_the_student():
    sure = np.linspace(0, 1, 40)
    found = learn_then_test(thresholds(sure), sure[:20], np.zeros(20, dtype=bool), 0.05, 0.95)
    assert found.threshold == np.inf  # even without an error, 0.95 ** 20 is not small


def test_a_stricter_level_or_a_higher_confidence_never_leaves_more_to_the_student():
    random = np.random.default_rng(9)
    sure, wrong = population(random, 0.8)
    order = thresholds(sure)
    for _ in range(20):
        sample = random.choice(len(sure), 200, replace=False)
        by_level = [
            learn_then_test(order, sure[sample], wrong[sample], level, 0.9).threshold
            for level in (0.02, 0.05, 0.1, 0.2)
        ]
        assert by_level == sorted(by_level, reverse=True)
        by_confidence = [
            learn_then_test(order, sure[sample], wrong[sample], 0.1, c).threshold for c in (0.6, 0.8, 0.9, 0.99)
        ]
        assert by_confidence == sorted(by_confidence)
