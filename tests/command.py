"""Runs `python run.py ...` as a user does, in a process of its own.

Starting Python and importing takes over a second, so one process imports what every command needs and then forks once per
command; the child becomes the program, with its own folder, environment, arguments and output.
"""

import csv
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN = Path(__file__).parents[1] / "run.py"
QUIET = "logger=none"
SMALL = ["dataset.queries=120", "dataset.candidates=150", "student.rounds=20"]


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command: this one's, without a terminal, with changes."""
    return {**os.environ, "COLUMNS": "120", "WANDB_MODE": "offline", **changes}


def run_alone(*words: str, folder: Path, **changes: str) -> Outcome:
    """The command in a fresh Python, in `folder`."""
    ran = subprocess.run(
        [sys.executable, str(RUN), *words],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Outcome(ran.returncode, ran.stdout, ran.stderr)


class Commands:
    """A process that forks one child per command."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )

    def __call__(
        self, *words: str, folder: Path, kill_after: float | None = None, program: Path = RUN, **changes: str
    ) -> Outcome:
        """The command in `folder`, which is also where it writes if nothing else is said; program: what is run instead.

        kill_after: seconds after which it is killed with all its children, if it still runs; its code is then -9.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as said:
            job = {"words": words, "folder": str(folder), "changes": changes, "said": said, "program": str(program)}
            print(json.dumps([job, kill_after]), file=self._process.stdin, flush=True)
            code = json.loads(self._process.stdout.readline())
            out, err = (Path(said, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return Outcome(code, out, err)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def here(folder: Path) -> list[str]:
    """Words that keep a run inside a folder."""
    return [f"hydra.run.dir={folder}/run", f"store.root={folder}/store"]


def tabled(folder: Path, **changes: str) -> list[str]:
    """Words that choose the tables of a folder; changes are other values of the dataset's fields."""
    fields = {"queries": f"{folder}/a.csv", "candidates": f"{folder}/b.csv", "query_id": "key", "candidate_id": "key"}
    return ["dataset=tables", *(f"dataset.{name}={value}" for name, value in {**fields, **changes}.items())]


def kept(store: Path) -> dict[str, tuple[int, int]]:
    """Every artifact's manifest in a store, with what changes if it is written anew."""
    found = {p: p.stat() for p in store.glob("*/*/manifest.json")}
    return {p.parent.relative_to(store).as_posix(): (s.st_ino, s.st_mtime_ns) for p, s in found.items()}


def card(folder: Path) -> dict[str, Any]:
    """The scorecard of a run."""
    return json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))


def scores(card: dict[str, Any]) -> dict[str, Any]:
    """What of a scorecard must not change when a run is repeated."""
    parts = {**card["datasets"], "mean": card["mean"]}
    return {name: {who: each.get(who) for who in ("blocking", "teacher", "student")} for name, each in parts.items()}


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def succeeded(outcome: Outcome) -> Outcome:
    """The outcome, after it is clear that it is a good one."""
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err
    return outcome


def _become(words: list[str], folder: str, changes: dict[str, str], said: str, program: str) -> None:
    os.chdir(folder)
    os.environ.update(changes)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(said, name), os.O_WRONLY | os.O_CREAT), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [program, *words]
    # Where Python itself would look for modules: beside the program, then in PYTHONPATH.
    sys.path[:0] = [str(Path(program).parent), *filter(None, changes.get("PYTHONPATH", "").split(os.pathsep))]
    runpy.run_path(program, run_name="__main__")


def _serve() -> None:
    import hydra
    import lightgbm  # noqa: F401
    import rapidfuzz  # noqa: F401
    import sklearn.naive_bayes  # noqa: F401

    import distiller.pipeline
    import distiller.scorecard  # noqa: F401

    # The parsers of Hydra and OmegaConf are slow at first use and remember what they learnt.
    with hydra.initialize_config_dir(str(RUN.parent / "conf"), version_base="1.3"):
        hydra.compose("config", ["dataset.seed=1", "logger=none", "+store.x=${seed}/a-b.c"])

    for line in sys.stdin:
        job, kill_after = json.loads(line)
        child = os.fork()
        if not child:
            os.setsid()
            _become(**job)
            sys.exit(0)
        end = None if kill_after is None else time.monotonic() + kill_after
        ended, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        while not ended:
            time.sleep(0.002)
            if end is not None and time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                end = None
            ended, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    _serve()
