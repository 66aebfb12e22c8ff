"""What goes wrong with values on their way into a table: typing errors, short forms, lost, swapped and merged words."""

from dataclasses import dataclass
from math import hypot

from distiller.dataset.synthetic_words import SHORT_FORMS, Draw, pick

KINDS = (
    "typo",
    "abbreviation",
    "drop",
    "swap",
    "merge",
    "noise",
    "case",
    "misplaced",
    "missing",
    "unit",
    "number",
    "synonym",
    "change",
)

# Expected events in a record of ten words at full strength.
_PER_TEN_WORDS = {"typo": 0.8, "abbreviation": 1.0, "drop": 0.9, "swap": 0.4, "merge": 0.5, "case": 0.3}
_MISPLACED = 0.2
_NOISE = 0.4
_CODE_TYPO = 0.25

_KEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_PLACES = {
    key: (column + shift, row)
    for row, shift in enumerate((0.0, 0.5, 0.75, 1.25))
    for column, key in enumerate(_KEYS[row])
}


def _neighbours(key: str) -> str:
    x, y = _PLACES[key]
    near = {
        other: hypot(x - u, y - v)
        for other, (u, v) in _PLACES.items()
        if other != key and other.isdigit() == key.isdigit()
    }
    return "".join(other * (3 if distance < 1.01 else 1) for other, distance in near.items() if distance < 1.3)


NEIGHBOURS = {key: _neighbours(key) for key in _PLACES}


@dataclass(frozen=True)
class Columns:
    """The attributes of one table of one domain and what may befall them.

    names: attribute names; the first is the key and is never missing.
    text: columns of words; codes: columns of digits, where only typing errors happen.
    moves: (from, to) columns between which a value may be misplaced.
    noise: words that shops and indexes add to the first column.
    """

    names: tuple[str, ...]
    text: tuple[int, ...]
    codes: tuple[int, ...] = ()
    moves: tuple[tuple[int, int], ...] = ()
    noise: tuple[str, ...] = ()


def typo(word: str, draw: Draw) -> str:
    """The word with one slip of the finger: a neighbouring key, a letter lost, doubled, or swapped with the next."""
    at = int(draw() * len(word))
    kind = draw()
    letter = word[at]
    if kind < 0.45:
        near = NEIGHBOURS.get(letter.lower())
        if near is None:
            return word[:at] + word[at + 1 :] if len(word) > 1 else word
        other = pick(near, draw)
        return word[:at] + (other.upper() if letter.isupper() else other) + word[at + 1 :]
    if kind < 0.65 and len(word) > 2:
        return word[:at] + word[at + 1 :]
    if kind < 0.8 or len(word) < 2:
        return word[: at + 1] + letter.lower() + word[at + 1 :]
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def abbreviated(word: str, draw: Draw) -> str:
    """A known short form, else the beginning of a long word with a full stop; a short or numeric word stays."""
    short = SHORT_FORMS.get(word)
    if short:
        return short
    if len(word) < 6 or not word.isalpha():
        return word
    return word[: 3 + int(draw() * 2)] + "."


def damage(values: list[str | None], columns: Columns, strength: float, missing: float, draw: Draw) -> list[str]:
    """Damage the values of one record in place and return the kinds of damage done, one entry per event.

    `strength` in [0, 1] scales every kind but "missing"; `missing` in [0, 1] is the chance of each value but the first
    to be null.
    """
    done: list[str] = []
    if strength > 0:
        _damage_text(values, columns, strength, draw, done)
        for column in columns.codes:
            value = values[column]
            if value and draw() < _CODE_TYPO * strength:
                values[column] = typo(value, draw)
                done.append("typo")
        if columns.moves and draw() < _MISPLACED * strength:
            source, goal = columns.moves[int(draw() * len(columns.moves))]
            value = values[source]
            if value:
                there = values[goal]
                values[goal] = value if not there else f"{there} {value}"
                values[source] = None
                done.append("misplaced")
    if missing > 0:
        for column in range(1, len(values)):
            if values[column] and draw() < missing:
                values[column] = None
                done.append("missing")
    return done


def _damage_text(values: list[str | None], columns: Columns, strength: float, draw: Draw, done: list[str]) -> None:
    words = {column: value.split(" ") for column in columns.text if (value := values[column])}
    if not words:
        return
    places = [column for column, tokens in words.items() for _ in tokens]
    scale = strength * len(places) / 10
    changed = False
    for kind, rate in _PER_TEN_WORDS.items():
        events = int(rate * scale + draw())
        for _ in range(events):
            tokens = words[places[int(draw() * len(places))]]
            if _damage_word(kind, tokens, draw):
                done.append(kind)
                changed = True
    if columns.noise and draw() < _NOISE * strength:
        noisy = words.get(columns.text[0])
        if noisy:
            noisy.insert(len(noisy) if draw() < 0.7 else 0, pick(columns.noise, draw))
            done.append("noise")
            changed = True
    if changed:
        for column, tokens in words.items():
            values[column] = " ".join(tokens)


def _damage_word(kind: str, tokens: list[str], draw: Draw) -> bool:
    """Whether the kind of damage could be done to one of the words."""
    at = int(draw() * len(tokens))
    if kind in ("drop", "swap", "merge") and len(tokens) < 2:
        return False
    before = tokens[at]
    if kind == "typo":
        tokens[at] = typo(before, draw)
    elif kind == "abbreviation":
        tokens[at] = abbreviated(before, draw)
    elif kind == "case":
        tokens[at] = before.upper() if draw() < 0.5 else before.lower()
    elif kind == "drop":
        del tokens[at]
        return True
    else:
        at = min(at, len(tokens) - 2)
        if kind == "merge":
            tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
            return True
        before = tokens[at]
        tokens[at], tokens[at + 1] = tokens[at + 1], tokens[at]
    return tokens[at] != before
