"""Text, tables and records as HTML; whatever comes from data is escaped here."""

import html
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

WORD = re.compile(r"\w+(?:[.,'\u2019]\w+)*")
LONGEST = 420


class Html(str):
    """Text that is HTML already; plain text is escaped when it is put into a page."""


def text(value: object) -> Html:
    """Escaped, unless it is HTML already."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """An element; `class_` is the attribute class, and attributes of value None are left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{''.join(map(text, inside))}</{name}>")


def join(parts: Iterable[object], by: str = "") -> Html:
    """Parts one after another."""
    return Html(by.join(text(part) for part in parts))


def table(
    head: Sequence[object], rows: Iterable["Html | Sequence[object]"], numbers: int = 1, class_: str | None = None
) -> Html:
    """A table that scrolls sideways on a narrow screen; columns from the index `numbers` on are aligned as numbers.

    A row that is HTML already is taken as it is.
    """
    top = join(tag("th", cell, class_="number" if i >= numbers else None, scope="col") for i, cell in enumerate(head))
    body = join(
        row
        if isinstance(row, Html)
        else tag("tr", *(tag("td", cell, class_="number" if i >= numbers else None) for i, cell in enumerate(row)))
        for row in rows
    )
    inner = tag("table", tag("thead", tag("tr", top)), tag("tbody", body), class_=class_)
    return tag("div", inner, class_="scroll")


def record(row: dict[str, str | None]) -> dict[str, str]:
    """The values of a record that has them, long ones cut."""
    return {k: v if len(v) <= LONGEST else v[:LONGEST] + " …" for k, v in row.items() if k != "id" and v}


def rows_by_id(table: pa.Table, ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Records by id."""
    wanted = np.array(sorted(set(ids)), dtype=np.int64)
    rows = np.searchsorted(table["id"].to_numpy(), wanted)
    return {int(r["id"]): record(r) for r in table.take(pa.array(rows)).to_pylist()}


def side_by_side(columns: Sequence[tuple[str, dict[str, str] | None, str]]) -> Html:
    """Records in columns (heading, record or None, what to say without one), attribute by attribute.

    The first is the query. Marked are, in the others, words that the query does not have, and in the query, words that the
    last record shown does not have; case does not count. Of attributes that only one of the two has a value of, nothing is
    marked, unless they have none in common.
    """
    query = columns[0][1] or {}
    others = [values for _, values, _ in columns[1:] if values]
    last = others[-1] if others else {}
    own, other = words(query), words(last) if others else None
    attributes = dict.fromkeys(key for _, values, _ in columns for key in values or {})
    head = [tag("th", "", scope="col"), *(tag("th", heading, scope="col") for heading, _, _ in columns)]
    body = []
    for i, attribute in enumerate(attributes):
        cells = [tag("th", attribute, scope="row")]
        for place, (heading, values, instead) in enumerate(columns):
            if values is None:
                if i == 0:
                    cells.append(tag("td", instead, class_="none", rowspan=len(attributes), data_of=heading))
                continue
            against, known = (last, other) if place == 0 else (query, own)
            if attribute not in against and against.keys() & values.keys():
                known = None
            cells.append(tag("td", marked(values.get(attribute, ""), known), data_of=heading))
        body.append(tag("tr", *cells))
    return tag(
        "div", tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="records"), class_="scroll"
    )


def words(values: dict[str, str]) -> set[str]:
    """The words of a record, folded."""
    return {word.casefold() for value in values.values() for word in WORD.findall(value)}


def marked(value: str, known: set[str] | None) -> Html:
    """A value whose words that are not known stand out; None knows everything."""
    if known is None:
        return text(value)
    parts, end = [], 0
    for found in WORD.finditer(value):
        parts.append(text(value[end : found.start()]))
        word = found.group()
        parts.append(text(word) if word.casefold() in known else tag("mark", word))
        end = found.end()
    return join([*parts, text(value[end:])])
