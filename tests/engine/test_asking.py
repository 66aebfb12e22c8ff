"""Every distinct request is asked once, by whomever, within limits, and what came is kept whatever happens."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from counting_engine import Counting, PaidCounting, asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distiller.budget import Limits, Prices
from distiller.config import DistillerError
from distiller.engine.asking import ask, asker_of
from distiller.engine.base import Request
from distiller.engine.reply_cache import ReplyCache

FREE = Prices(input=0.0, output=0.0, currency="USD")
engines = pytest.mark.parametrize("kind", [Counting, PaidCounting])


def question(n):
    return Request((("user", f"how many are {n}"),), max_tokens=10)


def put(engine, numbers, path, limits=None, prices=FREE, heard=None, model="m"):
    """Ask about these numbers; the texts of the replies, and how it ended."""
    with ReplyCache(path) as cache:
        requests = [question(n) for n in numbers]
        told = (lambda reply, known: heard.append((reply.text, known))) if heard is not None else lambda *_: None
        result = ask(engine, asker_of(engine, model, None), requests, cache, limits or Limits(), prices, told)
    return [reply and (reply.text or reply.error) for reply in result.replies], result


@engines
def test_duplicates_are_asked_once_and_a_repetition_asks_nothing(kind, tmp_path):
    engine, cache = kind(log=tmp_path / "log"), tmp_path / "c.sqlite"
    numbers = [5, 3, 5, 8, 3, 13, 5, 1]
    heard = []
    texts, result = put(engine, numbers, cache, heard=heard)
    assert texts == [f"[{n}]" for n in numbers]
    assert (result.cached, result.stopped) == (0, None)
    assert Counter(asked(engine.log)) == Counter({f"how many are {n}": 1 for n in set(numbers)})
    assert sorted(heard) == sorted((f"[{n}]", False) for n in set(numbers))
    texts, result = put(engine, [*numbers, 21], cache)
    assert texts == [f"[{n}]" for n in [*numbers, 21]]
    assert result.cached == 5
    assert len(asked(engine.log)) == 6


@engines
def test_a_failure_is_an_answer_of_its_own_and_is_asked_again_next_time(kind, tmp_path):
    cache = tmp_path / "c.sqlite"
    texts, _ = put(kind(log=tmp_path / "log", fails="[37]$"), [1, 3, 5, 7], cache)
    assert texts == ["[1]", "it would not", "[5]", "it would not"]
    texts, result = put(kind(log=tmp_path / "log2"), [1, 3, 5, 7], cache)
    assert texts == ["[1]", "[3]", "[5]", "[7]"]
    assert result.cached == 2


@engines
def test_a_request_that_the_engine_forgets_is_a_recorded_failure(kind, tmp_path):
    texts, _ = put(kind(log=tmp_path / "log", forgets="[37]$"), [1, 3, 5, 7], tmp_path / "c.sqlite")
    assert texts == ["[1]", "the engine gave no reply", "[5]", "the engine gave no reply"]


@engines
def test_what_came_before_the_end_is_kept_and_the_end_is_told(kind, tmp_path):
    cache = tmp_path / "c.sqlite"
    with pytest.raises(DistillerError, match="the engine has died"):
        put(kind(log=tmp_path / "log", dies_after=4), range(10), cache)
    texts, result = put(kind(log=tmp_path / "log2"), range(10), cache)
    assert texts == [f"[{n}]" for n in range(10)]
    assert result.cached == 4
    assert len(asked(tmp_path / "log2")) == 6
    with pytest.raises(DistillerError, match="there is no model absent"):
        put(kind(log=tmp_path / "log"), [99], cache, model="absent")


@engines
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6)
@given(st.integers(0, 12), st.integers(0, 300))
def test_a_limit_is_never_passed_and_a_repetition_ends_at_the_same_place(kind, tmp_path_factory, window, most):
    folder = tmp_path_factory.mktemp("limit")
    engine, cache = kind(log=folder / "log", window=window + 1), folder / "c.sqlite"
    limits = {"tokens": float(most)}
    texts, result = put(engine, range(10, 30), cache, Limits(**limits))
    spent = sum(r.tokens_in + r.tokens_out for r in result.replies if r)
    assert spent <= most
    each = len("how many are 10") + 3
    assert result.stopped == ("max_tokens" if most < 20 * each else None)
    answered = [text for text in texts if text]
    assert len(answered) * each + each + 40 > min(most, 20 * each), (
        "it stopped although another reply would have fitted"
    )
    again, repeated = put(engine, range(10, 30), cache, Limits(**limits))
    assert again == texts
    assert repeated.stopped == result.stopped
    assert len(asked(engine.log)) == len(answered)
    whole, _ = put(engine, range(10, 30), cache)
    assert whole == [f"[{n}]" for n in range(10, 30)]
    assert len(asked(engine.log)) == 20


def test_money_and_time_are_limits_too(tmp_path):
    prices = Prices(input=1e6, output=0.0, currency="USD")  # one unit per token read
    texts, result = put(Counting(log=tmp_path / "log", window=1), range(10), tmp_path / "c", Limits(cost=40.0), prices)
    assert result.stopped == "max_cost"
    assert sum(text is not None for text in texts) == 2
    slow = Counting(log=tmp_path / "log2", delay=0.05, window=1, flavour=1)
    texts, result = put(slow, range(100), tmp_path / "c", Limits(seconds=0.4))
    assert result.stopped == "max_seconds"
    assert 1 < sum(text is not None for text in texts) < 12


JOB = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_asking import put
from counting_engine import Counting
texts, _ = put(Counting(log=Path(sys.argv[2]), delay=0.02), range(40), Path(sys.argv[3]))
print(*texts)
"""


def test_jobs_at_the_same_time_ask_every_request_once_between_them(tmp_path):
    words = [sys.executable, "-c", JOB, str(Path(__file__).parent), str(tmp_path / "log"), str(tmp_path / "c.sqlite")]
    jobs = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [job.communicate(timeout=120)[0].split() for job in jobs]
    assert said == [[f"[{n}]" for n in range(40)]] * 3
    assert Counter(asked(tmp_path / "log")) == Counter({f"how many are {n}": 1 for n in range(40)})
