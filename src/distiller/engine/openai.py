"""Any server that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp and hosted models."""

import asyncio
import json
import os
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator

from distiller.config import DistillerError, component, nearest, runtime
from distiller.engine.base import Engine, LanguageModel
from distiller.engine.chat_completions import Dialect, message_of, shortened
from distiller.engine.event_loop import EventLoop
from distiller.engine.retries import Kind, kind_of_status
from distiller.engine.server_model import Server, ServerModel, fatal

#: Seconds that `check` gives the server to answer.
QUICKLY = 5.0
#: Longest list of a server's models that fits into a message.
FEW = 12


@component
class OpenAI(Engine):
    """A model behind an OpenAI-compatible server, asked through OpenAI's own client.

    url: base address, usually ending in /v1; null means OPENAI_BASE_URL, and where that is unset OpenAI itself.
    key_variable: environment variable that holds the API key. A server with an address of its own needs none.
    concurrency: requests under way at a time; the client makes at most 1,000 connections. timeout: seconds for one
      attempt, from sending to the last byte.
    attempts: how often a request is sent that meets a fault of the server (its own error, a time-out, no connection, a
      body that is no reply). A rate limit (429) does not count against them. A pause that the server asks for
      (Retry-After) holds for all requests.
    patience: seconds that one request may take with all its attempts and pauses; no attempt begins later.
    breaker: requests given up in a row, or failed attempts in a row over `patience` seconds, after which the server is
      held for dead and asking ends.
    structured: what holds a reply to its form. `json_schema` sends a request's schema as response_format (OpenAI, vLLM,
      Ollama, llama.cpp); a choice among options is then left to the prompt. `choice` also holds replies to one of the
      options, the way only vLLM understands (structured_outputs). `none` leaves everything to the prompt.
    length_field: name of the parameter that limits a reply; newer hosted models want max_completion_tokens.
    top_logprobs: alternatives per token that options are scored from; OpenAI and vLLM give at most 20.
    seed: whether the number of the sample is sent as seed; false for servers that know no seed.
    extra_body: further fields of the request's body, sent as they are (e.g. reasoning_effort).

    The server's address is not part of a reply's identity: two servers of one model are held to be the same. A server
    does not say which revision of a model it runs; what the user says counts as true.
    """

    PAID: ClassVar[bool] = True

    url: str | None = runtime(None)
    key_variable: Annotated[str, Field(min_length=1)] = runtime("OPENAI_API_KEY")
    concurrency: Annotated[int, Field(ge=1, le=1000)] = runtime(8)
    timeout: Annotated[float, Field(gt=0)] = runtime(120.0)
    attempts: Annotated[int, Field(ge=1)] = runtime(6)
    patience: Annotated[float, Field(gt=0)] = runtime(300.0)
    breaker: Annotated[int, Field(ge=1)] = runtime(5)
    structured: Literal["json_schema", "choice", "none"] = "json_schema"
    length_field: Literal["max_tokens", "max_completion_tokens"] = runtime("max_tokens")
    top_logprobs: Annotated[int, Field(ge=2, le=20)] = 20
    seed: bool = True
    extra_body: dict[str, Any] = field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url is not None and not _is_address(url):
            raise ValueError(f"must be an address like http://localhost:8000/v1, got {_shown(url)!r}")
        return url

    def check(self, model: str, revision: str | None) -> None:
        client, address, key = self._client(QUICKLY), self._address(), self._key()
        import openai

        async def listed() -> str:
            async with client, asyncio.timeout(QUICKLY):
                return (await client.models.with_raw_response.list()).text

        try:
            with EventLoop() as loop:
                text = loop.run(listed())
        except (TimeoutError, openai.APIConnectionError) as error:
            cause = _without(key, str(error.__cause__ or error)) or f"nothing came within {QUICKLY:g} s"
            raise DistillerError(
                f"the server at {address} does not answer ({shortened(cause)}): start it or correct engine.url"
            ) from None
        except openai.APIStatusError as error:
            status, message = error.status_code, _without(key, message_of(error.body)[0])
            if status in (404, 405, 429, 501):  # it lists no models, or is busy, and may well answer
                return
            said = f"{status}: {message}" if message else str(status)
            if kind_of_status(status, None) is Kind.FATAL:
                raise DistillerError(fatal(address, model, status, said, self._wrong_key())) from None
            raise DistillerError(
                f"the server at {address} is not ready ({said}): try again when it has started, or correct engine.url"
            ) from None
        known = _listed(text)
        if known and not any(_same(name, model) for name in known):
            hint = nearest(model, known) if len(known) <= FEW else f", but {len(known)} others"
            raise DistillerError(f"the server at {address} does not know the model {model}{hint}")

    def parallel(self) -> int:
        return self.concurrency

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        """The model; the server itself is asked for the first time when a reply is wanted, with all patience."""
        client = self._client(self.timeout)
        key = self._key()
        server = Server(
            create=client.chat.completions.with_raw_response.create,
            dialect=Dialect(
                model, self.structured, self.length_field, self.top_logprobs, self.seed, dict(self.extra_body)
            ),
            address=self._address(),
            wrong_key=self._wrong_key(),
            hidden=key,
            concurrency=self.concurrency,
            timeout=self.timeout,
            attempts=self.attempts,
            patience=self.patience,
            breaker=self.breaker,
        )
        with EventLoop() as loop:
            try:
                yield ServerModel(server, loop)
            finally:
                loop.run(client.close())

    def _client(self, timeout: float) -> Any:
        """The official client, which neither sends anything again nor waits for a connection for long."""
        try:
            import openai
        except ImportError as error:
            raise DistillerError("engine=openai needs OpenAI's client: pip install 'distiller-er[openai]'") from error
        base = self.url or os.environ.get("OPENAI_BASE_URL") or None
        if base is not None and not _is_address(base):
            raise DistillerError(
                f"OPENAI_BASE_URL must be an address like http://localhost:8000/v1, got {_shown(base)!r}: correct it"
            )
        key = self._key()
        if key is None and base is None:
            raise DistillerError(
                f"engine=openai needs the address of a server or an API key, and the variable {self.key_variable} is not "
                f"set: set engine.url, or {self.key_variable} to a key of OpenAI"
            )
        limits = openai.Timeout(timeout, connect=min(timeout, 2 * QUICKLY))
        return openai.AsyncOpenAI(api_key=key or "none", base_url=base, max_retries=0, timeout=limits)

    def _key(self) -> str | None:
        key = os.environ.get(self.key_variable, "").strip()
        if not set(key) <= set(string.printable) - set(string.whitespace):
            raise DistillerError(
                f"the variable {self.key_variable} holds no API key: blanks or odd characters stand in it"
            )
        return key or None

    def _wrong_key(self) -> str:
        return f"set the variable {self.key_variable}{'' if self._key() else ', now unset,'} to a key of this server"

    def _address(self) -> str:
        return _shown(self.url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _shown(url: str) -> str:
    """An address without what may be secret in it: user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "something else"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without(key: str | None, text: str) -> str:
    return text.replace(key, "***") if key else text


def _listed(text: str) -> list[str]:
    """Names of the models in a body of GET /models; empty where it is none."""
    try:
        return [entry["id"] for entry in json.loads(text)["data"] if isinstance(entry["id"], str)]
    except (ValueError, LookupError, TypeError):
        return []


def _same(listed: str, model: str) -> bool:
    """Servers list a model under its own name, with a default tag (Ollama) or below a folder (`models/`)."""
    return listed in (model, f"{model}:latest", f"models/{model}")
