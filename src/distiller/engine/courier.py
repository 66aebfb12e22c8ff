"""Ask in a process of its own, which outlives the run for as long as paid requests are under way.

A run that is killed has requests under way that the server answers and charges all the same. The process that sends them
belongs to a session of its own; when its run is gone it begins nothing new, waits for what is under way, keeps the
replies and ends. The next run finds these requests claimed and waits for them, so nothing is paid for twice.

The run writes one line of JSON, the job, and keeps the pipe open; one line of JSON per reply comes back.
"""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distiller.budget import Limits, Prices
from distiller.config import DistillerError
from distiller.engine.base import Engine, Reply, Request
from distiller.engine.conversation import Account, Ending, converse
from distiller.engine.reply_cache import Asker, ReplyCache


def sent(
    engine: Engine, asker: Asker, missing: dict[str, Request], cache: Path, account: Account, end: Ending
) -> Iterator[tuple[str, Reply]]:
    """What `converse` would give, asked by another process.

    Raises:
        DistillerError: what the other process could not do, in its words.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "distiller.engine.courier"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            json.dump(_job(engine, asker, missing, cache, account), process.stdin)
            process.stdin.write("\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already; its exit code is read below
        done = False
        for line in process.stdout:
            event = json.loads(line)
            if "error" in event:
                raise DistillerError(event["error"])
            if "key" in event:
                reply = Reply.from_json(event["reply"])
                account.enter(missing[event["key"]], reply)
                yield event["key"], reply
            else:
                end.stopped, done = event["stopped"], True
        if not done:
            raise DistillerError(
                f"the process that asks {asker.model} ended with exit code {process.wait()} before it was done; "
                "replies that came are kept, the same command goes on from there"
            )
        process.stdin.close()
        process.wait()
    finally:
        if not process.stdin.closed:
            process.stdin.close()  # tells it that nobody listens any more
        process.stdout.close()


def _job(engine: Engine, asker: Asker, missing: dict[str, Request], cache: Path, account: Account) -> dict[str, Any]:
    shape: Any = engine  # every engine is a dataclass, which its base class cannot say
    return {
        "path": sys.path,  # an engine from outside the package must be found there, too
        "target": [type(engine).__module__, type(engine).__qualname__],
        "fields": {f.name: _plain(getattr(engine, f.name)) for f in dataclasses.fields(shape) if f.init},
        "asker": dataclasses.asdict(asker),
        "requests": {key: request.as_json() for key, request in missing.items()},
        "cache": os.fspath(cache.absolute()),
        "limits": [account.limits.cost, account.limits.tokens, account.limits.seconds - account.limits.elapsed()],
        "prices": dataclasses.asdict(account.prices),
        "spent": [account.cost, account.tokens, account.characters, account.tokens_in],
    }


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, Path) else value


def main() -> None:
    """Do the job that stands on the first line of stdin; stop beginning new requests once stdin ends."""
    job = json.loads(sys.stdin.readline())
    gone = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        gone.set()

    threading.Thread(target=listen, daemon=True).start()

    def say(event: dict[str, Any]) -> None:
        if gone.is_set():
            return
        try:
            print(json.dumps(event, ensure_ascii=False), flush=True)
        except BrokenPipeError:
            gone.set()

    sys.path[:] = job["path"]
    module, name = job["target"]
    engine = getattr(importlib.import_module(module), name)(**job["fields"])
    asker = Asker(**job["asker"])
    missing = {key: Request.from_json(fields) for key, fields in job["requests"].items()}
    account, end = Account(Limits(*job["limits"]), Prices(**job["prices"]), *job["spent"]), Ending()
    try:
        with ReplyCache(Path(job["cache"])) as cache, engine.open(asker.model, asker.revision) as model:
            for key, reply in converse(model, asker, missing, cache, account, end, gone.is_set):
                say({"key": key, "reply": reply.as_json()})
        say({"stopped": end.stopped})
    except DistillerError as error:
        say({"error": str(error)})
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes once more, maybe into a closed pipe


if __name__ == "__main__":
    main()
