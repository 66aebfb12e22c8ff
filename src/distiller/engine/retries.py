"""When a request to a server is sent again, after how long, and when its server is held for dead."""

import email.utils
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from enum import Enum

#: Upper bound of the first back-off, in seconds; it doubles with every further attempt up to LONGEST.
FIRST = 0.5
LONGEST = 30.0


class Kind(Enum):
    """What a fault means for the request and for the others."""

    AGAIN = "again"  # the server's fault, counted against the attempts
    LIMITED = "limited"  # the server is busy with others, bounded by patience alone
    REFUSED = "refused"  # this request will never be answered
    FATAL = "fatal"  # no request will ever be answered


@dataclass(frozen=True)
class Fault:
    """Why an attempt brought no reply.

    reason: what was seen, the middle of a sentence. retry_after: seconds for which the server asked to be left alone.
    """

    kind: Kind
    reason: str
    retry_after: float | None = None


def delay(attempt: int, retry_after: float | None, random: float) -> float:
    """Seconds to wait before the next attempt.

    attempt: number of the attempt that failed, from 0. random: a draw from [0, 1).

    The server's wish is never undercut. On top of it comes exponential back-off with full jitter, so that many waiting
    requests do not come back in one instant.

    Source: "full jitter" of M. Brooker, Exponential Backoff And Jitter, 2015.
    """
    return (retry_after or 0.0) + random * min(LONGEST, FIRST * 2.0 ** min(attempt, 60))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds for which the server wants to be left alone, >= 0; None where it does not say or says nonsense.

    headers: with names in lower case or of any case-insensitive mapping. now: seconds since the epoch, for dates.

    Source: RFC 9110, 10.2.3 (seconds or a date); `retry-after-ms` is what several hosted servers send.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


def kind_of_status(status: int, code: str | None) -> Kind:
    """What an HTTP status other than 2xx means. code: the `code` of the error in the body, if there is one."""
    if status == 429:
        # spent credit comes with the status of a rate limit, but no waiting helps
        return Kind.FATAL if code in ("insufficient_quota", "billing_hard_limit_reached") else Kind.LIMITED
    if status in (408, 409, 425) or status >= 500:
        return Kind.AGAIN
    return Kind.REFUSED if status in (400, 413, 422) else Kind.FATAL


@dataclass
class Breaker:
    """Whether a server is dead, from what became of all requests to it.

    It is once `limit` requests in a row were given up, or once `limit` attempts in a row failed and that has lasted for
    `patience` seconds, so that few requests at a time do not put it off. Any answer, also a refusal, begins anew. A
    rate limit is neither: only what is given up because of it counts.
    """

    limit: int
    patience: float
    _given_up: int = 0
    _failed: int = 0
    _since: float = 0.0

    def answered(self) -> None:
        """The server has answered a request."""
        self._given_up = self._failed = 0

    def failed(self, now: float) -> bool:
        """An attempt failed through the server's fault; whether the server is dead. now: seconds on a steady clock."""
        if not self._failed:
            self._since = now
        self._failed += 1
        return self._failed >= self.limit and now - self._since >= self.patience

    def gave_up(self) -> bool:
        """A request was given up; whether the server is dead."""
        self._given_up += 1
        return self._given_up >= self.limit
