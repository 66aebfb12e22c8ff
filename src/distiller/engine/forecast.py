"""Say before asking what asking will take: from what earlier replies took, else from wide guesses."""

import math
from collections.abc import Sequence

import numpy as np

from distiller.budget import Forecast, Interval, Prices
from distiller.engine.base import SCORED_TOKENS, Reply, Request

#: Earlier replies of one kind below which they say too little.
ENOUGH = 5
#: Standard errors on both sides of an expected total.
WIDTH = 2.5
#: How much datasets differ from one another in tokens per reply, as a share.
OUT_DRIFT = 0.35
#: How much they differ in characters per token, as a factor: English prose against tables of codes and foreign names.
IN_DRIFT = 1.7
#: Characters per token of a model never asked before: text full of numbers and codes to plain English.
CHARACTERS_PER_TOKEN = (5.5, 4.0, 1.8)
#: Tokens that a chat template adds to a request at most.
TEMPLATE = 60
#: Seconds per reply of an engine never asked before: a small model on a large GPU to a large one on a processor. In between
#: lies what the paper's teachers took on one consumer GPU (medians of 0.6 to 2.3 s).
SECONDS = (0.005, 1.0, 30.0)
#: How far the speed of an engine wanders with load and length of texts.
SPEED_DRIFT = 4.0


def forecast(
    requests: Sequence[Request],
    n_prompts: int,
    sizes: Sequence[int] | None,
    expected_tokens: Sequence[Interval],
    earlier: Sequence[tuple[Request, Reply]],
    prices: Prices,
    concurrency: int,
) -> Forecast:
    """What these requests, none of them asked before, will take.

    n_prompts: how many there are together with those whose replies are known. sizes: their prompt tokens as the model's
    own tokenizer counts them, [n_requests], or None. expected_tokens: low, middle and high guess of each reply's tokens.
    earlier: replies of the same model, of any kind of request. concurrency: requests under way at a time.
    """
    if not requests:
        nothing = (0.0, 0.0, 0.0)
        return Forecast(n_prompts, 0, nothing, nothing, nothing, nothing, prices.currency)
    kind = _kind(requests[0])
    alike = [reply for request, reply in earlier if _kind(request) == kind and reply.tokens_out]
    written: Interval
    if requests[0].mode == "score":
        written = (0.0, 0.0, float(len(requests) * SCORED_TOKENS))
    elif len(alike) >= ENOUGH:
        longest = float(sum(request.max_tokens for request in requests))
        written = _total(np.array([reply.tokens_out for reply in alike]), len(requests), OUT_DRIFT, longest)
    else:
        written = _sum(expected_tokens)
    if sizes is not None:
        read: Interval = (float(sum(sizes)),) * 3
    else:
        read = _prompt_tokens(requests, earlier)
    timed = [reply.seconds for request, reply in earlier if _kind(request) == kind and reply.seconds > 0]
    each = np.array(SECONDS)
    if len(timed) >= ENOUGH:
        each = float(np.mean(timed)) * np.array([1 / SPEED_DRIFT, 1.0, SPEED_DRIFT])
    low, middle, high = (float(s) for s in each * len(requests) / min(concurrency, len(requests)))
    cost = tuple(prices.of(a, b) for a, b in zip(read, written, strict=True))
    return Forecast(n_prompts, len(requests), read, written, cost, (low, middle, high), prices.currency)  # type: ignore[arg-type]


def _kind(request: Request) -> tuple[str, bool, bool, int]:
    """Requests whose replies are about as long."""
    return request.mode, bool(request.options), request.schema is not None, request.max_tokens


def _sum(intervals: Sequence[Interval]) -> Interval:
    low, middle, high = (math.fsum(values) for values in zip(*intervals, strict=True))
    return low, middle, high


def _total(seen: np.ndarray, n: int, drift: float, most: float) -> Interval:
    """Total over n draws, judged by those seen: chance of the draws, of the mean seen, and drift between datasets."""
    mean = float(seen.mean())
    half = max(WIDTH * float(seen.std()) * math.sqrt(n + n * n / len(seen)), drift * n * mean)
    return max(n * mean - half, 0.0), n * mean, min(n * mean + half, most)


def _prompt_tokens(requests: Sequence[Request], earlier: Sequence[tuple[Request, Reply]]) -> Interval:
    characters = float(sum(request.characters for request in requests))
    read = [(request.characters, reply.tokens_in) for request, reply in earlier if reply.tokens_in]
    if len(read) >= ENOUGH:
        a, b = (sum(column) for column in zip(*read, strict=True))
        middle = characters * b / a
        return middle / IN_DRIFT, middle, middle * IN_DRIFT
    most, usual, fewest = CHARACTERS_PER_TOKEN
    return characters / most, characters / usual, characters / fewest + TEMPLATE * len(requests)
