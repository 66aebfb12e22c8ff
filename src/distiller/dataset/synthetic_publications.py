"""Synthetic publications: a catalogue, a citation index, and later editions, parts and versions that do not match."""

from dataclasses import dataclass

from distiller.dataset.synthetic_damage import Columns
from distiller.dataset.synthetic_words import (
    ACTIONS,
    ADJECTIVES,
    FIELDS,
    GIVEN,
    METHODS,
    SHORT_FORMS,
    THINGS,
    Draw,
    pick,
    pick_frequent,
    surname,
)

_NOISE = (
    "(Extended Abstract)",
    "[PDF]",
    "(Invited Paper)",
    "...",
    "Technical Report",
    "(Abstract)",
    "[HTML]",
    "A Preprint",
)
CANDIDATES = Columns(
    ("title", "authors", "venue", "volume", "pages", "year"),
    text=(0, 1, 2),
    codes=(4,),
    moves=((5, 2), (5, 2), (3, 2)),
    noise=_NOISE,
)
QUERIES = Columns(
    ("title", "author", "source", "date"), text=(0, 1, 2), moves=((3, 2), (3, 2), (3, 0), (2, 0)), noise=_NOISE
)

_ORDINALS = (
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
    "Eleventh",
    "Twelfth",
)
_PARTS = tuple(
    ten + one for ten in ("", "X", "XX") for one in ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
)
_MEETINGS = ("International Conference on", "Symposium on", "Workshop on", "Proceedings of the Conference on")
_JOURNALS = ("Journal of", "Transactions on", "Annals of", "International Journal of", "Archives of", "Review of")


@dataclass(slots=True)
class Publication:
    """What a work is; authors are (given name, surname)."""

    title: str
    authors: list[tuple[str, str]]
    venue: str
    volume: str
    first_page: int
    last_page: int
    year: int


def _ordinal(index: int) -> str:
    number = index + 1
    return (
        _ORDINALS[index]
        if index < len(_ORDINALS)
        else f"{number}{ ({1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') if number > 20 else 'th') }"
    )


def _title(draw: Draw) -> str:
    action, thing, method, adjective = (
        pick(ACTIONS, draw),
        pick_frequent(THINGS, draw),
        pick(METHODS, draw),
        pick(ADJECTIVES, draw),
    )
    other = pick(THINGS, draw)
    form = int(draw() * 12)
    if form == 0:
        return f"{action} {thing} with {method}"
    if form == 1:
        return f"{adjective} {method} for {thing}"
    if form == 2:
        return f"{adjective} {thing}: {action} {other}"
    if form == 3:
        return f"On {action} {adjective} {thing}"
    if form == 4:
        return f"{thing} and {other}: A {adjective} Approach"
    if form == 5:
        return f"A {adjective} Method for {action} {thing} in {other}"
    if form == 6:
        return f"{action} and {pick(ACTIONS, draw)} {thing} Using {adjective} {method}"
    if form == 7:
        return f"What {other} Teach Us About {thing}"
    if form == 8:
        return f"Towards {adjective} {thing}"
    if form == 9:
        return f"A Survey of {method} for {action} {thing}"
    if form == 10:
        return f"{method} Meet {other}: {action} {adjective} {thing}"
    return f"The Case for {adjective} {method} in {thing}"


def entity(seed: int, sibling: int, size: int, draw: Draw) -> Publication:
    """A work of the family that `draw` begins: a later edition, another part, a journal version, next year's report."""
    title = _title(draw)
    authors = [(pick_frequent(GIVEN, draw), surname(draw)) for _ in range(1 + int(draw() * draw() * 5))]
    field = pick_frequent(FIELDS, draw)
    journal = draw() < 0.5
    venue = f"{pick(_JOURNALS if journal else _MEETINGS, draw)} {field}"
    year, volume, first = 1984 + int(draw() ** 0.6 * 41), 1 + int(draw() * 60), 1 + int(draw() * 900)
    length, kind, number = 4 + int(draw() * 24), draw(), int(draw() * 6)
    for nth in range(1, sibling + 1):
        page, word, place = draw(), draw(), draw()
        if nth == sibling:
            first = 1 + int(page * 900)
            volume += sibling
    year -= (size - 1 - sibling) * (1 if size > 6 or 0.26 <= kind < 0.4 else 1 + number % 3)
    if kind < 0.12:
        title = f"{title}, {_ordinal(number + sibling)} Edition"
    elif kind < 0.26:
        title = f"{title}, Part {_PARTS[sibling + 1]}"
    elif kind < 0.4:
        title = f"Report on the {_ordinal(number + sibling)} Workshop on {title.split(':')[0].removeprefix('On ')}"
    elif sibling and kind < 0.75:
        venue = f"{(_MEETINGS if journal else _JOURNALS)[int(place * 4)]} {field}" if sibling == 1 else venue
        title = (
            title
            if word < 0.5
            else f"{title}: {('Extended Version', 'Revisited', 'A Second Look', 'New Results')[int(word * 8) % 4]}"
        )
    elif sibling:
        title = f"{title} in {THINGS[(int(word * len(THINGS)) + 7 * sibling) % len(THINGS)]}"
    return Publication(title, authors, venue, str(volume) if journal else "", first, first + length, year)


def acronym(venue: str) -> str:
    """The initials of the words that carry meaning: "Symposium on Data Management" gives "SDM"."""
    return "".join(word[0] for word in venue.split(" ") if word[0].isupper() and word != "Proceedings")


def row(work: Publication, query: bool, strength: float, draw: Draw, done: list[str]) -> list[str | None]:
    """The work's values in the columns of its table; kinds of damage done on the way are added to `done`."""
    title, authors, venue, volume, year = work.title, work.authors, work.venue, work.volume, str(work.year)
    pages = f"{work.first_page}-{work.last_page}"
    if strength:
        if draw() < 0.6 * strength:
            authors = [(given[0] + ".", surname) for given, surname in authors]
            done.append("abbreviation")
        if len(authors) > 1 and draw() < 0.3 * strength:
            authors = [*authors[1:], authors[0]]
            done.append("swap")
        if len(authors) > 2 and draw() < 0.25 * strength:
            authors = [authors[0], ("et", "al.")]
            done.append("drop")
        kind = draw()
        if kind < 0.35 * strength:
            venue = acronym(venue)
            done.append("abbreviation")
        elif kind < 0.8 * strength:
            venue = " ".join(
                SHORT_FORMS.get(word, word) for word in venue.split(" ") if word not in ("of", "on", "the")
            )
            done.append("abbreviation")
        if ":" in title and draw() < 0.25 * strength:
            title = title.split(":")[0]
            done.append("drop")
        if draw() < 0.15 * strength:
            year = str(work.year + (1 if draw() < 0.7 else -1))
            done.append("number")
        if draw() < 0.3 * strength:
            pages = str(work.first_page)
            done.append("drop")
    if query:
        names = "; ".join(f"{surname} {given}" if given != "et" else "et al." for given, surname in authors)
        return [title, names, f"{venue} {volume}, {pages}" if volume else f"{venue}, {pages}", year]
    return [title, ", ".join(f"{given} {surname}" for given, surname in authors), venue, volume or None, pages, year]
