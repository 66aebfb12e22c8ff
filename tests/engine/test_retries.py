"""When requests are sent again: the delay rule, what servers ask for, and when a server is held for dead."""

import email.utils
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiller.engine.retries import FIRST, LONGEST, Breaker, Kind, delay, kind_of_status, retry_after

draws = st.floats(0, 1, exclude_max=True)
wishes = st.none() | st.floats(0, 1e5)


@given(st.integers(0, 10_000), wishes, draws)
def test_a_delay_never_undercuts_the_server_and_adds_at_most_the_longest_back_off(attempt, wish, draw):
    waited = delay(attempt, wish, draw)
    assert (wish or 0) <= waited <= (wish or 0) + LONGEST


@given(st.integers(0, 50), draws)
def test_the_back_off_doubles_until_it_is_capped(attempt, draw):
    bound = FIRST
    for _ in range(attempt):
        bound = min(LONGEST, 2 * bound)
    assert delay(attempt, None, draw) == pytest.approx(draw * bound)


@given(st.integers(0, 30), wishes, draws, draws)
def test_a_delay_grows_with_the_draw_and_with_the_attempt(attempt, wish, one, other):
    assert delay(attempt, wish, min(one, other)) <= delay(attempt, wish, max(one, other))
    assert delay(attempt, wish, one) <= delay(attempt + 1, wish, one)


@given(st.integers(0, 10**6), st.integers(10**9, 2 * 10**9))
def test_seconds_milliseconds_and_dates_say_the_same(seconds, now):
    date = email.utils.formatdate(now + seconds, usegmt=True)
    for headers in ({"retry-after": f"{seconds}"}, {"retry-after-ms": f"{1000 * seconds}"}, {"retry-after": date}):
        assert retry_after(headers, now) == pytest.approx(seconds)
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}, now) == 0.25


def test_a_date_in_the_past_and_a_negative_number_mean_at_once():
    assert retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 1.9e9) == 0
    assert retry_after({"retry-after": "-3"}, 0) == 0


@given(st.text(max_size=30))
def test_nonsense_is_no_wish_and_never_an_exception(text):
    wish = retry_after({"retry-after": text}, 0)
    assert wish is None or (wish >= 0 and math.isfinite(wish))


@pytest.mark.parametrize("text", ["", "soon", "inf", "nan", "Fri, 99 Foo 1999"])
def test_what_is_neither_a_number_nor_a_date_is_no_wish(text):
    assert retry_after({"retry-after": text}, 0) is None


def test_statuses_fall_into_four_kinds():
    kinds = {status: kind_of_status(status, None) for status in range(400, 600)}
    assert {s for s, kind in kinds.items() if kind is Kind.AGAIN} == {408, 409, 425, *range(500, 600)}
    assert {s for s, kind in kinds.items() if kind is Kind.LIMITED} == {429}
    assert {s for s, kind in kinds.items() if kind is Kind.REFUSED} == {400, 413, 422}
    assert {401, 402, 403, 404} < {s for s, kind in kinds.items() if kind is Kind.FATAL}
    assert kind_of_status(429, "insufficient_quota") is Kind.FATAL


events = st.lists(st.tuples(st.sampled_from(["answered", "failed", "gave_up"]), st.floats(0, 5)), max_size=40)


@given(events, st.integers(1, 6), st.floats(0.1, 20))
def test_the_breaker_agrees_with_a_look_back_over_all_events(happened, limit, patience):
    breaker, now, history = Breaker(limit, patience), 0.0, []
    for what, later in happened:
        now += later
        history.append((what, now))
        dead = {"answered": lambda: breaker.answered(), "failed": lambda t=now: breaker.failed(t)}.get(
            what, breaker.gave_up
        )()
        last = max((i for i, (event, _) in enumerate(history) if event == "answered"), default=-1)
        recent = history[last + 1 :]
        failures = [t for event, t in recent if event == "failed"]
        if what == "failed":
            assert dead == (len(failures) >= limit and now - failures[0] >= patience)
        if what == "gave_up":
            assert dead == (sum(event == "gave_up" for event, _ in recent) >= limit)
