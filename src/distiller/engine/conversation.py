"""One conversation with a language model: what is claimed, paid for in advance, asked and kept, request by request."""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from distiller.budget import Limits, Prices
from distiller.engine.base import SCORED_TOKENS, LanguageModel, Reply, Request
from distiller.engine.reply_cache import Asker, ReplyCache

#: Seconds between two looks at what other processes are asking.
PATIENCE = 0.1
#: Characters per token below which no text of any language falls: an estimate of tokens from it is an upper bound.
FEWEST_CHARACTERS = 1.5


@dataclass
class Account:
    """What was spent and what may still come of requests under way, held against limits."""

    limits: Limits
    prices: Prices
    cost: float = 0.0
    tokens: int = 0
    characters: int = 0
    tokens_in: int = 0
    _reserved: dict[str, tuple[float, float]] = field(default_factory=dict)

    def enter(self, request: Request, reply: Reply) -> None:
        """Book a reply."""
        self.cost += self.prices.of(reply.tokens_in, reply.tokens_out)
        self.tokens += reply.tokens_in + reply.tokens_out
        if reply.tokens_in:
            self.characters += request.characters
            self.tokens_in += reply.tokens_in

    def reserve(self, key: str, request: Request, tokens_in: int | None) -> str | None:
        """Set aside the most that a request can cost; or the limit that leaves no room for it."""
        if tokens_in is None:
            ratio = self.characters / self.tokens_in * 0.8 if self.tokens_in else FEWEST_CHARACTERS
            tokens_in = math.ceil(request.characters / ratio)
        longest = request.max_tokens if request.mode == "generate" else SCORED_TOKENS
        self._reserved[key] = (self.prices.of(tokens_in, longest), tokens_in + longest)
        cost, tokens = (sum(values) for values in zip(*self._reserved.values(), strict=True))
        refused = self.limits.refuses(self.cost + cost, self.tokens + tokens)
        if refused:
            del self._reserved[key]
        return refused

    def settle(self, key: str) -> None:
        """Give back what was set aside for a request."""
        self._reserved.pop(key, None)


@dataclass
class Ending:
    """How a conversation ended: the limit that stopped it, or None where everything was asked."""

    stopped: str | None = None


def converse(
    model: LanguageModel,
    asker: Asker,
    missing: dict[str, Request],
    cache: ReplyCache,
    account: Account,
    end: Ending,
    leave: Callable[[], bool] = lambda: False,
) -> Generator[tuple[str, Reply]]:
    """Replies of the model to requests by key, as they come; each is in the cache before it is given out.

    What another process is asking is not asked again but waited for. leave: whether to begin nothing new.
    """
    pending, waiting = list(missing), list[str]()
    sizes = model.tokens(list(missing.values()))
    tokens_in: dict[str, int | None] = (
        dict.fromkeys(missing) if sizes is None else dict(zip(missing, sizes, strict=True))
    )
    mine: set[str] = set()

    def supply() -> Iterator[tuple[int, Request]]:
        """What is to be asked next, claimed and paid for in advance."""
        while pending and not leave():
            key = pending[0]
            if not cache.claim(key):
                waiting.append(pending.pop(0))
                continue
            if cache.get(key) is not None:  # whoever asked has just been answered
                waiting.append(pending.pop(0))
                cache.release(key)
                continue
            end.stopped = account.reserve(key, missing[key], tokens_in[key])
            if end.stopped:
                cache.release(key)
                return
            mine.add(pending.pop(0))
            yield numbers[key], missing[key]

    keys = list(missing)
    numbers = {key: number for number, key in enumerate(keys)}
    try:
        while (pending or waiting) and not leave():
            came = 0
            with closing(model.replies(supply())) as coming:  # type: ignore[type-var]
                for number, reply in coming:
                    key = keys[number]
                    cache.put(asker, missing[key], reply)
                    cache.release(key)
                    mine.discard(key)
                    account.settle(key)
                    account.enter(missing[key], reply)
                    came += 1
                    yield key, reply
            for key in sorted(mine):
                came += 1
                cache.release(key)
                account.settle(key)
                yield key, Reply(finish="error", error="the engine gave no reply")
            mine.clear()
            for key in list(waiting):
                reply_of_other = cache.get(key)
                if reply_of_other is not None:
                    waiting.remove(key)
                    account.enter(missing[key], reply_of_other)
                    came += 1
                    yield key, reply_of_other
                elif cache.claim(key):  # the other one has failed or ended
                    cache.release(key)
                    waiting.remove(key)
                    pending.append(key)
                    came += 1
            if end.stopped and not came:
                return
            if waiting and not pending and not came:
                time.sleep(PATIENCE)
    finally:
        for key in mine:
            cache.release(key)
