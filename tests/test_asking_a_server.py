"""Runs that ask a paid server: whatever happens to them, every reply is paid for once, and none is missing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from command import QUIET, RUN, card, environment, here, succeeded

SERVER = Path(__file__).parent / "engine" / "loopback_server.py"
QUERIES = 1000


@contextmanager
def serving(folder, plan):
    """The URL of a server in a process of its own, and the file in which it writes down every request."""
    port, log = folder / "port", folder / "requests.log"
    words = ["--port-file", str(port), "--faults", json.dumps(plan), "--log", str(log), "--model", "tiny"]
    server = subprocess.Popen([sys.executable, str(SERVER), *words])
    try:
        end = time.monotonic() + 30
        while not (port.exists() and port.read_text().strip()):
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port.read_text().strip()}/v1", log
    finally:
        server.kill()
        server.wait()


def asking(url, folder):
    return [
        *(
            f"dataset.queries={QUERIES + 60}",
            "dataset.candidates=1500",
            f"selector.budget={QUERIES}",
            "selector=random",
        ),
        *("teacher=openai", "teacher.model=tiny", f"teacher.engine.url={url}", "teacher.engine.concurrency=8"),
        *("elicitation@teacher.elicitation=label", "until=elicit", QUIET, *here(folder)),
    ]


def test_after_ten_kills_every_one_of_a_thousand_queries_was_asked_exactly_once(tmp_path):
    with serving(tmp_path, {"latency": 0.05}) as (url, log):
        words = [sys.executable, str(RUN), *asking(url, tmp_path)]
        chance, killed = random.Random(7), 0
        for _ in range(10):
            enough = len(entries(log)) + chance.randint(5, 90)
            run = subprocess.Popen(
                words, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True
            )
            while run.poll() is None and len(entries(log)) < enough:
                time.sleep(0.01)
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                killed += 1
            run.wait()
        assert killed == 10, "the kills came too late to be any test"
        finished = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
        assert finished.returncode == 0, finished.stderr
        spent = card(tmp_path / "run")["datasets"]["synthetic"]["spent"]
        asked = Counter(entry["body"] for entry in entries(log))
        assert (spent["requests"], spent["failures"]) == (QUERIES, 0)
        assert len(asked) == QUERIES
        again = sum(asked.values()) - len(asked)
        assert not again, f"{again} requests were paid for twice"


def entries(log):
    """Requests that the server has seen so far."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_second_job_of_a_sweep_that_needs_the_same_answers_asks_nothing(command, tmp_path):
    with serving(tmp_path, {}) as (url, log):
        words = [
            "dataset.queries=120",
            "dataset.candidates=150",
            "selector.budget=30",
            "teacher=openai",
            "teacher.model=tiny",
        ]
        words += [f"teacher.engine.url={url}", "trainer=smoke", QUIET, f"store.root={tmp_path}/store"]
        sweep = ["-m", "student=boosted,comparator", f"hydra.sweep.dir={tmp_path}/sweep"]
        succeeded(command(*sweep, *words, folder=tmp_path))
        assert len(entries(log)) == 30
        jobs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/scorecard.json"))
        cards = [card(job)["datasets"]["synthetic"] for job in jobs]
        assert len(cards) == 2
        assert cards[0]["spent"] == cards[1]["spent"]
        assert cards[0]["spent"]["requests"] == 30
        assert cards[0]["spent"]["tokens_in"] > 0
        assert cards[0]["keys"]["teacher"] == cards[1]["keys"]["teacher"]
        assert cards[0]["explanations"]["rationale_explained"] > 0
        more = ["selector.budget=40", f"hydra.run.dir={tmp_path}/more", "until=elicit"]
        succeeded(command(*words, *more, folder=tmp_path))
        assert len(entries(log)) == len({entry["body"] for entry in entries(log)}) <= 40 + 30


def test_the_price_is_said_before_anything_is_asked_and_a_budget_is_kept(command, tmp_path):
    with serving(tmp_path, {}) as (url, log):
        words = [
            "dataset.queries=200",
            "dataset.candidates=250",
            "selector.budget=100",
            "teacher=openai",
            "teacher.model=tiny",
        ]
        words += [f"teacher.engine.url={url}", "teacher.prices.input=2", "teacher.prices.output=8", QUIET]
        words += [f"store.root={tmp_path}/store"]
        said = succeeded(command(*words, "until=forecast", f"hydra.run.dir={tmp_path}/ahead", folder=tmp_path))
        assert "100 of 100 prompts to ask" in said.err
        assert "USD" in said.err
        assert not entries(log)
        low, _, high = card(tmp_path / "ahead")["datasets"]["synthetic"]["forecast"]["cost"]
        limit = low / 2
        part = [f"budget.max_cost={limit}", "until=elicit", f"hydra.run.dir={tmp_path}/part"]
        said = succeeded(command(*words, *part, folder=tmp_path))
        assert "then budget.max_cost was used up" in said.err
        spent = card(tmp_path / "part")["datasets"]["synthetic"]["spent"]
        assert 0 < spent["cost"] <= limit
        assert spent["stopped"] == "max_cost"
        asked = len(entries(log))
        assert asked == spent["requests"] < 100
        whole = ["until=elicit", f"hydra.run.dir={tmp_path}/whole"]
        succeeded(command(*words, *whole, folder=tmp_path))
        assert len(entries(log)) == 100
        spent = card(tmp_path / "whole")["datasets"]["synthetic"]["spent"]
        assert spent["cached"] == asked
        assert low <= spent["cost"] <= high


def test_a_server_that_dies_ends_the_run_in_one_sentence_and_the_same_command_goes_on(command, tmp_path):
    words = [
        "dataset.queries=200",
        "dataset.candidates=250",
        "selector.budget=60",
        "teacher=openai",
        "teacher.model=tiny",
    ]
    words += ["until=elicit", QUIET, "teacher.engine.patience=1", "teacher.engine.attempts=2", *here(tmp_path)]
    plan = {"always": "error_503"}
    with serving(tmp_path, plan) as (url, log):
        outcome = command(*words, f"teacher.engine.url={url}", folder=tmp_path)
        assert outcome.code == 1
        assert "Traceback" not in outcome.err
        assert "no reply came" in outcome.err
        assert len(entries(log)) < 60
    (tmp_path / "port").unlink()
    with serving(tmp_path, {}) as (url, _):
        succeeded(command(*words, f"teacher.engine.url={url}", folder=tmp_path))
    assert card(tmp_path / "run")["datasets"]["synthetic"]["spent"]["failures"] == 0
