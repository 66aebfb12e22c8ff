"""Write a record as text."""

from typing import Literal

import numpy as np
import pyarrow as pa

from distiller.records import rows_of

Form = Literal["tagged", "plain"]

#: (name, value) of the attributes that a record has a value of, in the order of its table's columns.
Fields = tuple[tuple[str, str], ...]

ELLIPSIS = "…"


def fields_of(table: pa.Table, ids: np.ndarray) -> dict[int, Fields]:
    """The attributes of these records by id; missing values are left out, runs of blanks and line breaks are one blank.

    table: column `id`, ascending, and attributes as text.
    """
    wanted = np.unique(ids)
    rows = table.take(pa.array(rows_of(table["id"].to_numpy(), wanted, "records that prompts are to show")))
    names = [name for name in table.column_names if name != "id"]
    columns = [rows[name].to_pylist() for name in names]
    return {
        record: tuple((name, " ".join(value.split())) for name, value in zip(names, values, strict=True) if value)
        for record, values in zip(wanted.tolist(), zip(*columns, strict=True), strict=True)
    }


def as_text(fields: Fields, form: Form, longest: int | None = None) -> str:
    """The record on one line: `tagged` "[COL] name [VAL] value" for each attribute, `plain` the values alone.

    longest: values with more characters are cut to this many, the last of which is an ellipsis.

    Source: the tags are those of Ditto (Li et al. 2020, section 2.1), as the paper's prompts have them.
    """
    values = ((name, shortened(value, longest)) for name, value in fields)
    if form == "tagged":
        return " ".join(f"[COL] {name} [VAL] {value}" for name, value in values)
    return " ".join(value for _, value in values)


def shortened(text: str, longest: int | None) -> str:
    """The beginning of a text, at most `longest` characters with the ellipsis that then ends it."""
    if longest is None or len(text) <= longest:
        return text
    return text[: longest - 1].rstrip() + ELLIPSIS
