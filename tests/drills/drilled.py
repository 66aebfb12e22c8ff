"""Scenes that change something on disk, each played in a process of its own that may be disturbed at any single change.

A server imports what the scenes need and forks one child per try; `Stage` talks to it. With `faults.c` loaded before the C
library, whatever writes is seen: Python, Arrow, SQLite, PyTorch.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACTIONS = {"none": 0, "kill": 1, "torn": 2, "full": 3, "broken": 4, "locked": 5}
LIMIT = 60.0  # seconds after which a try is held for one that waits for ever


@dataclass(frozen=True)
class Try:
    """How one try ended. code: exit code, -9 if killed, None if it had to be ended. said: a fault in one sentence.

    fault: a fault that nobody could mend, with its traceback. count: changes that were seen. kept: what the scene had been
    promised by then.
    """

    code: int | None
    result: Any = None
    said: str | None = None
    fault: str | None = None
    count: int = 0
    kept: list[Any] = field(default_factory=list)


class Stage:
    """The process that forks one child per try."""

    def __init__(self, library: Path):
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
        )

    def __call__(self, scene: str, folder: Path, **how: Any) -> Try:
        """Play a scene in a folder.

        action, at: what is done to which change. user: number of the user that plays. umask: of that user. clock: seconds by
        which the clock jumps.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"scene": scene, "folder": str(folder), **how}), file=self._process.stdin, flush=True)
        return Try(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def main() -> None:
    """Play what standard input asks for, one line of JSON each."""
    library = ctypes.CDLL(sys.argv[1])
    import scenes

    for line in sys.stdin:
        asked = json.loads(line)
        there, here = os.pipe()
        child = os.fork()
        if not child:
            os.close(there)
            _play(scenes.SCENES[asked["scene"]], library, here, asked)
        os.close(here)
        print(json.dumps(_watched(child, there)), flush=True)


def _watched(child: int, pipe: int) -> dict[str, Any]:
    told, late = b"", False
    while True:
        if not select.select([pipe], [], [], LIMIT)[0]:
            late = True
            os.kill(child, signal.SIGKILL)
        if not (piece := os.read(pipe, 1 << 16)):
            break
        told += piece
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(pipe)
    events = [json.loads(line) for line in told.splitlines()]
    last = next((e for e in events if "count" in e), {})
    return {"code": None if late else code, "kept": [e["kept"] for e in events if "kept" in e], **last}


def _play(scene: Callable[..., Any], library: Any, pipe: int, asked: dict[str, Any]) -> None:
    def tell(event: dict[str, Any]) -> None:
        os.write(pipe, (json.dumps(event) + "\n").encode())

    folder, end, code = Path(asked["folder"]), {}, 0
    os.chdir(folder)
    os.umask(asked.get("umask", 0o022))
    if "user" in asked:
        os.setgid(asked["user"])
        os.setuid(asked["user"])
    library.drill_clock(ctypes.c_longlong(asked.get("clock", 0)))
    library.drill_arm(os.fsencode(folder), ctypes.c_long(asked.get("at", 0)), ACTIONS[asked.get("action", "none")])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    printed = os.memfd_create("stderr")
    os.dup2(printed, 2)
    try:
        end = {"result": scene(folder, lambda kept: tell({"kept": kept}))}
    except SystemExit as ended:
        code = 1
        end = {"said": os.pread(printed, 1 << 16, 0).decode().strip()} if ended.code == 1 else {"fault": repr(ended)}
    except Exception as error:
        code = 1
        end = _told(error)
    tell({**end, "count": library.drill_count()})
    os._exit(code)


def _told(error: Exception) -> dict[str, Any]:
    from distiller.cli import UNWRITABLE
    from distiller.config import DistillerError

    known = isinstance(error, DistillerError) or (isinstance(error, OSError) and error.errno in UNWRITABLE)
    return {"said": str(error)} if known else {"fault": "".join(traceback.format_exception(error))}


if __name__ == "__main__":
    main()
