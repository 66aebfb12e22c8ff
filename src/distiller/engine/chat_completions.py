"""Requests and replies in the words of the chat completions interface."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from distiller.engine.base import SCORED_TOKENS, Reply, Request
from distiller.engine.retries import Fault, Kind
from distiller.engine.top_logprobs import Position, option_scores

TO_GENERATE = "set the elicitation's reply mode to generate"
#: What to do about a parameter that a server does not know.
HINTS = {
    "max_tokens": "set engine.length_field=max_completion_tokens",
    "max_completion_tokens": "set engine.length_field=max_tokens",
    "response_format": "set engine.structured=none",
    "structured_outputs": "set engine.structured=json_schema or engine.structured=none",
    "top_logprobs": f"set a smaller engine.top_logprobs or {TO_GENERATE}",
    "logprobs": TO_GENERATE,
    "seed": "set engine.seed=false",
    "temperature": "set +engine.extra_body.temperature=1",
    "stop": "choose an elicitation without stop texts",
}
_UNKNOWN_CODES = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_UNKNOWN = re.compile(
    r"unsupported|not support|n't support|unrecognized|unknown|unexpected|not permitted|not allowed|does not exist"
    r"|must be less than or equal|maximum (allowed )?value",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dialect:
    """How one server wants to be asked for one model; see the fields of the same names of `engine.openai.OpenAI`."""

    model: str
    structured: Literal["json_schema", "choice", "none"] = "json_schema"
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    top_logprobs: int = 20
    seed: bool = True
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, request: Request) -> dict[str, Any]:
        """Arguments of the client's `chat.completions.create`."""
        scoring = request.mode == "score"
        arguments: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": role, "content": text} for role, text in request.messages],
            "temperature": request.temperature,
            self.length_field: SCORED_TOKENS if scoring else request.max_tokens,
        }
        if self.seed:
            arguments["seed"] = request.sample
        if request.stop:
            arguments["stop"] = list(request.stop)
        if scoring:
            arguments |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        extra = dict(self.extra_body)
        if request.schema is not None and not scoring and self.structured != "none":
            named = {"name": "reply", "schema": json.loads(request.schema), "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": named}
        elif request.options and self.structured == "choice":
            extra = {"structured_outputs": {"choice": list(request.options)}, **extra}
        return {**arguments, "extra_body": extra or None}

    def reply(self, text: str, request: Request) -> Reply | Fault:
        """What the body of a response with status 200 says; `seconds` is left at 0."""
        try:
            body = json.loads(text)
            choice = body["choices"][0]
            said, finish = choice["message"], choice.get("finish_reason")
            content, refusal = said.get("content"), said.get("refusal")
            read, written = _usage(body.get("usage"))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return Fault(Kind.AGAIN, f"the body was no chat completion: {shortened(text) or 'nothing'}")
        spent = Reply(tokens_in=read, tokens_out=written)
        if refusal or finish == "content_filter":
            why = (
                f"the model refused: {shortened(str(refusal))}" if refusal else "the server's content filter stepped in"
            )
            return replace(spent, finish="error", error=why)
        if request.mode == "score":
            return self._scores(choice, request, spent)
        if content is not None and not isinstance(content, str):
            return Fault(Kind.AGAIN, "the body held a reply that is no text")
        whole = (content or "").encode("utf-8", "replace").decode()  # a cut may leave half a surrogate pair
        return replace(spent, text=whole, finish="length" if finish == "length" else "stop")

    def _scores(self, choice: dict[str, Any], request: Request, spent: Reply) -> Reply:
        positions = _positions(choice.get("logprobs"))
        if not positions:
            error = f"the server returned no log-probabilities: {TO_GENERATE}"
            return replace(spent, finish="error", error=error)
        scores = option_scores(request.options, positions)
        if scores is None:
            seen = shortened("".join(position.token for position in positions))
            error = f"none of the options is among the most probable tokens of {seen!r}: {TO_GENERATE}"
            return replace(spent, finish="error", error=error)
        return replace(spent, scores=scores)

    def way_out(self, request: Request, message: str, parameter: str | None, code: str | None) -> str | None:
        """What to set where a refusal (status 400 or 422) is about a parameter that this server does not know, else None."""
        sent = {**self.arguments(request), **(self.arguments(request)["extra_body"] or {})}
        if "context length" in message.lower() or not (code in _UNKNOWN_CODES or _UNKNOWN.search(message)):
            return None
        if parameter in sent and parameter in HINTS:
            return HINTS[parameter]
        # "stop" is too common a word to be found in a sentence
        named = [name for name in HINTS if name in sent and name != "stop" and re.search(rf"\b{name}\b", message)]
        return HINTS[named[0]] if named else None


def shortened(text: str, longest: int = 200) -> str:
    """A text on one line, cut off where it gets long, without a full stop at its end."""
    line = " ".join(text.encode("utf-8", "replace").decode().split()).rstrip(".")
    return line if len(line) <= longest else line[: longest - 1] + "…"


def message_of(body: object) -> tuple[str, str | None, str | None]:
    """Message, parameter and code of the error that a response describes in its body; the message may be empty."""
    if not isinstance(body, Mapping):
        return shortened(body) if isinstance(body, str) else "", None, None
    inner = body.get("error")
    told: Mapping[str, Any] = inner if isinstance(inner, Mapping) else body
    said = told.get("message") or told.get("detail") or inner or ""
    parameter, code = told.get("param"), told.get("code")
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return shortened(text), _text_or_none(parameter), _text_or_none(code)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _usage(usage: Any) -> tuple[int, int]:
    if not isinstance(usage, Mapping):
        return 0, 0
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


def _positions(logprobs: Any) -> list[Position]:
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    positions = []
    for entry in content if isinstance(content, Sequence) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("token"), str):
            break
        listed = [
            (other["token"], _logprob(other))
            for other in entry.get("top_logprobs") or ()
            if isinstance(other, Mapping) and isinstance(other.get("token"), str)
        ]
        positions.append(Position(entry["token"], _logprob(entry), tuple(listed)))
    return positions


def _logprob(entry: Mapping[str, Any]) -> float:
    value = entry.get("logprob")
    return float(value) if isinstance(value, int | float) else -math.inf
