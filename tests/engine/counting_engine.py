"""A small engine of its own, as anybody could add one: it answers by rule and writes down every request it gets."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import ClassVar

from distiller.config import DistillerError, component, runtime
from distiller.engine.base import Engine, LanguageModel, Reply, Request


@component
class Counting(Engine):
    """Replies "[n]" with the last number of the prompt, or fails, or dies; appends every request's prompt to `log`.

    window: requests pulled at a time. delay: seconds per request. fails: a pattern of prompts that get no reply.
    dies_after: number of replies after which the engine gives up for good. forgets: a pattern of prompts that it takes and
    says nothing about.
    """

    log: Path = runtime(None)
    window: int = runtime(3)
    delay: float = runtime(0.0)
    fails: str | None = runtime(None)
    dies_after: int | None = runtime(None)
    forgets: str | None = runtime(None)
    flavour: int = 0

    def check(self, model: str, revision: str | None) -> None:
        if model == "absent":
            raise DistillerError("there is no model absent; choose another")

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        self.check(model, revision)
        yield _Model(self)


@component
class PaidCounting(Counting):
    """The same, asked in a process of its own."""

    PAID: ClassVar[bool] = True


class _Model(LanguageModel):
    def __init__(self, engine: Counting):
        self.engine, self.given = engine, 0

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        supply = iter(requests)
        while window := list(islice(supply, self.engine.window)):
            for number, request in window:
                prompt = request.messages[-1][1]
                with open(self.engine.log, "a") as log:
                    os.write(log.fileno(), (prompt + "\n").encode())
                time.sleep(self.engine.delay)
                if self.given == self.engine.dies_after:
                    raise DistillerError("the engine has died")
                if self.engine.forgets and re.search(self.engine.forgets, prompt):
                    continue
                self.given += 1
                if self.engine.fails and re.search(self.engine.fails, prompt):
                    yield number, Reply(finish="error", error="it would not")
                else:
                    digits = re.findall(r"\d+", prompt)
                    yield number, Reply(f"[{digits[-1]}]", None, len(prompt), 3, 0.5)


def asked(log: Path) -> list[str]:
    """Prompts that engines writing to `log` got, in order."""
    return log.read_text().splitlines() if log.exists() else []
