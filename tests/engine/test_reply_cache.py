"""Replies are kept under their whole request, shared by all processes, and never lost or paid for twice."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distiller.config import DistillerError
from distiller.engine.base import Reply, Request, request_key
from distiller.engine.reply_cache import Asker, ReplyCache

ASKER = Asker("small", "main", {"class": "engine", "dtype": "float32"})
texts = st.text(st.characters(codec="utf-8"), max_size=20)
requests = st.builds(
    Request,
    messages=st.lists(st.tuples(st.sampled_from(["system", "user"]), texts), min_size=1, max_size=3).map(tuple),
    mode=st.sampled_from(["generate", "score"]),
    options=st.lists(texts, max_size=3).map(tuple),
    schema=st.none() | texts,
    max_tokens=st.integers(1, 500),
    temperature=st.floats(0, 2),
    sample=st.integers(0, 5),
    stop=st.lists(texts, max_size=2).map(tuple),
)
replies = st.builds(
    Reply,
    text=texts,
    scores=st.none() | st.lists(st.floats(-50, 0), max_size=4).map(tuple),
    tokens_in=st.integers(0, 9999),
    tokens_out=st.integers(0, 9999),
    seconds=st.floats(0, 100),
    finish=st.sampled_from(["stop", "length"]),
)
steady = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture
def cache(tmp_path):
    with ReplyCache(tmp_path / "store" / "replies.sqlite") as opened:
        yield opened


def request(text="a question", **fields):
    return Request((("user", text),), **fields)


@steady
@given(requests, replies)
def test_a_reply_comes_back_as_it_was_kept(cache, asked, reply):
    key = ASKER.key(asked)
    before = cache.get(key)
    cache.put(ASKER, asked, reply)
    assert cache.get(key) == (reply if before is None else before)
    assert Request.from_json(json.loads(json.dumps(asked.as_json()))) == asked


@steady
@given(requests, st.data())
def test_a_change_of_any_single_field_is_another_key(cache, asked, data):
    key = ASKER.key(asked)
    for name in Request.__dataclass_fields__:
        other = data.draw(requests.filter(lambda r, n=name: getattr(r, n) != getattr(asked, n)))
        changed = replace(asked, **{name: getattr(other, name)})
        assert ASKER.key(changed) != key, name
    for asker in (replace(ASKER, model="x"), replace(ASKER, revision=None), replace(ASKER, engine={"class": "engine"})):
        assert asker.key(asked) != key
    assert request_key("small", "main", ASKER.engine, replace(asked)) == key


def test_a_failure_is_not_kept_and_a_second_reply_does_not_replace_the_first(cache):
    cache.put(ASKER, request(), Reply(finish="error", error="no"))
    assert cache.get(ASKER.key(request())) is None
    cache.put(ASKER, request(), Reply("[1]"))
    cache.put(ASKER, request(), Reply("[2]"))
    assert cache.get(ASKER.key(request())) == Reply("[1]")
    assert cache.count() == 1
    assert cache.knows(ASKER)
    assert not cache.knows(replace(ASKER, revision=None))


def test_what_is_exported_can_be_imported_and_nothing_is_added_twice(cache, tmp_path):
    for n in range(5):
        cache.put(ASKER, request(f"question {n} é"), Reply(f"[{n}]", tokens_in=n))
    lines = list(cache.lines())
    with ReplyCache(tmp_path / "other.sqlite") as other:
        assert other.add_lines(lines[:3], "a file") == (3, 0)
        assert other.add_lines(lines, "a file") == (2, 3)
        assert list(other.lines()) == lines


@pytest.mark.parametrize(
    "broken", ["{", "[]", '{"model": "m"}', "null", '{"model":"m","revision":null,"engine":{},"made":1}']
)
def test_a_line_that_is_no_entry_is_named_and_nothing_is_imported(cache, broken):
    cache.put(ASKER, request(), Reply("[1]"))
    (good,) = cache.lines()
    with ReplyCache(cache.path.with_name("other.sqlite")) as other:
        with pytest.raises(
            DistillerError, match=r"shared.jsonl, line 2 is no entry of a reply cache .* nothing was imported"
        ):
            other.add_lines([good, broken], "shared.jsonl")
        assert other.count() == 0


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_text("not a database, though it is long enough to look at " * 50)
    with pytest.raises(DistillerError, match=r"reply cache .*replies.sqlite cannot be used .*store.root="):
        ReplyCache(path)


CLAIMS = """
import sys, time
from pathlib import Path
from distiller.engine.reply_cache import ReplyCache
cache = ReplyCache(Path(sys.argv[1]))
print(cache.claim("abc" * 10), flush=True)
time.sleep(60)
"""


def test_a_claim_holds_between_processes_and_ends_with_its_owner_however_that_dies(cache):
    other = subprocess.Popen([sys.executable, "-c", CLAIMS, str(cache.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == "True"
        assert not cache.claim("abc" * 10)
        assert cache.claim("def" * 10)
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        other.stdout.close()
    assert cache.claim("abc" * 10)


def test_two_caches_in_one_process_respect_each_others_claims(cache):
    with ReplyCache(cache.path) as second:
        assert cache.claim("0abc")
        assert cache.claim("0abc"), "a claim that is held already is still ours"
        assert not second.claim("0abc")
        cache.release("0abc")
        assert second.claim("0abc")
    assert cache.claim("0abc"), "closing a cache gives its claims back"


WRITES = """
import sys
from pathlib import Path
from distiller.engine.base import Reply, Request
from distiller.engine.reply_cache import Asker, ReplyCache
with ReplyCache(Path(sys.argv[1])) as cache:
    for n in range(200):
        cache.put(Asker("small", None, {}), Request((("user", f"{n * (1 + n % 2 * int(sys.argv[2]))}"),)), Reply(f"[{n}]"))
"""


def test_processes_that_write_at_the_same_time_lose_nothing(cache):
    writers = [subprocess.Popen([sys.executable, "-c", WRITES, str(cache.path), str(i)]) for i in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    expected = {n * (1 + n % 2 * i) for i in range(3) for n in range(200)}
    assert cache.count() == len(expected)


def test_a_writer_killed_at_any_moment_leaves_a_whole_cache(cache):
    for delay in (0.3, 0.4, 0.5, 0.7):
        writer = subprocess.Popen([sys.executable, "-c", WRITES, str(cache.path), "0"])
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        for line in cache.lines():
            entry = json.loads(line)
            assert entry["reply"]["text"] == f"[{entry['request']['messages'][0][1]}]"
