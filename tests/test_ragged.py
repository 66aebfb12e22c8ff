"""Arithmetic per query against loops over lists of lists; queries without candidates and no pairs at all included."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed

from distiller import ragged

# A coarse grid makes ties common.
numbers = st.integers(-8, 8).map(lambda n: n / 4)
segments = st.lists(st.lists(numbers, max_size=4), max_size=6)


def flat(lists):
    """Values [n_pairs] and offsets [n_queries + 1] of a list of lists."""
    return np.array([x for own in lists for x in own], dtype=float), np.cumsum([0, *map(len, lists)])


@relaxed
@given(st.lists(st.integers(-3, 9)))
def test_offsets_say_where_each_id_begins(ids):
    ids = sorted(ids)
    found, offsets = ragged.offsets_of(np.array(ids, dtype=np.int64))
    assert found.tolist() == sorted(set(ids))
    assert offsets.tolist() == [ids.index(i) for i in sorted(set(ids))] + [len(ids)]


@relaxed
@given(segments)
def test_owner_sum_and_maxima_agree_with_loops(lists):
    values, offsets = flat(lists)
    assert ragged.owner(offsets).tolist() == [i for i, own in enumerate(lists) for _ in own]
    assert ragged.segment_sum(values, offsets).tolist() == [sum(own) for own in lists]
    assert ragged.segment_max(values, offsets).tolist() == [max(own, default=-math.inf) for own in lists]
    assert ragged.segment_max(values, offsets, empty=7.0).tolist() == [max(own, default=7.0) for own in lists]
    rows = [start + own.index(max(own)) if own else -1 for start, own in zip(offsets[:-1].tolist(), lists, strict=True)]
    assert ragged.first_maximum(values, offsets).tolist() == rows
    best = [[*sorted(own, reverse=True), -9.0, -9.0][:2] for own in lists]
    assert ragged.top_two(values, offsets, fill=-9.0).tolist() == best


@relaxed
@given(segments, st.data())
def test_rows_of_chosen_queries_come_in_the_order_asked_for(lists, data):
    chosen = data.draw(st.lists(st.integers(0, len(lists) - 1))) if lists else []
    values, offsets = flat(lists)
    rows, taken = ragged.rows_within(offsets, np.array(chosen, dtype=np.int64))
    assert values[rows].tolist() == [x for i in chosen for x in lists[i]]
    assert taken.tolist() == np.cumsum([0, *(len(lists[i]) for i in chosen)]).tolist()


@relaxed
@given(segments, st.data())
def test_none_is_put_first_into_every_query_and_taken_out_again(lists, data):
    none = data.draw(st.lists(numbers, min_size=len(lists), max_size=len(lists)))
    values, offsets = flat(lists)
    options, begins = flat([[n, *own] for n, own in zip(none, lists, strict=True)])
    assert ragged.option_offsets(offsets).tolist() == begins.tolist()
    assert ragged.with_none(values, np.array(none), offsets).tolist() == options.tolist()
    assert ragged.without_none(options, offsets).tolist() == values.tolist()
    assert ragged.with_none(values, 0.5, offsets)[begins[:-1]].tolist() == [0.5] * len(lists)


@relaxed
@given(st.lists(st.lists(st.floats(-800, 800), max_size=4), max_size=6))
def test_softmax_agrees_with_a_loop_and_stands_large_logits(lists):
    values, offsets = flat(lists)
    expected = [1 / sum(math.exp(min(y - x, 700)) for y in own) for own in lists for x in own]
    found = ragged.softmax(values, offsets)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert ragged.segment_sum(found, offsets).tolist() == pytest.approx([float(bool(own)) for own in lists])
