"""Which queries may be labelled and which are scored."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from distiller.config import DistillerError
from distiller.protocol.fixed import Fixed
from distiller.protocol.paper import Paper

relaxed = settings(deadline=None, derandomize=True, max_examples=100)
ids = st.lists(st.integers(-(2**62), 2**62), unique=True, min_size=20, max_size=60).map(lambda x: np.array(sorted(x)))


@relaxed
@given(ids, st.randoms(use_true_random=False))
def test_paper_scores_exactly_what_was_not_selected(query_ids, random):
    protocol = Paper()
    with_candidates = np.array(sorted(random.sample(query_ids.tolist(), 15)))
    pool = protocol.pool(with_candidates)
    assert pool.tolist() == with_candidates.tolist()
    selected = np.array(sorted(random.sample(pool.tolist(), 5)))
    assert protocol.test(query_ids, selected).tolist() == sorted(set(query_ids.tolist()) - set(selected.tolist()))


@relaxed
@given(ids, st.randoms(use_true_random=False))
def test_fixed_scores_the_same_queries_whatever_was_selected(query_ids, random):
    protocol = Fixed()
    with_candidates = np.array(sorted(random.sample(query_ids.tolist(), 15)))
    try:
        pool, test = protocol.pool(with_candidates), protocol.test(query_ids, query_ids[:0])
    except DistillerError:
        return
    assert not set(pool.tolist()) & set(test.tolist())
    assert set(with_candidates.tolist()) <= set(pool.tolist()) | set(test.tolist())
    assert protocol.test(query_ids, pool[:3]).tolist() == test.tolist()


@relaxed
@given(ids, st.integers(-(2**62), 2**62))
def test_a_query_stays_on_its_side_when_others_come(query_ids, new):
    protocol = Fixed()
    grown = np.union1d(query_ids, [new])
    before, after = protocol.test(query_ids, query_ids[:0]), protocol.test(grown, query_ids[:0])
    assert set(after.tolist()) - set(before.tolist()) <= {new}
    assert set(before.tolist()) <= set(after.tolist())


N = 40_000
PATTERNS = {
    "ascending": np.arange(N),
    "even": np.arange(N) * 2,
    "powers": np.arange(N) << 40,
    "negative": -np.arange(N)[::-1] * 3,
    "steps of a large prime": np.arange(N) * 1_000_003,
    "large": np.arange(N) + 2**62,
    "multiples of the golden ratio": np.sort(
        (np.arange(N, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
    ),
    "random": np.unique(np.random.default_rng(0).integers(0, 2**62, N)),
}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("salt", ["distiller", "", "other"])
def test_the_share_holds_for_any_pattern_of_ids(pattern, share, salt):
    query_ids = PATTERNS[pattern]
    aside = len(Fixed(test_share=share, salt=salt).test(query_ids, query_ids[:0])) / len(query_ids)
    assert abs(aside - share) < 4.5 * np.sqrt(share * (1 - share) / len(query_ids))


def test_another_salt_sets_independent_queries_aside():
    query_ids = np.arange(N)
    one, other = (Fixed(salt=salt).test(query_ids, query_ids[:0]) for salt in ("a", "b"))
    assert abs(len(np.intersect1d(one, other)) / N - 0.25) < 0.01


def test_a_larger_share_only_adds_queries():
    query_ids = np.arange(1000)
    small, large = (Fixed(test_share=share).test(query_ids, query_ids[:0]) for share in (0.2, 0.6))
    assert set(small.tolist()) < set(large.tolist())


def mixed(number):
    """One step of SplitMix64 in plain integers."""
    number = (number + 0x9E3779B97F4A7C15) % 2**64
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
    return number ^ number >> 31


@relaxed
@given(ids, st.floats(0.01, 0.99), st.text(max_size=5))
def test_the_side_of_a_query_is_a_hash_that_can_be_computed_anywhere(query_ids, share, salt):
    key = int(hashlib.sha256(salt.encode()).hexdigest()[:16], 16)
    expected = [q for q in query_ids.tolist() if mixed(mixed(q % 2**64) ^ key) < int(share * 2**64)]
    try:
        assert Fixed(test_share=share, salt=salt).test(query_ids, query_ids[:0]).tolist() == expected
    except DistillerError:
        assert not expected


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
def test_shares_outside_0_and_1_are_refused(share):
    with pytest.raises(ValidationError, match="test_share"):
        Fixed(test_share=share)


def test_a_share_that_leaves_nothing_is_one_sentence():
    with pytest.raises(DistillerError, match=r"test_share=0.999999 of 3 queries leaves none to label; lower it"):
        Fixed(test_share=0.999999).pool(np.arange(3))
    with pytest.raises(DistillerError, match=r"leaves none to score; raise it"):
        Fixed(test_share=1e-6).test(np.arange(3), np.arange(0))
