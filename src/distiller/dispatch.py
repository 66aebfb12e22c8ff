"""Have a student trained by several processes: what is asked of the worker, on disk, and how its end is taken.

The run writes a request, a folder, and starts `python -m distiller.worker <folder>`, which starts one process per device; none
of them ever enters the pipeline. They talk in lines of JSON on standard output and end when the run does: each holds the
reading end of a pipe that closes with whoever started it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.config import Component, DistillerError, rebuilt, written
from distiller.records import Records
from distiller.store import Store
from distiller.task import Task
from distiller.trainer import Trainer

#: Inside the folder of a training: what is asked, and what the worker itself has to say.
REQUEST, LOG = "request", "worker.log"
#: So many last lines of a log are told.
LINES = 3


@dataclass(frozen=True)
class Request:
    """What a worker is to do: train `student` by `algorithm` on the answers to all tasks and write it into `folder`.

    start: what the student goes on from. work: folder of this training, for what it keeps and its logs.
    """

    algorithm: Component
    student: Component
    trainer: Trainer
    answered: list[tuple[Task, AnswerSet]]
    start: Checkpoint | None
    threads: int
    work: Path
    folder: Path

    @property
    def place(self) -> Path:
        """The folder in which it is written down."""
        return self.work.absolute() / REQUEST

    def write(self) -> None:
        """Write it down: components as JSON, tables as files, without gold."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        tasks = []
        for i, (task, answers) in enumerate(self.answered):
            inside = self.place / str(i)
            for part in ("candidates", "answers"):
                (inside / part).mkdir(parents=True)
            _write(task.records.queries, inside / "queries.arrow")
            _write(task.records.candidates, inside / "listed.arrow")
            task.candidates.write(inside / "candidates")
            answers.write(inside / "answers")
            tasks.append(
                {
                    "name": task.name,
                    "records": task.records.key,
                    "candidates": task.candidates.key,
                    "answers": answers.key,
                    "store": os.fspath(task.store.root.absolute()),
                }
            )
        whole = {
            "path": sys.path,  # a component from outside the package must be found there, too
            "algorithm": written(self.algorithm),
            "student": written(self.student),
            "trainer": written(self.trainer),
            "tasks": tasks,
            "start": self.start and [os.fspath(self.start.folder.absolute()), self.start.key],
            "threads": self.threads,
            "work": os.fspath(self.work.absolute()),
            "folder": os.fspath(self.folder.absolute()),
        }
        (self.place / "request.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, place: Path) -> "Request":
        """The request that was written into this folder; from then on its components are found where the run finds them.

        Raises:
            DistillerError: there is none.
        """
        try:
            whole = json.loads((place / "request.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DistillerError(f"{place} holds no request; the run that asks for one says where it lies") from error
        sys.path[:] = whole["path"]
        answered = []
        for i, told in enumerate(whole["tasks"]):
            inside = place / str(i)
            records = Records(told["name"], _read(inside / "queries.arrow"), _read(inside / "listed.arrow"))
            records.__dict__["key"] = told["records"]
            candidates = CandidateSet.read(inside / "candidates")
            answers = AnswerSet.read(inside / "answers")
            candidates.key, answers.key = told["candidates"], told["answers"]
            task = Task(records, candidates, Store(root=Path(told["store"])), whole["threads"])
            answered.append((task, answers))
        start = whole["start"] and Checkpoint(Path(whole["start"][0]), key=whole["start"][1])
        return cls(
            rebuilt(whole["algorithm"]),
            rebuilt(whole["student"]),
            rebuilt(whole["trainer"]),
            answered,
            start,
            whole["threads"],
            Path(whole["work"]),
            Path(whole["folder"]),
        )


def _write(table: pa.Table, path: Path) -> None:
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)


def _read(path: Path) -> pa.Table:
    with pa.OSFile(os.fspath(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()


def dispatched(request: Request) -> dict[str, Any]:
    """Have a worker do what is asked; returns facts about the training.

    Raises:
        DistillerError: a process ended before its time, or found something the user can mend; one sentence.
    """
    request.write()
    nodes = request.trainer.num_nodes
    if nodes > 1:
        print(
            f"training waits for {nodes - 1} more machines; start there, for N from 1:\n"
            f"  python -m distiller.worker {request.place} --node N",
            file=sys.stderr,
        )
    log = request.work / LOG
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "distiller.worker", os.fspath(request.place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            encoding="utf-8",
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for line in process.stdout:
            event = json.loads(line)
            if "error" in event:
                raise DistillerError(event["error"])
            if "facts" in event:
                return event["facts"]
            print(progress(event), file=sys.stderr, flush=True)
        raise DistillerError(f"the worker that trains {died(process.wait())}{last_words(log)}")
    finally:
        process.stdin.close()  # tells it that nobody waits any more
        process.stdout.close()
        process.wait()


def progress(event: dict[str, Any]) -> str:
    """How far a training is, in words."""
    said = f"training: step {event['step']:,} of about {event['steps']:,}"
    if "epoch" in event:
        said += f", loss {event['learnt']:.4f} in epoch {event['epoch'] + 1}, {event['unseen']:.4f} on unseen queries"
    return said


def died(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"was ended by signal {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")


def last_words(log: Path) -> str:
    """The last lines of a log as the rest of a sentence, with where to find it."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = " | ".join(line[:300] for line in lines[-LINES:])
    return f"; the last it said, in {log}: {said or 'nothing'}; the same command goes on from where it was kept last"
