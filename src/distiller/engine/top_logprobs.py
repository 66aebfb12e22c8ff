"""Log-probabilities of options from the alternatives that a server lists for each generated token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Probability that is always kept for options which no list shows.
LEFT_OPEN = 1e-9


@dataclass(frozen=True)
class Position:
    """One generated token.

    token: its text. logprob: its natural log-probability given everything before it. alternatives: (text, logprob) of the
    most probable tokens at this place, the generated one usually among them.
    """

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


def option_scores(options: Sequence[str], positions: Sequence[Position]) -> tuple[float, ...] | None:
    """Natural log-probability of each option, [n_options], all <= 0, their exponentials sum to at most 1.

    Every alternative, put after the text generated before it, is a text that was possible instead. Its probability belongs
    to the options it can still become or has completed. If these are several ("[1" can become "[1]" and "[10]"), then
    the alternatives after it tell them apart where generation went on from this very text; nothing was generated after
    any other text, and its probability is split evenly. Blanks in front of an option do not count; an option is complete
    once something follows it that does not continue its last word or number. Options that were seen nowhere share what
    the lists leave open (at least LEFT_OPEN), and none gets more than half of the smallest probability listed anywhere.

    Returns None where nothing tells one option from another.
    """
    scores = [-math.inf] * len(options)
    listed: list[float] = []
    left_open, told_apart = LEFT_OPEN, False

    def give(logprob: float, found: list[int]) -> None:
        nonlocal told_apart
        told_apart |= 0 < len(found) < len(options) or len(found) == len(options) == 1
        for i in found:
            scores[i] = _log_sum(scores[i], logprob - math.log(len(found)))

    path, text, open_to = 0.0, "", list(range(len(options)))
    for position in positions:
        others = _not_taken(position)
        known = sum(math.exp(logprob) for _, logprob in [*others, (position.token, min(0.0, position.logprob))])
        left_open += math.exp(path) * max(0.0, 1.0 - known)
        for token, logprob in others:
            listed.append(path + logprob)
            give(path + logprob, _reachable(options, text, token))
        if not math.isfinite(position.logprob):
            open_to = []
            break
        path += min(0.0, position.logprob)
        listed.append(path)
        open_to = _reachable(options, text, position.token)
        text += position.token
        if len(open_to) < 2:
            break
    ended_with = [i for i in open_to if options[i] == text.strip()]
    give(path, ended_with or open_to)
    if not told_apart:
        return None
    unseen = scores.count(-math.inf)
    floor = min([*listed, *(s for s in scores if s > -math.inf)]) - math.log(2)
    floor = min(floor, math.log(left_open / unseen)) if unseen else floor
    scores = [s if s > -math.inf else floor for s in scores]
    total = -math.inf
    for score in scores:
        total = _log_sum(total, score)
    return tuple(min(0.0, score - max(0.0, total)) for score in scores)


def _not_taken(position: Position) -> list[tuple[str, float]]:
    """Alternatives other than the generated token; different tokens may have the same text."""
    others = [(token, min(0.0, logprob)) for token, logprob in position.alternatives if math.isfinite(logprob)]
    same = [other for other in others if other[0] == position.token]
    if same:
        others.remove(min(same, key=lambda other: abs(other[1] - position.logprob)))
    return others


def _reachable(options: Sequence[str], before: str, token: str) -> list[int]:
    """Numbers of the options that `before` + `token` can still become or has completed."""
    text = (before + token).lstrip()
    if not token:  # the end of the reply
        return [i for i, option in enumerate(options) if option == text.rstrip()]
    found = [i for i, option in enumerate(options) if option.startswith(text)]
    complete = [i for i, option in enumerate(options) if _completed(option, text)]
    longest = max((len(options[i]) for i in complete), default=0)
    return sorted({*found, *(i for i in complete if len(options[i]) == longest)})


def _completed(option: str, text: str) -> bool:
    rest = text[len(option) :]
    return text.startswith(option) and not (option[-1:].isalnum() and rest[:1].isalnum())


def _log_sum(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
