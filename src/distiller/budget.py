"""What asking a language model may cost, will cost and did cost."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from distiller.config import Component, DistillerError, component, runtime

Interval = tuple[float, float, float]
#: What an answer set's facts say was spent; counts add up over teachers and datasets.
SPENT = ("requests", "cached", "failures", "tokens_in", "tokens_out", "cost", "answer_seconds")


class BudgetSpent(DistillerError):
    """A teacher can be asked nothing at all, because a limit of the budget is used up."""

    def __init__(self, limit: str, message: str):
        self.limit = limit
        super().__init__(message)


@component
class Prices(Component):
    """Money per million tokens read (input) and written (output), in `currency`. Zero for a model of one's own."""

    input: Annotated[float, Field(ge=0)] = runtime(0.0)
    output: Annotated[float, Field(ge=0)] = runtime(0.0)
    currency: str = runtime("USD")

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


@component
class Budget(Component):
    """What the teachers of one run may cost together, on all datasets; null sets no limit.

    Replies that were paid for in an earlier run count as well, so that a repeated run gives the same answers.
    max_cost: money, in the currency of the teacher's prices. max_tokens: tokens read and written.
    max_seconds: time spent asking in this run.
    """

    max_cost: Annotated[float | None, Field(gt=0)] = runtime(None)
    max_tokens: Annotated[int | None, Field(gt=0)] = runtime(None)
    max_seconds: Annotated[float | None, Field(gt=0)] = runtime(None)


@dataclass
class Ledger:
    """What a run has spent of its budget so far."""

    budget: Budget
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def without_limit(cls) -> "Ledger":
        """A ledger that only counts."""
        return cls(Budget(max_cost=None, max_tokens=None, max_seconds=None))

    def left(self) -> "Limits":
        """What may still be spent, [infinite where there is no limit]."""

        def rest(limit: float | None, spent: float) -> float:
            return math.inf if limit is None else max(limit - spent, 0.0)

        budget = self.budget
        return Limits(
            rest(budget.max_cost, self.cost),
            rest(budget.max_tokens, self.tokens),
            rest(budget.max_seconds, self.seconds),
        )

    def spend(self, facts: Mapping[str, Any], seconds: float = 0.0) -> None:
        """Enter what an answer set says it cost."""
        self.cost += facts.get("cost", 0.0)
        self.tokens += facts.get("tokens_in", 0) + facts.get("tokens_out", 0)
        self.seconds += seconds


@dataclass
class Limits:
    """What one elicitation may spend: money, tokens, seconds from now on."""

    cost: float = math.inf
    tokens: float = math.inf
    seconds: float = math.inf
    started: float = field(default_factory=time.monotonic, compare=False)

    def elapsed(self) -> float:
        """Seconds since the limits were set."""
        return time.monotonic() - self.started

    def refuses(self, cost: float, tokens: float) -> str | None:
        """Which limit forbids spending so much in total, or None if none does."""
        for name, spent, limit in (
            ("max_cost", cost, self.cost),
            ("max_tokens", tokens, self.tokens),
            ("max_seconds", self.elapsed(), self.seconds),
        ):
            if spent > limit:
                return name
        return None


@dataclass(frozen=True)
class Forecast:
    """What an elicitation will take, each as (low, expected, high) of what is still to be asked.

    prompts: how many there are; asked: how many of them no earlier run has asked. The interval is meant to hold the truth
    nine times out of ten or more. seconds: None where nothing is known of the engine's speed.
    """

    prompts: int
    asked: int
    tokens_in: Interval
    tokens_out: Interval
    cost: Interval
    seconds: Interval | None
    currency: str = "USD"

    def __str__(self) -> str:
        money = f"{_range(self.cost, '.4g')} {self.currency}, " if self.cost[2] else ""
        time_needed = f"{_range(self.seconds, ',.0f')} s" if self.seconds else "time unknown until it has answered once"
        return (
            f"{self.asked:,} of {self.prompts:,} prompts to ask: {_range(self.tokens_in, ',.0f')} tokens in, "
            f"{_range(self.tokens_out, ',.0f')} out, {money}{time_needed}"
        )

    def as_facts(self) -> dict[str, Any]:
        """Plain JSON for a scorecard."""
        return {
            "prompts": self.prompts,
            "asked": self.asked,
            "tokens_in": list(self.tokens_in),
            "tokens_out": list(self.tokens_out),
            "cost": list(self.cost),
            "seconds": None if self.seconds is None else list(self.seconds),
            "currency": self.currency,
        }


def _range(interval: Interval, shape: str) -> str:
    low, middle, high = (format(value, shape) for value in interval)
    return middle if low == high else f"{middle} ({low} to {high})"


def scaled(forecast: Forecast, by: Interval) -> Forecast:
    """The forecast with the ends and the middle of every interval multiplied, each by its own factor."""

    def times(interval: Interval) -> Interval:
        low, middle, high = (value * factor for value, factor in zip(interval, by, strict=True))
        return low, middle, high

    return replace(
        forecast,
        tokens_in=times(forecast.tokens_in),
        tokens_out=times(forecast.tokens_out),
        cost=times(forecast.cost),
        seconds=times(forecast.seconds) if forecast.seconds else None,
    )


def total_forecast(forecasts: list[Forecast]) -> Forecast | None:
    """One forecast for several elicitations: ends of intervals add up, which errs on the wide side."""
    if not forecasts:
        return None

    def add(*intervals: Interval) -> Interval:
        low, middle, high = (math.fsum(values) for values in zip(*intervals, strict=True))
        return low, middle, high

    seconds = [f.seconds for f in forecasts if f.seconds is not None]
    return Forecast(
        sum(f.prompts for f in forecasts),
        sum(f.asked for f in forecasts),
        add(*(f.tokens_in for f in forecasts)),
        add(*(f.tokens_out for f in forecasts)),
        add(*(f.cost for f in forecasts)),
        add(*seconds) if len(seconds) == len(forecasts) else None,
        forecasts[0].currency,
    )


def total_spent(facts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum of what several answer sets say was spent."""
    spent: dict[str, Any] = {name: sum(f[name] for f in facts if name in f) for name in SPENT}
    spent["currency"] = next((f["currency"] for f in facts if "currency" in f), "")
    return spent if any("requests" in f for f in facts) else {}
