"""An asyncio event loop in a thread of its own, so that requests go on while replies are worked on."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoop:
    """Runs coroutines between `with` and its end; what then still runs is cancelled."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._live(),), name="event-loop", daemon=True)

    async def _live(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        await self._end.wait()

    def __enter__(self) -> "EventLoop":
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns, once it has."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def soon(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in the loop's thread, after all those given before."""
        self._loop.call_soon_threadsafe(call, *arguments)

    @property
    def closed(self) -> bool:
        """Whether the `with` has ended."""
        return self._loop.is_closed()
