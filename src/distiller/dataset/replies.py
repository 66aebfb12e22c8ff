"""Read the number a language model chose from the reply it wrote, as the authors of the paper read theirs."""

import json
import re
from typing import NamedTuple

# The reply may quote the schema it was given, where "answer" holds an object; only a text makes it an answer.
_ANSWER = re.compile(r'\{\s*"answer"\s*:\s*".*?"explanation".*?\}', re.DOTALL)
_FRAGMENT = re.compile(r'"answer":\s*"[^"]*",')
_BRACKETED = re.compile(r"\[\d+\]")


class Reply(NamedTuple):
    """What a reply says.

    choice: 0 for "none", else 1..k. read: how the number was got, one of `ok`, `recovered`, `unparsed`,
    `out_of_range`, `timeout`; the last three leave choice 0. explanation: the model's reason, or None.
    """

    choice: int
    read: str
    explanation: str | None


def read_reply(answer: str | None, explanation: str | None, n_options: int) -> Reply:
    """What a recorded reply says about `n_options` candidates.

    `explanation` is None where the reply was no well-formed JSON; `answer` then holds its whole text.

    Source: section "Parsing" of the authors' cleaning of replies, its strictness included: `[1, 2]` and a bare `3`
    are no numbers, and an object that is no JSON is given up even where its answer could be seen.
    """
    if answer is None:
        return Reply(0, "timeout", explanation)
    read = "ok"
    if explanation is None:
        read, number, explanation = "recovered", *_recovered(answer)
    else:
        number = _number(answer)
    if number is None:
        return Reply(0, "unparsed", explanation)
    if not 0 <= number <= n_options:
        return Reply(0, "out_of_range", explanation)
    return Reply(number, read, explanation)


def _recovered(text: str) -> tuple[int | None, str | None]:
    """Number and explanation found in a reply that was not well-formed, where there are any."""
    objects = _ANSWER.findall(text)
    if objects:
        try:
            answered = json.loads(objects[-1])
            return _number(answered["answer"]), answered["explanation"]
        except ValueError:
            if _FRAGMENT.search(text):
                return None, None
    numbers = _BRACKETED.findall(text)
    return (_number(numbers[-1]), None) if numbers else (None, None)


def _number(text: str) -> int | None:
    """The whole number between the first and the last character."""
    try:
        return int(text[1:-1])
    except ValueError:
        return None
