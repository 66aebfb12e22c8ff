"""Candidates are shown in an order that hangs on what it should, and on nothing else."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import needs_data, real_task

from distiller.elicitation.order import orders

KINDS = ["shown", "reference", "shuffled"]
candidate_lists = st.lists(st.integers(0, 10**6), min_size=1, max_size=9, unique=True).map(tuple)


@given(st.sampled_from(KINDS), candidate_lists, st.integers(1, 30), st.integers(0, 5), st.integers(0, 99))
def test_orders_are_different_permutations_as_many_as_wanted_or_there_are(kind, candidates, count, seed, query):
    found = orders(kind, seed, query, candidates, count)
    assert len(found) == len(set(found)) == min(count, math.factorial(len(candidates)))
    assert all(sorted(order) == sorted(candidates) for order in found)
    assert found == orders(kind, seed, query, candidates, count + 3)[: len(found)], (
        "more orders leave the first as they are"
    )
    if count >= len(candidates):
        for place in zip(*found[: len(candidates)], strict=True):
            assert sorted(place) == sorted(candidates), "each candidate stands once at each position"


@given(candidate_lists, st.randoms(use_true_random=False), st.integers(0, 5), st.integers(0, 99))
def test_only_the_shown_order_hangs_on_the_order_of_the_candidate_set(candidates, random, seed, query):
    other = tuple(random.sample(candidates, len(candidates)))
    assert orders("shown", seed, query, other, 1) == [other]
    for kind in ("reference", "shuffled"):
        assert orders(kind, seed, query, other, 5) == orders(kind, seed, query, candidates, 5)


@pytest.mark.parametrize("n", range(1, 13))
def test_the_reference_order_is_the_sample_that_the_reference_draws(n):
    ascending = sorted(np.random.default_rng(n).choice(1000, n, replace=False).tolist())
    drawn = pd.Series(ascending).sample(frac=1, random_state=1924).tolist()
    assert orders("reference", 7, 3, tuple(reversed(ascending)), 1) == [tuple(drawn)]


@needs_data
@pytest.mark.parametrize("name", ["abt-buy", "dblp-scholar"])
def test_recorded_candidates_stand_in_the_reference_order(name):
    candidates = real_task(name)[0].candidates
    for query, begin, end in zip(candidates.query_ids, candidates.offsets[:-1], candidates.offsets[1:], strict=True):
        own = tuple(candidates.candidate_ids[begin:end].tolist())
        assert orders("reference", 0, int(query), tuple(sorted(own)), 1) == [own]


def test_shuffling_puts_every_candidate_everywhere_equally_often():
    places = Counter(
        (place, candidate)
        for query in range(6000)
        for place, candidate in enumerate(orders("shuffled", 1924, query, (4, 5, 6, 7), 1)[0])
    )
    assert all(abs(number - 1500) < 5 * math.sqrt(1500 * 0.75) for number in places.values())
    assert len(places) == 16
    one, other = ([orders("shuffled", seed, q, (4, 5, 6, 7), 1)[0] for q in range(100)] for seed in (1, 2))
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 20, "another seed, other orders"
