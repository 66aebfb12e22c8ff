"""What a pair of records has in common and what not, said in words that quote the values."""

import re
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz

from distiller import features
from distiller.rationale.citations import Contents
from distiller.rationale.quoted import words_of
from distiller.task import Task

ALIKE = 60.0  # rapidfuzz ratio from which two texts are called alike
CLOSE = 0.95  # smaller through larger number from which two amounts are called close
LONGEST = 90  # characters of a value that are quoted
FEW = 3  # words, codes or numbers that are quoted at once

_WORD = re.compile(r"[^\W_]+")
_SPELLED = re.compile(r"(?<![^\W_])[^\W\d_]{3,}(?![^\W_])")
_CODE = re.compile(r"^(?:\d{5,}|(?=.*\d)(?=.*[^\W\d_]).{4,})$")
_MEASURE = re.compile(r"^\d+(?:\.\d+)?-?[^\W\d_]{2,}$")  # 8-Port, 100Mbps
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")
_PUNCTUATION = re.compile(r"^\W+|\W+$")
_JOINING = re.compile(r"[-./_#]+")


@dataclass(frozen=True)
class Said:
    """A statement about a pair. agrees: whether it speaks for a match."""

    words: str
    agrees: bool


class Pair:
    """Two records by attribute, values that are missing left out.

    key: names of the attributes that together name a record, of both tables.
    """

    def __init__(self, query: dict[str, str], candidate: dict[str, str], key: tuple[str, ...]):
        self.query, self.candidate, self.key = query, candidate, key

    def key_values(self) -> list[Said]:
        """The first attribute of the key that both records have."""
        return self._attributes([name for name in self.key if name in self.query and name in self.candidate][:1])

    def other_attributes(self) -> list[Said]:
        """Every other attribute that both records have."""
        shared = [name for name in self.query if name in self.candidate and name not in self.key]
        return self._attributes(shared)

    def codes(self) -> list[Said]:
        """Model numbers and the like: those of either record that the other contains, else that both have others."""
        own, other = self._codes(self.query), self._codes(self.candidate)
        texts = [_squeezed(side) for side in (self.query, self.candidate)]
        both = [raw for raw, code in own if code in texts[1]] + [raw for raw, code in other if code in texts[0]]
        if both:
            return [Said(f"the code {_quoted(sorted(both, key=len, reverse=True)[:1])} stands in both records", True)]
        if own and other:
            return [Said(f"the codes differ: {_quoted([own[0][0]])} against {_quoted([other[0][0]])}", False)]
        return []

    def numbers(self) -> list[Said]:
        """Numbers that both records have, or else that each has others."""
        return self._sets(_NUMBER, "number")

    def years(self) -> list[Said]:
        """Years that both records have, or else that each has others."""
        return self._sets(_YEAR, "year")

    def words(self) -> list[Said]:
        """The longest words that both records have, and the longest that only one has."""
        own, other = (
            {w.lower(): w for v in side.values() for w in _SPELLED.findall(v)} for side in (self.query, self.candidate)
        )
        shared = sorted((w for w in own if w in other), key=lambda w: (-len(w), w))[:FEW]
        lone = sorted((w for w in own if w not in other), key=lambda w: (-len(w), w))[:FEW]
        said = []
        if shared:
            said.append(Said(f"both records have the words {_quoted([own[w] for w in shared])}", True))
        if lone:
            said.append(Said(f"the words {_quoted([own[w] for w in lone])} stand in the query record only", False))
        return said

    def _attributes(self, names: list[str]) -> list[Said]:
        said = []
        for name in names:
            one, other = self.query[name], self.candidate[name]
            spoken = words_of(name)
            if _same(one, other):
                said.append((1.0, Said(f"the {spoken} is the same: {_quoted([one])}", True)))
                continue
            likeness, close = _likeness(one, other)
            quoted = f"{_quoted([one])} {'and' if close else 'against'} {_quoted([other])}"
            said.append((likeness, Said(f"the {spoken} {'is alike' if close else 'differs'}: {quoted}", close)))
        best = [s for _, s in sorted(said, key=lambda each: -each[0]) if s.agrees][:1]
        return best + [s for _, s in sorted(said, key=lambda each: each[0]) if not s.agrees][:1]

    def _sets(self, pattern: re.Pattern[str], what: str) -> list[Said]:
        own, other = (
            list(dict.fromkeys(n for v in side.values() for n in pattern.findall(v)))
            for side in (self.query, self.candidate)
        )
        both = [n for n in own if n in other][:FEW]
        if both:
            return [Said(f"both records have the {what}{'s' if len(both) > 1 else ''} {_quoted(both)}", True)]
        if own and other:
            return [Said(f"the {what}s differ: {_quoted(own[:FEW])} against {_quoted(other[:FEW])}", False)]
        return []

    @staticmethod
    def _codes(side: dict[str, str]) -> list[tuple[str, str]]:
        raw = [_PUNCTUATION.sub("", token) for value in side.values() for token in value.split()]
        made = [(token, _JOINING.sub("", token).lower()) for token in raw]
        return [
            (token, code)
            for token, code in made
            if _CODE.match(code)
            and code.isalnum()
            and not _MEASURE.match(token)
            and not ("/" in token and code.isdigit())
        ]


def _squeezed(side: dict[str, str]) -> str:
    return "".join(_WORD.findall(" ".join(side.values()).lower()))


def _number(text: str) -> float | None:
    found = re.fullmatch(r"\W{0,3}(\d[\d,]*(?:\.\d+)?)\D{0,10}", text)
    return float(found[1].replace(",", "")) if found else None


def _same(one: str, other: str) -> bool:
    return _WORD.findall(one.lower()) == _WORD.findall(other.lower())


def _likeness(one: str, other: str) -> tuple[float, bool]:
    """Likeness of two values in [0, 1], and whether they are called alike."""
    amount, counterpart = _number(one), _number(other)
    if amount is not None and counterpart is not None:
        likeness = min(amount, counterpart) / max(amount, counterpart, 1e-9)
        return likeness, likeness >= CLOSE
    ratio = fuzz.token_set_ratio(one.lower(), other.lower())
    return ratio / 100.0, ratio >= ALIKE


def _quoted(values: list[str]) -> str:
    """The values in quotation marks; long ones up to a word's end."""
    return ", ".join(f'"{_short(value)}"' for value in values)


def _short(value: str) -> str:
    value = " ".join(value.replace('"', " ").split())
    return value if len(value) <= LONGEST else value[:LONGEST].rsplit(" ", 1)[0]


class Pairs:
    """Pairs of one task, by the row of the candidate set."""

    def __init__(self, task: Task, rows: np.ndarray):
        self._query_ids = task.candidates.table["query_id"].to_numpy()
        self._candidate_ids = task.candidates.candidate_ids
        self._queries = Contents(task.records.queries, self._query_ids[rows], "queries")
        self._candidates = Contents(task.records.candidates, self._candidate_ids[rows], "candidates")
        self._key = features.key_attributes(task.records.queries, task.records.candidates)

    def __getitem__(self, row: int) -> Pair:
        query = self._queries.text(int(self._query_ids[row]))
        return Pair(query, self._candidates.text(int(self._candidate_ids[row])), self._key)
