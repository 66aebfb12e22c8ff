"""The only door to a language model: requests go in, replies come out, as text or as scores of options."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from distiller.config import Component

Message = tuple[str, str]
#: Tokens that a server may write to give the scores of options: a label is not longer, and blanks may stand before it.
SCORED_TOKENS = 8


@dataclass(frozen=True)
class Request:
    """One question to a language model: everything that decides the reply, except the model and the engine.

    messages: (role, text) in order, roles `system`, `user`, `assistant`.
    mode: `generate` writes a text; `score` gives the log-probability of each of `options` instead, nothing is decoded.
    options: texts of the possible answers. A generated reply is held to exactly one of them where the engine can
      constrain it (`constrained`), in `score` mode they are what is scored.
    schema: JSON Schema that a generated reply must follow where the engine can constrain it, as canonical JSON text.
    temperature: 0 takes the most probable token each time. sample: number of the sample, and the seed of its draw.
    stop: texts that end the reply. max_tokens: longest reply, in tokens.
    """

    messages: tuple[Message, ...]
    mode: Literal["generate", "score"] = "generate"
    options: tuple[str, ...] = ()
    schema: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    sample: int = 0
    stop: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Request":
        """The request that `as_json` wrote."""
        return cls(**{**fields, **{name: _tuples(fields[name]) for name in ("messages", "options", "stop")}})

    @property
    def characters(self) -> int:
        """Length of all messages together, in characters."""
        return sum(len(text) for _, text in self.messages)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Reply:
    """What came back for one request.

    text: the reply as it came, None where there is none (`error` says why) and in `score` mode.
    scores: for each of the request's options the natural log-probability that the reply begins with the tokens that tell
      this option apart from all others, [n_options], in `score` mode. "[1]" is told apart from "[2]" by "[1", and from
      "[10]", where digits are tokens of their own, by "[1]". What follows is not part of it, as the choice is made by
      then; this is also where generation held to the options decides. Each is <= 0, their exponentials sum to at most 1.
    tokens_in, tokens_out: tokens read and written, as the model's own tokenizer or the server counts them.
    seconds: from sending to the end of the reply; a reply of a batch takes its share of the batch.
    finish: `stop` (the model ended), `length` (cut off at max_tokens) or `error`.
    error: why there is no reply, one sentence; such a reply is recorded as failed and never kept in the reply cache.
    """

    text: str | None = None
    scores: tuple[float, ...] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    finish: Literal["stop", "length", "error"] = "stop"
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Reply":
        """The reply that `as_json` wrote."""
        return cls(**{**fields, "scores": _tuples(fields["scores"])})


class Tokenizer:
    """What a model's own tokenizer says about lengths, without the model."""

    def tokens(self, requests: Sequence[Request]) -> list[int]:
        """Number of prompt tokens of each request with everything the chat template adds, [n_requests]."""
        raise NotImplementedError

    def text_tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each bare text, [n_texts]."""
        raise NotImplementedError


class LanguageModel:
    """A language model that is loaded, or a server that has answered; made by `Engine.open`, used inside its `with`."""

    def tokens(self, requests: Sequence[Request]) -> list[int] | None:
        """Number of prompt tokens of each request with everything the chat template adds, [n_requests]; None where only
        the server knows."""
        return None

    def text_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Number of tokens of each bare text, [n_texts]; None where only the server knows."""
        return None

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        """A reply to each numbered request, in the order in which they are ready, each number exactly once.

        `requests` is pulled lazily: only what is about to be worked on (what a slot is free for, or one window of
        batches) is taken from it, so whoever supplies it can stop at any moment. Replies are given out as soon as they are
        there. A request that fails for a reason of its own gets a Reply with `error`.

        Raises:
            DistillerError: nothing more can be had (a dead server, no memory); replies given out so far are good.
        """
        raise NotImplementedError


class Engine(Component):
    """One way to run or reach language models. Fields that change speed but not replies are marked `runtime`.

    PAID: replies cost money or another machine's time. Asking then happens in a process of its own that outlives a killed
    run for as long as requests are under way, so that what was asked is also kept.
    """

    PAID: ClassVar[bool] = False

    def check(self, model: str, revision: str | None) -> None:
        """Find out quickly, without loading weights, whether `open` can work.

        Raises:
            DistillerError: a library is missing (naming the extra), the model is not there or is gated, the server does
                not answer or does not know the model; one sentence with the way out.
        """
        raise NotImplementedError

    def tokenizer(self, model: str, revision: str | None) -> Tokenizer | None:
        """The model's tokenizer, loaded without its weights; None where only a server knows it. Raises as `check` does."""
        return None

    def parallel(self) -> int:
        """How many requests are under way at a time and are timed each on its own; 1 where a batch shares its seconds."""
        return 1

    def open(self, model: str, revision: str | None) -> AbstractContextManager[LanguageModel]:
        """The model, ready to be asked; its memory and connections are given back at the end of the `with`.

        model: id on a hub, path of a local folder, or the name that a server knows. Raises as `check` does.
        """
        raise NotImplementedError


def request_key(model: str, revision: str | None, engine: Any, request: Request) -> str:
    """SHA-256 of everything that decides a reply, [64 hexadecimal digits].

    engine: identity of the engine, see `config.identity`.
    """
    whole = {"model": model, "revision": revision, "engine": engine, "request": request.as_json()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
