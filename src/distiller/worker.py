"""Train a student in several processes: `python -m distiller.worker <request> [--node N]`, started by a run.

The worker starts one process per device of its machine (`--rank R`), watches them, and once all are done writes the student;
see `dispatch` for what is asked of it and `trainer.Trainer` for what decides how many processes there are.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distiller.algorithm.base import Algorithm, Teaching
from distiller.config import DistillerError
from distiller.dispatch import Request, died, last_words
from distiller.student.base import GradientStudent
from distiller.trainer import Place

#: Seconds between looks at the processes.
LOOK = 0.05


def main() -> None:
    """Do what the command line says; a fault ends it with exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m distiller.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("request", type=Path, help="folder that a run wrote")
    parser.add_argument("--node", type=int, default=0, help="number of this machine, from 0")
    parser.add_argument("--rank", type=int, help="number of this process among all; given by the worker")
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever was started with it ends when its starter does
    try:
        request = Request.read(chosen.request)
        if chosen.rank is not None:
            end_with_starter(lambda: os._exit(1))
            train(request, chosen.rank)
        else:
            lead(request, chosen.node)
    except DistillerError as error:
        if chosen.rank is not None:
            _fault(request, chosen.rank).write_text(str(error), encoding="utf-8")
        elif chosen.node:
            print(f"error: {error}", file=sys.stderr)
        else:
            print(json.dumps({"error": str(error)}), flush=True)
        sys.stdout.flush()
        os._exit(1)  # other processes may wait for this one in vain; nothing of theirs is waited for


def end_with_starter(end: Callable[[], None]) -> None:
    """Call `end` when standard input is closed: whoever started this process is gone, or wants no more of it."""

    def listen() -> None:
        while os.read(0, 4096):
            pass
        end()

    threading.Thread(target=listen, daemon=True).start()


def lead(request: Request, node: int) -> None:
    """Start the processes of this machine and wait for them; on the first machine, then write the student and tell facts.

    Raises:
        DistillerError: one of them ended before its time; the others are ended then.
    """
    trainer = request.trainer
    started: list[subprocess.Popen[bytes]] = []

    def stop() -> None:
        for process in started:
            process.kill()

    if not node:

        def gone() -> None:
            stop()
            os._exit(1)

        end_with_starter(gone)
    port = trainer.port or _free_port()
    ranks = range(node * trainer.devices, (node + 1) * trainer.devices)
    for local, rank in enumerate(ranks):
        _fault(request, rank).unlink(missing_ok=True)
        place = {
            "MASTER_ADDR": trainer.address or "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(trainer.processes),
            "NODE_RANK": str(node),
            "LOCAL_RANK": str(local),
            "RANK": str(rank),
        }
        with open(_log(request, rank), "wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "distiller.worker", os.fspath(request.place), "--rank", str(rank)],
                    stdin=subprocess.PIPE,
                    stdout=None if rank == 0 else log,
                    stderr=log,
                    env={**os.environ, **place},
                )
            )
    try:
        while True:
            codes = [process.poll() for process in started]
            if fallen := [(code, rank) for code, rank in zip(codes, ranks, strict=True) if code]:
                raise DistillerError(_why(request, fallen))
            if not any(code is None for code in codes):
                break
            time.sleep(LOOK)
    finally:
        stop()
        for process in started:
            process.wait()
    if not node:
        print(json.dumps({"facts": _written(request)}), flush=True)


def _why(request: Request, fallen: list[tuple[int, int]]) -> str:
    """One sentence about the process that brought the others down: those killed first, then those that gave a reason."""
    for _, rank in fallen:
        if _fault(request, rank).is_file():
            return _fault(request, rank).read_text(encoding="utf-8")
    code, rank = min(fallen)
    return f"process {rank} of {request.trainer.processes} that train {died(code)}{last_words(_log(request, rank))}"


def train(request: Request, rank: int) -> None:
    """Be one of the processes that train together; the first leaves what came out in the request's work folder."""
    from distiller.algorithm.lightning_fit import teach

    trainer = request.trainer
    if rank == 0:
        sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what libraries print belongs into the log
    threads = max(1, request.threads // trainer.devices)
    teaching = _teaching(request, threads, Place(rank, trainer.processes))
    teach(teaching.course, trainer, request.work, worker=True)


def _written(request: Request) -> dict[str, Any]:
    """The student as it was trained, written into the request's folder; returns facts."""
    from distiller.algorithm.pauses import OUTCOME, kept

    found = kept(request.work, OUTCOME)
    if found is None:
        raise DistillerError(
            f"the processes that train left nothing in {request.work}; are all machines on one file system?"
        )
    teaching = _teaching(request, request.threads, Place())
    teaching.course.restore(found["course"])
    teaching.course.settle()
    return teaching.report(request.folder)


def _teaching(request: Request, threads: int, place: Place) -> Teaching:
    algorithm, student = request.algorithm, request.student
    assert isinstance(algorithm, Algorithm)
    assert isinstance(student, GradientStudent)
    return algorithm.teaching(student, request.answered, request.trainer, threads, request.start, place)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _log(request: Request, rank: int) -> Path:
    return request.work / f"rank-{rank}.log"


def _fault(request: Request, rank: int) -> Path:
    return request.work / f"rank-{rank}.fault"


if __name__ == "__main__":
    main()
