"""Read the option that a language model chose from the text it wrote: strictly first, then by rules of recovery.

A reply in the format asked for is EXACT. Of any other reply the first of these rules that applies decides, and what it
finds is RECOVERED:

1. a field `answer` of JSON, well-formed or not, in prose, code fences or an object that is cut off later; the last one
   decides, and once there is such a field no other rule is tried;
2. the whole reply is a bare number, which can mean nothing else where a number is asked for;
3. a phrase that says what the answer is: "the answer is [2]", "Record number: [2]"; the last one decides;
4. a bracketed number at the very beginning, where a model puts its answer before it rambles on;
5. the last bracketed number, where reasons were asked for and may come first; else the one number that is there.

Never taken for an answer: what repeats the question ("[0] if ...", "[3] [COL] ..."). Where the deciding place names several
options ("[1, 2]", "[1] or [2]"), none, or one beyond the list, the reply is FAILED. All rules take linear time.

Source: rules 1 (for well-formed objects) and 5 are how the authors of the paper clean replies, rule 4 is how they read
their students.
"""

import json
import re
from dataclasses import replace
from typing import Any

from distiller.artifacts import Parse
from distiller.elicitation.base import Reading

FAILED = Reading(-1, Parse.FAILED)

_BRACKETED = re.compile(r"\[([0-9]+)\]")
_INTEGER = re.compile(r"[0-9]+")
_BARE = re.compile(r"[\"'(]{0,2}([0-9]+)[\"').]{0,3}")

# One place that names an option, or several of them in one breath.
_GROUP = r"\[ ?[0-9]+(?: ?, ?[0-9]+)* ?\]"
_NAMED = rf"{_GROUP}(?:(?: ?[,;/&] ?(?:and |or )?| ?(?:and|or) ?){_GROUP})*"
_MENTION = re.compile(_NAMED)
_STATEMENT = re.compile(rf"\b(?:answer|number)\W{{0,3}}(?:is\b|:)[\s:*`\"'(]{{0,8}}(?P<named>{_NAMED})", re.IGNORECASE)
_CONDITION = re.compile(r"\\?[\"']?,? if\b")
_RECORD = re.compile(r"\s{0,4}\[COL\]")

# A field `answer` whose value is a text or a number; a schema that is quoted has an object there. A number must be over,
# or it may be half of one.
_OVER = r"(?=\s{0,20}[,}\]])"
_ANSWERS = (
    re.compile(rf'"answer"\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.){{0,200}})"|(?P<number>[0-9]+){_OVER}|(?P<cut>"))'),
    re.compile(rf"'answer'\s*:\s*(?:'(?P<text>(?:[^'\\]|\\.){{0,200}})'|(?P<number>[0-9]+){_OVER}|(?P<cut>'))"),
)
_EXPLANATION = re.compile(r"""["']explanation["']\s*:\s*(?=["'])""")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OBJECT_END = re.compile(r'"\s*\}')
_AFTER_STRING = re.compile(r"\s*(?:[,}\]]|\Z)")
_CONFIDENCE = re.compile(
    rf"""["']confidence["']\s*:\s*["']?(?P<number>[0-9]*\.?[0-9]+)(?P<percent>\s?%)?["']?{_OVER}"""
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)


def bracketed(choice: int) -> str:
    """How option `choice` is written in a reply: "[3]"."""
    return f"[{choice}]"


def read_bracketed(text: str | None, n_options: int) -> Reading:
    """What a reply says that should be exactly "[n]"; blanks around it do not matter."""
    if text is None:
        return FAILED
    choice = _exact(text.strip(), n_options)
    return recovered(text, n_options) if choice is None else Reading(choice, Parse.EXACT)


def read_object(text: str | None, n_options: int, fields: tuple[str, ...]) -> Reading:
    """What a reply says that should be one JSON object with exactly these fields, `answer` being "[n]".

    The order of the fields and blanks around the object do not matter. `explanation` must be a text or null, `confidence`
    a number in [0, 1] or null.
    """
    if text is None:
        return FAILED
    said = _only_object(text.strip())
    if said is not None and said.keys() == set(fields) and isinstance(said["answer"], str):
        choice = _exact(said["answer"], n_options)
        rationale, confidence = said.get("explanation"), said.get("confidence")
        well_formed = rationale is None or isinstance(rationale, str)
        if choice is not None and well_formed and (confidence is None or _probability(confidence)):
            return Reading(choice, Parse.EXACT, storable(rationale), None if confidence is None else float(confidence))
    return recovered(text, n_options, fields)


def recovered(text: str, n_options: int, fields: tuple[str, ...] = ("answer",)) -> Reading:
    """What a reply says that is not in the format asked for, by the rules above.

    fields: what was asked for. Only then is an `explanation` what a number named last may follow from, and a `confidence`
    the model's own.
    """
    for pattern in _ANSWERS:
        answers = list(pattern.finditer(text))
        if answers:
            reading = _from_fields(text, answers, n_options)
            return reading if "confidence" in fields else replace(reading, confidence=None)
    bare = _BARE.fullmatch(text.strip())
    if bare:
        return _reading(_within(bare[1], n_options))
    stated = [m["named"] for m in _STATEMENT.finditer(text) if not _repeats_the_question(m, "named")]
    mentions = [m for m in _MENTION.finditer(text) if not _repeats_the_question(m)]
    if stated:
        deciding = stated[-1]
    elif mentions and not text[: mentions[0].start()].strip():
        deciding = mentions[0][0]
    elif mentions and "explanation" in fields:
        deciding = mentions[-1][0]
    else:
        deciding = " ".join({m[0] for m in mentions})
    return _reading(_agreed(deciding, n_options))


def _repeats_the_question(mention: re.Match[str], group: int | str = 0) -> bool:
    condition = mention[group] == bracketed(0) and _CONDITION.match(mention.string, mention.end())
    return bool(condition or _RECORD.match(mention.string, mention.end()))


def _from_fields(text: str, answers: list[re.Match[str]], n_options: int) -> Reading:
    last = len(answers) - 1
    while last > 0 and answers[last]["cut"]:
        last -= 1  # the reply ends within this one, or its value is no answer
    answer = answers[last]
    value = answer["text"] if answer["text"] is not None else answer["number"]
    if value is None:
        return FAILED
    choice = _within(value, n_options) if _INTEGER.fullmatch(value.strip()) else _agreed(value, n_options)
    if choice is None:
        return FAILED
    begin = answers[last - 1].end() if last else 0
    end = answers[last + 1].start() if last + 1 < len(answers) else len(text)
    rationale = _explanation(text, answer.end(), end) or _explanation(text, begin, answer.start())
    given = _CONFIDENCE.search(text, answer.end(), end) or _CONFIDENCE.search(text, begin, answer.start())
    confidence = float(given["number"]) / (100 if given["percent"] else 1) if given else None
    sure = confidence if confidence is not None and confidence <= 1 else None
    return Reading(choice, Parse.RECOVERED, storable(rationale), sure)


def _explanation(text: str, begin: int, end: int) -> str | None:
    """The explanation that stands between two places, as far as it was written."""
    field = _EXPLANATION.search(text, begin, end)
    if not field:
        return None
    string = _STRING.match(text, field.end(), end)
    if string and _AFTER_STRING.match(text, string.end(), end):
        return _unescaped(string[0][1:-1])
    close = _OBJECT_END.search(text, field.end() + 1, end)  # quotes within it are not escaped, or it is cut off
    return _unescaped(text[field.end() + 1 : close.start() if close else end]).strip() or None


def _unescaped(body: str) -> str:
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:
        return _ESCAPE.sub(_meant, body)


def _meant(escape: re.Match[str]) -> str:
    """What an escape stands for; an escape that JSON does not know, such as \\', stands for its character."""
    if len(escape[1]) == 5:
        return chr(int(escape[1][1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(escape[1], escape[1])


def storable(text: str | None) -> str | None:
    """The text with halves of characters, which no file can hold, joined or replaced."""
    return text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _only_object(text: str) -> dict[str, Any] | None:
    """The one JSON object that the text is, None where it is anything else or names a field twice."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a field is there twice")
    return dict(pairs)


def _probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _exact(text: str, n_options: int) -> int | None:
    """The option, where the text is "[n]" as we write it."""
    match = _BRACKETED.fullmatch(text)
    choice = _within(match[1], n_options) if match else None
    return choice if choice is not None and text == bracketed(choice) else None


def _agreed(text: str, n_options: int) -> int | None:
    """The option that all bracketed numbers of a text name; None where there is none or they contradict each other."""
    numbers = {number for group in _MENTION.findall(text) for number in _INTEGER.findall(group)}
    return _within(numbers.pop(), n_options) if len(numbers) == 1 else None


def _within(digits: str, n_options: int) -> int | None:
    """The number, where it is an option."""
    return int(digits) if len(digits) <= 9 and int(digits) <= n_options else None


def _reading(choice: int | None) -> Reading:
    return FAILED if choice is None else Reading(choice, Parse.RECOVERED)
