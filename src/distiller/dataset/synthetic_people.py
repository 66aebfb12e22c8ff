"""Synthetic people: a register against a customer list, and members of one household who are other people."""

from dataclasses import dataclass

from distiller.dataset.synthetic_damage import Columns
from distiller.dataset.synthetic_words import GIVEN, NICKNAMES, STREET_KINDS, STREETS, TOWNS, Draw, pick, surname

CANDIDATES = Columns(
    ("given_name", "surname", "street_address", "city", "postcode", "date_of_birth", "phone"),
    text=(0, 1, 2, 3),
    codes=(4, 5, 6),
    moves=((1, 0), (3, 2), (4, 3), (5, 6)),
)
QUERIES = Columns(("name", "address", "born", "telephone"), text=(0, 1), codes=(2, 3), moves=((2, 0), (3, 1)))


_HOUSEHOLD = 4  # members of a family who live together


@dataclass(slots=True)
class Person:
    """Who somebody is; born is (year, month, day)."""

    given: str
    middle: str
    surname: str
    number: str
    street: str
    town: str
    postcode: str
    born: tuple[int, int, int]
    phone: str


def _address(draw: Draw) -> tuple[str, str, str, str]:
    number = int(draw() * draw() * 240) + 1
    flat = f"{int(draw() * 30) + 1}/" if draw() < 0.15 else ""
    town = int(draw() ** 2 * len(TOWNS))
    return (
        f"{flat}{number}",
        f"{pick(STREETS, draw)} {pick(STREET_KINDS, draw)}",
        TOWNS[town],
        str(1000 + (town * 37 + int(draw() * 3)) % 9000),
    )


def entity(seed: int, sibling: int, size: int, draw: Draw) -> Person:
    """A person of the family that `draw` begins: a sibling, a twin, a child of the same name, a relative nearby."""
    family_name = surname(draw)
    number, street, town, postcode = _address(draw)
    given, middle = int(draw() ** 1.5 * len(GIVEN)) * 389 % len(GIVEN), pick(GIVEN, draw)[0] if draw() < 0.4 else ""
    year, month, day = 1930 + int(draw() * 60), 1 + int(draw() * 12), 1 + int(draw() * 28)
    step, kind, shares_phone = 1 + int(draw() * 14), draw(), draw() < 0.5
    phone = draw()
    for nth in range(1, sibling + 1):
        years, other_month, other_day, other_phone, initial = draw(), draw(), draw(), draw(), draw()
        if nth % _HOUSEHOLD == 0:
            number, street, _, _ = _address(draw)
            phone = other_phone
        if nth < sibling:
            continue
        if kind < 0.25 and sibling == 1:
            year += 20 + int(years * 15)
        else:
            given = (given + step * sibling) % len(GIVEN)
            middle = "ABCDEFGHJKLMNPRSTW"[int(initial * 18)] if initial < 0.4 else ""
        if kind < 0.85:
            if not (kind < 0.25 and sibling == 1):
                year += int(years * 12) - 5
            month, day = 1 + int(other_month * 12), 1 + int(other_day * 28)
        if not shares_phone:
            phone = other_phone
    digits = f"{int(phone * 1e8):08d}"
    return Person(
        GIVEN[given],
        middle,
        family_name,
        number,
        street,
        town,
        postcode,
        (year, month, day),
        f"0{digits[:3]} {digits[3:5]}{digits[5:]}",
    )


def row(person: Person, query: bool, strength: float, draw: Draw, done: list[str]) -> list[str | None]:
    """The person's values in the columns of its table; kinds of damage done on the way are added to `done`."""
    given, last, phone = person.given, person.surname, person.phone
    year, month, day = person.born
    number, street, town, postcode = person.number, person.street, person.town, person.postcode
    if strength:
        kind = draw()
        if kind < 0.35 * strength:
            given = NICKNAMES.get(given, given[0] + "." if draw() < 0.4 else given)
            if given != person.given:
                done.append("abbreviation")
        if draw() < 0.15 * strength:
            number, street, town, postcode = _address(draw)
            phone = phone if draw() < 0.5 else f"0{int(draw() * 900) + 100} {int(draw() * 90000) + 10000}"
            done.append("change")
        if draw() < 0.08 * strength:
            last = surname(draw)
            done.append("change")
        kind = draw()
        if kind < 0.08 * strength and day <= 12:
            month, day = day, month
            done.append("swap")
        elif kind < 0.25 * strength:
            day = 1 + (day + int(draw() * 26)) % 28
            done.append("number")
        if draw() < 0.2 * strength:
            phone = phone.replace(" ", "")
            done.append("merge")
        if draw() < 0.12 * strength:
            given, last = last, given
            done.append("misplaced")
    if person.middle and (not strength or draw() > 0.5 * strength):
        given = f"{given} {person.middle}"
    elif person.middle:
        done.append("drop")
    if query:
        return [f"{last}, {given}", f"{number} {street}, {town} {postcode}", f"{day:02d}/{month:02d}/{year}", phone]
    return [given, last, f"{number} {street}", town, postcode, f"{year}-{month:02d}-{day:02d}", phone]
