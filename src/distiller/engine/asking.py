"""Get a reply to every request: from the cache where it is known, else from the model, within limits."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from distiller.budget import Limits, Prices
from distiller.config import identity
from distiller.engine.base import Engine, Reply, Request
from distiller.engine.conversation import Account, Ending, converse
from distiller.engine.courier import sent
from distiller.engine.reply_cache import Asker, ReplyCache


@dataclass
class Asked:
    """What became of a list of requests.

    replies: one per request, in order; None where a limit stopped the asking first. cached: number of distinct requests
    whose reply was known before. stopped: the limit that stopped it, or None.
    """

    replies: list[Reply | None]
    cached: int = 0
    stopped: str | None = None


def ask(
    engine: Engine,
    asker: Asker,
    requests: Sequence[Request],
    cache: ReplyCache,
    limits: Limits,
    prices: Prices,
    told: Callable[[Reply, bool], None],
) -> Asked:
    """A reply to every request, each distinct request asked at most once.

    told: hears of every distinct reply, and whether it was known, as soon as it is there.
    Known replies count against the limits like new ones, in the order of the requests, so that a repetition ends where
    the first run did.

    Raises:
        DistillerError: the model cannot be asked (any more); replies that came are kept in the cache.
    """
    keys = [asker.key(request) for request in requests]
    unique = dict(zip(keys, requests, strict=True))
    account = Account(limits, prices)
    replies: dict[str, Reply] = {}
    missing: dict[str, Request] = {}
    stopped = None
    for key, request in unique.items():
        reply = cache.get(key)
        if reply is None:
            missing[key] = request
            continue
        stopped = limits.refuses(
            account.cost + prices.of(reply.tokens_in, reply.tokens_out),
            account.tokens + reply.tokens_in + reply.tokens_out,
        )
        if stopped:
            break
        account.enter(request, reply)
        replies[key] = reply
        told(reply, True)
    cached = len(replies)
    if missing and not stopped:
        end = Ending()
        with closing(_elsewhere_or_here(engine, asker, missing, cache, account, end)) as coming:
            for key, reply in coming:
                replies[key] = reply
                told(reply, False)
        stopped = end.stopped
    return Asked([replies.get(key) for key in keys], cached, stopped)


def _elsewhere_or_here(
    engine: Engine, asker: Asker, missing: dict[str, Request], cache: ReplyCache, account: Account, end: Ending
) -> Generator[tuple[str, Reply]]:
    if engine.PAID:
        yield from sent(engine, asker, missing, cache.path, account, end)
        return
    with engine.open(asker.model, asker.revision) as model:
        yield from converse(model, asker, missing, cache, account, end)


def asker_of(engine: Engine, model: str, revision: str | None) -> Asker:
    """Who is asked when this engine runs this model."""
    return Asker(model, revision, identity(engine))
