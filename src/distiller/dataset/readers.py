"""Read anybody's table, whatever its format, as columns of text."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distiller.config import DistillerError
from distiller.dataset.delimited import column_names, read_delimited, readable, text

DELIMITED = {".csv": None, ".txt": None, ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
ROWS = 50_000  # rows of JSON kept as Python objects at a time


def read_text_table(path: Path, delimiter: str | None = None) -> pa.Table:
    """All rows of a table, every column as text; its name says its format.

    CSV (.csv, .txt, .tsv; also .gz), JSON lines (.jsonl, .ndjson; also .gz) or Parquet (.parquet, .pq).
    Whole numbers are written without a fraction, true and false in small letters, lists and objects as JSON; what is
    missing, empty or not a number is null.

    Raises:
        DistillerError: the format is not known, or the file is missing, empty or broken.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    kind = plain.suffix.lower()
    if kind in DELIMITED:
        return read_delimited(path, delimiter or DELIMITED[kind])
    if kind in JSON_LINES:
        return _json_lines(path)
    if path.suffix.lower() in PARQUET:
        return _parquet(path)
    known = ", ".join([*DELIMITED, *JSON_LINES, ".csv.gz", ".jsonl.gz", *PARQUET])
    raise DistillerError(f"{path}: the ending {path.suffix or 'of its name'!r} is no known format; known: {known}")


def _json_lines(path: Path) -> pa.Table:
    names: dict[str, None] = {}
    tables: list[pa.Table] = []
    rows: list[dict[str, str | None]] = []
    with readable(path), text(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DistillerError(
                    f"{path}, line {number}: no JSON ({error}); give one JSON object per line"
                ) from error
            if not isinstance(row, dict):
                found = type(row).__name__
                raise DistillerError(
                    f"{path}, line {number}: a JSON {found} where an object is needed; give one object per line"
                )
            rows.append({name: _as_text(value) for name, value in row.items()})
            names.update(dict.fromkeys(row))
            if len(rows) == ROWS:
                tables.append(_of_rows(rows, list(names)))
                rows = []
        if rows:
            tables.append(_of_rows(rows, list(names)))
    if not tables:
        raise DistillerError(f"{path} is empty; give a file with at least one row")
    table = pa.concat_tables(tables, promote_options="default")
    return table.rename_columns(column_names(path, table.column_names))


def _of_rows(rows: list[dict[str, str | None]], names: list[str]) -> pa.Table:
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _as_text(value: Any) -> str | None:
    """A JSON value as a person would write it; null for nothing and for what is not a number."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False, default=str)


def _parquet(path: Path) -> pa.Table:
    with readable(path):
        if not path.is_file():
            path.open("rb").close()  # raises what is wrong
        try:
            table = pq.ParquetFile(path).read()
        except (pa.ArrowException, OSError) as error:
            raise DistillerError(
                f"{path} is no whole Parquet file ({' '.join(str(error).split())}); write it again"
            ) from error
    names = column_names(path, table.column_names)
    if not table.num_rows:
        raise DistillerError(f"{path} has columns but no rows; give a file with at least one row")
    columns = {}
    for name, column in zip(names, table.columns, strict=True):
        try:
            columns[name] = text_column(column)
        except (pa.ArrowException, UnicodeError) as error:
            raise DistillerError(
                f"{path}: column {name!r} of type {column.type} cannot be written as text: {error}; drop it"
            ) from error
    return pa.table(columns)


def text_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of any type as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_column(column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column), pa.string())])
    if pa.types.is_floating(kind):
        return _float_text(column.cast(pa.float64()) if pa.types.is_float16(kind) else column)
    if pa.types.is_nested(kind):
        return pa.chunked_array(
            [pa.array([_as_text(value) for value in chunk.to_pylist()], pa.string()) for chunk in column.chunks]
        )
    if pa.types.is_duration(kind):
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())])
    written = column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_time(kind):
        return pc.replace_substring_regex(written, r"\.0+$", "")
    if pa.types.is_timestamp(kind):
        written = pc.replace_substring_regex(written, r"\.0+(Z|[+-]\d{4})?$", r"\1")
        midnight = pc.all(pc.ends_with(written, " 00:00:00")).as_py()
        return pc.replace_substring(written, " 00:00:00", "") if midnight else written
    return written


def _float_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as text, whole ones without fraction or exponent; what is not a number is null."""
    number = pc.if_else(pc.is_nan(column), None, column)
    whole = pc.and_(pc.equal(pc.floor(number), number), pc.less(pc.abs(number), pa.scalar(2.0**53)))
    digits = pc.if_else(whole, number, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(digits, number.cast(pa.string()))
