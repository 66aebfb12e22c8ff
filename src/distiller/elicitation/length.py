"""Keep prompts below a limit of tokens by shortening the values of attributes, the longest first."""

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distiller.config import DistillerError
from distiller.elicitation.base import CountTokens
from distiller.elicitation.serialization import Fields, Form, as_text

#: Characters of a value that are always kept, the ellipsis among them.
LEAST = 8
#: Tokens set aside for what a chat template adds around the messages.
TEMPLATE = 48
# Tokens per byte by kind of character, a sixth above a fit to what the tokenizer cl100k, from which those of Llama 3 and
# Qwen 2.5 descend, makes of prompts of the eight benchmark datasets; digits as Qwen counts them, one by one.
_KINDS = (
    (string.ascii_letters.encode(), 0.12),
    (string.digits.encode(), 1.0),
    (string.whitespace.encode(), 0.65),
    (string.punctuation.encode(), 1.05),
)
_OTHER = 0.75
_LEAST_PER_BYTE = 0.25  # long words without blanks


@dataclass(frozen=True)
class Draft:
    """A prompt whose records are not written out yet.

    before: text before the given record. between: text between it and the candidates, numbered from 1. after: text after
    these; of several prompts that differ in nothing else, the one with the most tokens.
    """

    query_id: int
    system: str
    before: str
    query: Fields
    between: str
    candidates: tuple[Fields, ...]
    after: str

    def records(self, form: Form, longest: int | None) -> str:
        """The prompt without what comes after the candidates; values have at most `longest` characters."""
        shown = [f"[{i}] {as_text(fields, form, longest)}" for i, fields in enumerate(self.candidates, start=1)]
        return "\n".join([self.before + as_text(self.query, form, longest) + self.between, *shown])

    def text(self, form: Form, longest: int | None) -> str:
        """Everything the prompt says, system message included."""
        return f"{self.system}\n{self.records(form, longest)}{self.after}"

    def longest_value(self) -> int:
        """Characters of the longest value of its records."""
        return max((len(value) for fields in (self.query, *self.candidates) for _, value in fields), default=0)


def estimated(texts: Sequence[str]) -> list[int]:
    """Number of tokens of each text where no tokenizer is at hand, [n_texts]; rather too many than too few.

    On 4,362 prompts of the benchmark datasets it is 16 % above the count of cl100k in the median, and below it for 0.6 %.
    """
    return [_estimated(text.encode(errors="replace")) for text in texts]


def _estimated(text: bytes) -> int:
    tokens, rest = 0.0, len(text)
    for characters, weight in _KINDS:
        number = len(text) - len(text.translate(None, characters))
        tokens += weight * number
        rest -= number
    return math.ceil(max(tokens + _OTHER * rest, _LEAST_PER_BYTE * len(text)))


def caps(drafts: Sequence[Draft], form: Form, limit: int, count: CountTokens | None, dataset: str) -> list[int | None]:
    """How many characters each value of each prompt may have at most, [n_drafts]; None where all fit as they are.

    Values are shortened like columns of water: one cap for all values of a prompt, as high as its tokens allow. Short
    values, numbers and codes mostly, stay whole while long descriptions give way; the question, the number of candidates,
    the names of attributes and at least `LEAST` characters of each value always stay.

    limit: tokens of a whole prompt, what a chat template adds included.

    Raises:
        DistillerError: a prompt is too long even so.
    """
    tokens = count or estimated
    room = limit - TEMPLATE
    found: list[int | None] = [None] * len(drafts)
    sizes = np.array(tokens([draft.text(form, None) for draft in drafts]) if drafts else [])
    long = np.flatnonzero(sizes > room).tolist()
    if not long:
        return found
    least = tokens([drafts[i].text(form, LEAST) for i in long])
    for i, size in zip(long, least, strict=True):
        if size > room:
            raise DistillerError(
                f"the prompt about query {drafts[i].query_id} of {dataset} has {size + TEMPLATE} tokens even with all values "
                f"cut to {LEAST} characters, but elicitation.prompt_tokens={limit}; raise it or let the blocker keep fewer "
                "candidates"
            )
    low = dict.fromkeys(long, LEAST)  # fits
    high = {i: drafts[i].longest_value() for i in long}  # does not
    while open_ := [i for i in long if high[i] - low[i] > 1]:
        middle = {i: (low[i] + high[i]) // 2 for i in open_}
        for i, size in zip(open_, tokens([drafts[i].text(form, middle[i]) for i in open_]), strict=True):
            (low if size <= room else high)[i] = middle[i]
    for i in long:
        found[i] = low[i]
    return found
