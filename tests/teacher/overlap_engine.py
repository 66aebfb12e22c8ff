"""A small deterministic "language model", as an engine anybody could add: it picks the candidate with most words in common.

It reads the prompt as a model does, so what is not shown in it cannot be answered.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distiller.config import DistillerError, component, runtime
from distiller.engine.base import Engine, LanguageModel, Reply, Request


@component
class Overlap(Engine):
    """Answers "none" where fewer than `least` of the record's words are shared.

    log: where every prompt is written down. fails: a pattern of prompts without reply. wanders: replies to sample s > 0 name
    the s-th best candidate instead of the best. sure: the confidence it states.
    """

    log: Path = runtime(None)
    least: float = 0.3
    fails: str | None = runtime(None)
    wanders: bool = False
    sure: float = 0.75

    def check(self, model: str, revision: str | None) -> None:
        if model == "absent":
            raise DistillerError("there is no model absent; choose another")

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        self.check(model, revision)
        yield _Model(self)


class _Model(LanguageModel):
    def __init__(self, engine: Overlap):
        self.engine = engine

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        for number, request in requests:
            with open(self.engine.log, "a") as log:
                os.write(log.fileno(), (json.dumps(request.messages[-1][1]) + "\n").encode())
            if self.engine.fails and re.search(self.engine.fails, request.messages[-1][1]):
                yield number, Reply(finish="error", error="it would not", seconds=0.25)
            else:
                yield number, self.reply(request)

    def reply(self, request: Request) -> Reply:
        text = request.messages[-1][1]
        shares = overlaps(text)
        counts = {"tokens_in": pieces(text), "seconds": 0.25}
        if request.mode == "score":
            weights = [self.engine.least, *shares]
            total = sum(math.exp(8 * w) for w in weights)
            return Reply(scores=tuple(math.log(math.exp(8 * w) / total) for w in weights), **counts)
        shown = [line for line in text.splitlines() if line.startswith("[")]
        # Equally similar candidates are told apart by what stands in them, not by where they stand.
        ranked = sorted(range(len(shares)), key=lambda i: (-shares[i], shown[i].partition(" ")[2]))
        place = min(request.sample, len(shares) - 1) if self.engine.wanders else 0
        best = ranked[place]
        answer = f"[{best + 1 if shares[best] >= self.engine.least else 0}]"
        if "JSON" in text:
            why = f"{shares[best]:.2f} of the words are shared by the record given and candidate {best + 1}, see name"
            fields = {"answer": answer, "explanation": why}
            if "confidence" in text:
                fields["confidence"] = self.engine.sure
            answer = json.dumps(fields)
        elif considered := re.search(r"Consider the answer (\[\d+\])", text):
            answer = (
                f"about {considered[1]} " + "it can be said that the names agree in part and the numbers differ, " * 3
            )
        return Reply(answer, tokens_out=pieces(answer), **counts)


def pieces(text: str) -> int:
    """Number of tokens of a text, as a tokenizer with short pieces would count them."""
    return len(re.findall(r"\w{1,4}|[^\w\s]", text))


def overlaps(text: str) -> list[float]:
    """Share of the given record's words that each candidate of a prompt has, in the order shown."""
    given = set(re.search(r"Given record: (.*)", text)[1].split()) - {"[COL]", "[VAL]"}
    candidates = re.findall(r"^\[(\d+)\] (.*)$", text, re.MULTILINE)
    assert [int(n) for n, _ in candidates] == list(range(1, len(candidates) + 1))
    return [len(given & set(shown.split())) / len(given) for _, shown in candidates]


def prompts_asked(log: Path) -> list[str]:
    """Prompts the engine got, in order."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
