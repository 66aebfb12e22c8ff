"""Candidates that an explanation names by number, named by their numbers in another order of the same candidates."""

import re
from collections.abc import Mapping

_NUMBERS = r"\d{1,3}(?:(?:\s*,\s*(?:and |or )?| and | or | & )#?\d{1,3})*"
_BRACKETED = re.compile(rf"\[\s*{_NUMBERS}\s*\]")
_NAMED = r"(?:candidate|option|record|index|number|answer)s?"
_UNBRACKETED = re.compile(
    rf"\b(?:candidate|option|answer|record number|record index|candidate record)s?(?:\s+(?:at\s+)?{_NAMED})*(?:\s+is)?\s+"
    rf"#?{_NUMBERS}(?![\w-]|\.\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")


def renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The text with "[3]", "[1, 3]", "candidate 3", "candidates 1 and 3" naming candidates by their new numbers.

    numbers: new number of each old one. Numbers that are not among these stay, such as 0 for "none", and so does every
    number that does not follow a word for an option or stand in brackets by itself: it may belong to a record. Candidates
    named by an ordinal ("the third") are left alone.
    """

    def number(match: re.Match[str]) -> str:
        return str(numbers.get(int(match[0]), match[0]))

    def numbered(match: re.Match[str]) -> str:
        return _NUMBER.sub(number, match[0])

    # What both rules match is renumbered once: the second sees only what lies between the brackets found by the first.
    parts: list[str] = []
    end = 0
    for found in _BRACKETED.finditer(text):
        parts += [_UNBRACKETED.sub(numbered, text[end : found.start()]), numbered(found)]
        end = found.end()
    return "".join([*parts, _UNBRACKETED.sub(numbered, text[end:])])
