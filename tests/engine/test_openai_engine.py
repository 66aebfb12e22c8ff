"""The engine against a real server on loopback that misbehaves on purpose."""

import json
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import psutil
import pytest
from loopback_answers import answer, digest
from loopback_server import FAULTS, Loopback, Plan
from openai_requests import asked, messages, no_variables, numbered, one, question  # noqa: F401
from pydantic import ValidationError

from distiller.config import DistillerError, identity
from distiller.engine.openai import OpenAI

KEY = "sk-very-secret-0123456789"


# ---- faults


def test_two_thousand_requests_end_with_one_reply_each_or_one_recorded_failure():
    weights = {**dict.fromkeys(FAULTS, 1.0), "limit_with_pause": 0.3, "hang": 0.3}
    plan = Plan(seed=4, faulty=0.25, odd=0.05, refused=0.03, kinds=weights, latency=0.002, hang=4.0, retry_after="0.05")
    count = 2000
    with Loopback(plan) as server:
        engine = OpenAI(url=server.url, concurrency=32, timeout=1.5, attempts=12, patience=120)
        replies = asked(engine, numbered(count))
        log = server.log()
    assert sorted(replies) == list(range(count))
    refused = {n for n in range(count) if plan.refuses(messages(question(n)))}
    assert 20 < len(refused) < 120
    assert {n for n, reply in replies.items() if reply.error} == refused
    wrong = {entry["prompt"] for entry in log if entry["fault"] == "wrong_option"}
    assert {entry["fault"] for entry in log} == {"", "refuse", "wrong_option", "duplicate_choices", *FAULTS}
    for number, reply in replies.items():
        if number in refused:
            assert reply.text is None
            assert reply.finish == "error"
            assert "400" in reply.error
        else:
            said = messages(question(number))
            assert reply.text == ("[99]" if digest(said) in wrong else answer({"messages": said}))
            assert reply.finish == "stop"
            assert reply.tokens_in > reply.tokens_out > 0
            assert 0 < reply.seconds < 1.6


def test_nothing_is_asked_twice_and_never_more_than_allowed_at_a_time():
    supplied, done, furthest = 0, 0, 0

    def supply():
        nonlocal supplied, furthest
        for number in range(300):
            furthest = max(furthest, supplied - done)
            supplied += 1
            yield number, question(number)

    with Loopback(Plan(latency=0.01)) as server:
        with OpenAI(url=server.url, concurrency=7).open("loopback", None) as model:
            for _ in model.replies(supply()):
                done += 1
        log = server.log()
        assert server.most_at_once == 7
    assert done == len(log) == len({entry["body"] for entry in log}) == 300
    assert furthest == 6  # ahead of the replies before it was pulled once more


def test_the_supply_may_end_at_any_moment():
    replies = {}

    def supply():
        for number in range(1000):
            if len(replies) >= 20:  # as a budget that is used up
                return
            yield number, question(number)

    with Loopback(Plan(latency=0.01)) as server:
        with OpenAI(url=server.url, concurrency=4).open("loopback", None) as model:
            for number, reply in model.replies(supply()):
                replies[number] = reply  # noqa: PERF403 - the supply looks at it
        assert sorted(replies) == list(range(len(server.log())))
    assert 20 <= len(replies) <= 24


def test_a_pause_that_the_server_asks_for_holds_for_all_requests():
    pause = 0.8
    plan = Plan(seed=2, faulty=0.3, most=1, kinds={"limit_with_pause": 1.0}, retry_after=str(pause))
    with Loopback(plan) as server:
        replies = asked(OpenAI(url=server.url, concurrency=6), numbered(20))
        log = server.log()
    assert not [reply for reply in replies.values() if reply.error]
    paused = [entry["time"] for entry in log if entry["fault"]]
    assert len(paused) > 3
    for moment in paused:  # what was already under way may still arrive
        assert not [e for e in log if moment + 0.3 < e["time"] < moment + pause]


def test_rate_limits_alone_use_up_no_attempts():
    plan = Plan(faulty=1.0, most=3, kinds={"limit_with_pause": 1.0}, retry_after="0.05")
    with Loopback(plan) as server:
        replies = asked(OpenAI(url=server.url, concurrency=2, attempts=1), numbered(6))
    assert {reply.finish for reply in replies.values()} == {"stop"}


def test_a_pause_longer_than_patience_ends_in_a_recorded_failure_without_another_attempt():
    with Loopback(Plan(always="limit_with_pause", retry_after="3600")) as server:
        reply = one(server, question(0), patience=30)
        assert len(server.log()) == 1
    assert reply.finish == "error"
    assert "429" in reply.error


@pytest.mark.parametrize("fault", ["error_500", "hang", "cut_before", "garbage", "limit"])
def test_a_dead_server_is_noticed_early(fault):
    with Loopback(Plan(always=fault, hang=5.0)) as server:
        engine = OpenAI(url=server.url, concurrency=4, timeout=0.2, attempts=2, patience=3, breaker=3)
        start = time.monotonic()
        with pytest.raises(DistillerError, match=r"held for dead.*no reply came") as told:
            asked(engine, numbered(100_000))
        assert time.monotonic() - start < 12
        assert server.url in str(told.value)
        bound = (3 + 4) * (2 if fault != "limit" else 20)
        assert 3 <= len(server.log()) <= bound


def test_one_request_at_a_time_does_not_put_off_the_end():
    with Loopback(Plan(always="error_503")) as server:
        engine = OpenAI(url=server.url, concurrency=1, attempts=1000, patience=1, breaker=2)
        start = time.monotonic()
        with pytest.raises(DistillerError, match="held for dead"):
            asked(engine, numbered(100_000))
        assert time.monotonic() - start < 5


def test_what_came_before_the_server_died_is_kept():
    replies = {}

    def ask_and_stop(server, model):
        for number, reply in model.replies(numbered(100_000)):
            replies[number] = reply
            if len(replies) == 10:
                server.stop()

    with Loopback() as server:
        engine = OpenAI(url=server.url, concurrency=3, attempts=2, patience=5, breaker=2)
        with engine.open("loopback", None) as model, pytest.raises(DistillerError, match="no connection") as told:
            ask_and_stop(server, model)
    came = sum(reply.error is None for reply in replies.values())
    assert f"; {came} replies came and are kept, the same command goes on from there" in str(told.value)
    assert 10 <= came <= 12


def test_a_server_that_comes_back_in_time_goes_unnoticed(tmp_path):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    started = []
    timer = threading.Timer(1.0, lambda: started.append(Loopback(port=port)))
    timer.start()
    try:
        engine = OpenAI(url=f"http://127.0.0.1:{port}/v1", concurrency=8, attempts=12)
        replies = asked(engine, numbered(40))
    finally:
        timer.join()
        started[0].stop()
    assert {reply.finish for reply in replies.values()} == {"stop"}


# ---- closing


def soon(holds):
    """Whether this becomes true within some seconds."""
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def connections_to(server):
    """Open connections of this process to the server, seen from the client's end."""
    every = psutil.Process().net_connections("tcp")
    return [c for c in every if c.raddr and c.raddr.port == server.port and c.status == "ESTABLISHED"]


def test_closing_the_replies_early_leaves_nothing_running():
    free = threading.Event()

    def answers(body):
        if "query 0:" not in body["messages"][0]["content"]:
            free.wait(30)
        return "[0]"

    threads = threading.active_count()
    with Loopback(answers=answers) as server:
        with OpenAI(url=server.url, concurrency=8).open("loopback", None) as model:
            replies = model.replies(numbered(1000))
            assert next(replies)[0] == 0
            start = time.monotonic()
            replies.close()
            assert time.monotonic() - start < 1
            assert soon(lambda: len(connections_to(server)) <= 1)  # that of the request that was answered
            free.set()
            again = dict(model.replies(numbered(5)))  # the model itself is as good as before
            assert len(again) == 5
        assert soon(lambda: not connections_to(server))
        assert not [t for t in threading.enumerate() if t.name == "event-loop"]
    assert soon(lambda: threading.active_count() <= threads)


def test_a_fault_of_the_supply_is_passed_on_and_ends_all():
    def supply():
        yield from numbered(3)
        raise KeyError("supply")

    with (
        Loopback(Plan(latency=0.2)) as server,
        OpenAI(url=server.url).open("loopback", None) as model,
        pytest.raises(KeyError, match="supply"),
    ):
        list(model.replies(supply()))


# ---- the key


def test_a_wrong_key_is_one_sentence_that_never_shows_it(monkeypatch, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("MY_KEY", KEY)
    with Loopback(key="another") as server:
        engine = OpenAI(url=server.url, key_variable="MY_KEY")
        for work in (lambda: engine.check("loopback", None), lambda: asked(engine, numbered(50))):
            with pytest.raises(DistillerError, match=r"rejects the API key \(401\): set the variable MY_KEY") as told:
                work()
            assert "\n" not in str(told.value)
            assert KEY not in "".join(traceback.format_exception(told.value))
        assert not server.log()
    for shown in (repr(engine), json.dumps(identity(engine)), caplog.text):
        assert KEY not in shown


def test_a_server_that_repeats_the_key_does_not_bring_it_into_replies(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Loopback(refuses=lambda body: {"error": {"message": f"your key {KEY} is tired"}}) as server:
        reply = one(server, question(0))
    assert reply.error == "the server refused the request (400: your key *** is tired)"


def test_the_right_key_is_sent_also_with_blanks_around_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    with Loopback(key=KEY) as server:
        OpenAI(url=server.url).check("loopback", None)
        assert one(server, question(0)).finish == "stop"


@pytest.mark.parametrize("key", [f"{KEY} {KEY}", f"{KEY}é", f"{KEY}\r\nX: y"])
def test_a_key_that_is_none_is_refused_without_showing_it(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(DistillerError, match="OPENAI_API_KEY holds no API key") as told:
        OpenAI(url="http://127.0.0.1:9/v1").check("x", None)
    assert "secret" not in str(told.value)


def test_without_address_and_key_the_variable_is_named():
    for work in (lambda: OpenAI().check("x", None), lambda: asked(OpenAI(), [])):
        with pytest.raises(DistillerError, match="OPENAI_API_KEY is not set"):
            work()


def test_the_address_may_come_from_the_environment(monkeypatch):
    with Loopback() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        OpenAI().check("loopback", None)
        assert asked(OpenAI(), numbered(1))[0].finish == "stop"
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(DistillerError, match="OPENAI_BASE_URL must be an address like"):
        OpenAI().check("loopback", None)


# ---- check


def test_check_tells_a_server_that_is_down_within_five_seconds():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://someone:{KEY}@127.0.0.1:{closed.getsockname()[1]}/v1"
        start = time.monotonic()
        with pytest.raises(DistillerError, match=r"does not answer.*correct engine.url") as told:
            OpenAI(url=url).check("x", None)
        assert time.monotonic() - start < 5
    assert KEY not in str(told.value)


def test_check_tells_a_server_that_takes_connections_but_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(DistillerError, match=r"does not answer \(nothing came within 5 s"):
            OpenAI(url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1").check("x", None)
        assert time.monotonic() - start < 6


def test_check_knows_which_models_a_server_lists():
    with Loopback(models=("qwen2.5:latest", "models/gemma", "llama-8b")) as server:
        for known in ("qwen2.5", "gemma", "llama-8b"):
            OpenAI(url=server.url).check(known, None)
        with pytest.raises(DistillerError, match="does not know the model llama-8; did you mean 'llama-8b'"):
            OpenAI(url=server.url).check("llama-8", None)
    many = tuple(f"m{i}" for i in range(300))
    with Loopback(models=many) as server, pytest.raises(DistillerError, match="the model llama, but 300 others"):
        OpenAI(url=server.url).check("llama", None)


def test_check_accepts_a_server_that_lists_no_models():
    for models in (None, ()):
        with Loopback(models=models) as server:
            OpenAI(url=server.url).check("anything", None)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(DistillerError, match=r"pip install 'distiller-er\[openai\]'"):
        OpenAI(url="http://127.0.0.1:9/v1").check("x", None)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", ""])
def test_what_is_no_address_is_a_fault_of_the_configuration(url):
    with pytest.raises(ValidationError, match="must be an address like"):
        OpenAI(url=url)


def test_an_address_without_its_v1_is_told_with_the_first_request():
    with Loopback() as server, pytest.raises(DistillerError, match=r"404.*usually ends in /v1"):
        asked(OpenAI(url=server.url.removesuffix("/v1")), numbered(20))


# ---- the server itself, in a process of its own


def test_the_server_counts_on_from_its_log_after_it_was_killed(tmp_path):
    log, script = tmp_path / "log.jsonl", Path(__file__).with_name("loopback_server.py")
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"faulty": 1.0, "most": 1, "kinds": {"error_500": 1.0}}))
    for life in (1, 2):
        port = tmp_path / f"port-{life}"
        words = ["--port-file", str(port), "--faults", str(plan), "--log", str(log), "--model", "m"]
        process = subprocess.Popen([sys.executable, str(script), *words])
        try:
            while not port.exists():
                assert process.poll() is None
                time.sleep(0.02)
            engine = OpenAI(url=f"http://127.0.0.1:{port.read_text()}/v1", attempts=2)
            engine.check("m", None)
            assert {reply.finish for reply in asked(engine, numbered(10), "m").values()} == {"stop"}
        finally:
            process.kill()
            process.wait()
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(entries) == {1: 20, 2: 30}[life]  # one fault per body, remembered in the second life
        assert max(entry["number"] for entry in entries) == life + 1


def test_a_forecast_knows_how_many_requests_are_under_way_at_a_time():
    assert OpenAI(concurrency=8).parallel() == 8
