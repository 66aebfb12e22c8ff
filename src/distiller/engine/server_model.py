"""A language model behind a server: many requests at a time, sent again where that helps, stopped where it does not."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from distiller.config import DistillerError
from distiller.engine.base import LanguageModel, Reply, Request
from distiller.engine.chat_completions import Dialect, message_of, shortened
from distiller.engine.event_loop import EventLoop
from distiller.engine.retries import Breaker, Fault, Kind, delay, kind_of_status, retry_after

#: An outcome of one request: its reply, why all asking must end, or what should never have happened.
Outcome = Reply | BaseException


class Stopped(Exception):
    """Nothing more can be had from the server; `at_once` where it is not worth waiting for what is under way."""

    def __init__(self, reason: str, at_once: bool = False):
        super().__init__(reason)
        self.reason, self.at_once = reason, at_once


@dataclass(frozen=True)
class Server:
    """A server and how patiently it is asked.

    create: the client's coroutine that sends one request and gives back the raw response. address: how the server is
    called in messages. wrong_key: what to do where it rejects the API key. hidden: a text that no message may contain.
    The others are the fields of the same names of `engine.openai.OpenAI`.
    """

    create: Callable[..., Awaitable[Any]]
    dialect: Dialect
    address: str
    wrong_key: str
    hidden: str | None = field(repr=False)
    concurrency: int
    timeout: float
    attempts: int
    patience: float
    breaker: int

    def shown(self, text: str) -> str:
        """A text from outside, short and without the key."""
        return shortened(text.replace(self.hidden, "***") if self.hidden else text)


class ServerModel(LanguageModel):
    """A model that a server runs; requests are sent by `loop`."""

    def __init__(self, server: Server, loop: EventLoop):
        self._server, self._loop = server, loop

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        server, supply = self._server, iter(requests)
        asking = Asking(server)
        outcomes: SimpleQueue[tuple[int, Outcome]] = SimpleQueue()
        tasks: set[asyncio.Task[Reply]] = set()

        def begin(number: int, request: Request) -> None:
            task = asyncio.get_running_loop().create_task(asking.reply(request))
            tasks.add(task)
            task.add_done_callback(lambda done: ended(number, done))

        def ended(number: int, task: asyncio.Task[Reply]) -> None:
            tasks.discard(task)
            stopped = RuntimeError("the model was closed while it was asked") if task.cancelled() else task.exception()
            outcomes.put((number, stopped or task.result()))

        under_way, came, more = 0, 0, True
        stop: Stopped | None = None
        try:
            while True:
                while more and stop is None and under_way < server.concurrency:
                    following = next(supply, None)
                    if following is None:
                        more = False
                        break
                    under_way += 1
                    self._loop.soon(begin, *following)
                if not under_way:
                    break
                try:
                    number, outcome = outcomes.get(block=stop is None or not stop.at_once)
                except Empty:
                    break
                under_way -= 1
                if isinstance(outcome, Reply):
                    came += outcome.error is None
                    yield number, outcome
                elif isinstance(outcome, Stopped):
                    stop = stop or outcome
                else:
                    raise outcome
            if stop is not None:
                kept = (
                    f"{came} replies came and are kept, the same command goes on from there"
                    if came
                    else "no reply came"
                )
                raise DistillerError(f"{stop.reason}; {kept}")
        finally:
            if not self._loop.closed:
                self._loop.run(_cancelled(tasks))


async def _cancelled(tasks: set[asyncio.Task[Reply]]) -> None:
    running = list(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@dataclass
class Asking:
    """What all requests of one conversation share: a pause the server asked for, its breaker, why all must end."""

    server: Server
    draw: Callable[[], float] = random.random
    paused_until: float = 0.0
    answered: int = 0
    stop: Stopped | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.server.breaker, self.server.patience)

    async def reply(self, request: Request) -> Reply:
        """The reply to a request, sent as often as it takes; one with `error` where it is refused or given up.

        Raises:
            Stopped: no request gets an answer any more.
        """
        server, tries, faults = self.server, 0, 0
        await self._sleep_until(0.0)
        first = time.monotonic()
        while True:
            sent = time.monotonic()
            outcome = await self._attempt(request)
            now = time.monotonic()
            if isinstance(outcome, Reply):
                self.breaker.answered()
                self.answered += 1
                return replace(outcome, seconds=now - sent)
            if outcome.kind is Kind.FATAL:
                raise self._stopped(outcome.reason)
            if outcome.kind is Kind.REFUSED:
                self.breaker.answered()
                return Reply(finish="error", error=outcome.reason, seconds=now - sent)
            if outcome.retry_after is not None:
                self.paused_until = max(self.paused_until, now + outcome.retry_after)
            again = max(now + delay(tries, outcome.retry_after, self.draw()), self.paused_until)
            tries += 1
            faults += outcome.kind is Kind.AGAIN
            if outcome.kind is Kind.AGAIN and self.breaker.failed(now):
                raise self._dead(outcome.reason)
            if faults >= server.attempts or again - first > server.patience:
                if self.breaker.gave_up():
                    raise self._dead(outcome.reason)
                error = f"given up after {tries} attempts in {now - first:.0f} s, the last: {outcome.reason}"
                return Reply(finish="error", error=error, seconds=now - sent)
            await self._sleep_until(again)

    async def _sleep_until(self, moment: float) -> None:
        """Sleep, at least until the end of the pause; raise `Stopped` as soon as all must end."""
        while self.stop is None and (rest := max(moment, self.paused_until) - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), rest)
        if self.stop is not None:
            raise self.stop

    def _stopped(self, reason: str, at_once: bool = False) -> Stopped:
        self.stop = self.stop or Stopped(reason, at_once)
        self._stopping.set()
        return self.stop

    def _dead(self, reason: str) -> Stopped:
        server = self.server
        return self._stopped(
            f"the server at {server.address} is held for dead, its last requests brought only faults (the last one: "
            f"{reason}): start it again, or raise engine.timeout ({server.timeout:g} s), engine.patience "
            f"({server.patience:g} s) or engine.breaker ({server.breaker})",
            at_once=True,
        )

    async def _attempt(self, request: Request) -> Reply | Fault:
        import openai

        server = self.server
        try:
            # the client's own limit holds for each read, so a server that trickles would never reach it
            async with asyncio.timeout(server.timeout):
                response = await server.create(**server.dialect.arguments(request))
        except (TimeoutError, openai.APITimeoutError):
            return Fault(Kind.AGAIN, f"no answer within {server.timeout:g} s")
        except openai.APIConnectionError as error:
            return Fault(Kind.AGAIN, f"no connection: {server.shown(str(error.__cause__ or error))}")
        except openai.APIStatusError as error:
            return self._fault(request, error)
        outcome = server.dialect.reply(response.text, request)
        if isinstance(outcome, Fault):
            return replace(outcome, reason=server.shown(outcome.reason))
        return replace(outcome, error=server.shown(outcome.error)) if outcome.error else outcome

    def _fault(self, request: Request, error: Any) -> Fault:
        server, status = self.server, error.status_code
        message, parameter, code = message_of(error.body)
        message = server.shown(message)
        said = f"{status}: {message}" if message else str(status)
        kind = kind_of_status(status, code)
        if kind is Kind.FATAL:
            return Fault(kind, fatal(server.address, server.dialect.model, status, said, server.wrong_key))
        if kind is Kind.REFUSED:
            way_out = server.dialect.way_out(request, message, parameter, code)
            if way_out is None:
                return Fault(kind, f"the server refused the request ({said})")
            reason = f"the server at {server.address} refuses a parameter ({said}): {way_out}"
            # it would refuse all; where others were answered, something of this request alone is at fault
            return Fault(kind if self.answered else Kind.FATAL, reason)
        return Fault(kind, f"answered {said}", retry_after(error.response.headers, time.time()))


def fatal(address: str, model: str, status: int, said: str, wrong_key: str) -> str:
    """What a status means that holds for all requests, and the way out. said: the status with the server's words."""
    if status == 401:  # its own words may quote the key
        return f"the server at {address} rejects the API key (401): {wrong_key}"
    if status == 403:
        return f"the server at {address} refuses access ({said}): {wrong_key}, or choose a model that is open to you"
    if status in (402, 429):
        return f"the account at {address} has no credit left ({said}): top it up"
    if status == 404:
        return (
            f"the server at {address} does not know the model {model} or this address ({said}): correct model, or "
            "engine.url, which usually ends in /v1"
        )
    return f"the server at {address} takes no requests of this kind ({said}): correct engine.url"
