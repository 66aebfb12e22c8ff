"""Read a delimited text file as a table of text columns, and say which line is at fault where that fails."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from distiller.config import DistillerError

DELIMITERS = ",;\t|"
SAMPLE = 100_000  # characters looked at to find the header and the delimiter
BLOCK = 1 << 24  # bytes that must hold a whole row
_OTHER_KINDS = {
    b"\x1f\x8b": "gzip, name it .gz",
    b"PAR1": "Parquet, name it .parquet",
    b"PK\x03\x04": "a zip archive or a workbook",
}


def read_delimited(path: Path, delimiter: str | None = None) -> pa.Table:
    """All rows of a CSV file, every column as text, empty values null; names are stripped and unique.

    Quoted values may hold delimiters and line breaks. A column without a name is called `column_<number>`.

    Args:
        delimiter: None for the one of comma, semicolon, tab and bar that cuts the first rows most evenly.

    Raises:
        DistillerError: the file is missing, empty, a header only, no UTF-8, ragged, badly quoted, broken gzip, or
            two columns have one name.
    """
    with readable(path):
        sample, whole = _sample(path)
        if delimiter is None:
            delimiter = detected_delimiter(sample, whole)
        header = _records(sample, delimiter)
        if not header:
            raise DistillerError(f"{path} is empty; give a file with a header and at least one row")
        names = column_names(path, header[0])
        try:
            table = _parsed(path, delimiter, len(names))
        except pa.ArrowInvalid as error:
            _blame(path, delimiter, len(names))
            raise DistillerError(
                f"{path} cannot be read as CSV: {' '.join(str(error).split())}; mend the file"
            ) from error
        if any(pc.any(pc.match_substring(column, "\n")).as_py() for column in table.columns):
            _blame(path, delimiter, len(names))  # a forgotten quote would have swallowed rows without complaint
    if table.num_rows < 2:
        raise DistillerError(f"{path} has a header but no rows; give a file with at least one row")
    return table.slice(1).rename_columns(names)


def column_names(path: Path, header: list[str]) -> list[str]:
    """Names stripped of blanks, those that are empty replaced by `column_<number>`.

    Raises:
        DistillerError: a name occurs twice.
    """
    names = [name.strip() or f"column_{i}" for i, name in enumerate(header, 1)]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DistillerError(
            f"{path} has {names.count(twice)} columns named {twice!r}; give every column a name of its own"
        )
    return names


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file as such into one sentence that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DistillerError(f"there is no file {path}; check the path (from {Path.cwd()})") from error
    except UnicodeError as error:
        raise DistillerError(f"{path} is not UTF-8 text{_undecodable(path)}; save it as UTF-8") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DistillerError(
            f"{path} is no whole gzip file ({error}); compress it again or drop .gz from its name"
        ) from error
    except OSError as error:
        if error.errno is None:  # Arrow's own, without a number: the compressed stream is broken
            raise DistillerError(f"{path} is no whole gzip file ({error}); compress it again") from error
        raise DistillerError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error


def text(path: Path) -> TextIO:
    """The characters of a UTF-8 file, unpacked where its name ends in .gz, without a byte order mark."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def detected_delimiter(sample: str, whole: bool = True) -> str:
    """The delimiter that most rows of a sample agree on with its header; a comma where none cuts the header.

    `whole` says whether the last row of the sample is all there. Of equally good ones the one with most columns.
    """
    best, agreed = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        rows = _records(sample, delimiter)
        if not whole and len(rows) > 1:
            rows.pop()
        width = len(rows[0]) if rows else 0
        agreement = sum(len(row) == width for row in rows) / max(len(rows), 1), width
        if width > 1 and agreement > agreed:
            best, agreed = delimiter, agreement
    return best


def _records(sample: str, delimiter: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]


def _sample(path: Path) -> tuple[str, bool]:
    """The first characters of a file, and whether they are all."""
    if path.suffix != ".gz" and not path.is_dir():
        with open(path, "rb") as file:
            start = file.read(4)
        kind = next((kind for magic, kind in _OTHER_KINDS.items() if start.startswith(magic)), None)
        if kind is not None:
            raise DistillerError(f"{path} is not text but {kind}; give a file whose name says what it is")
    with text(path) as characters:
        sample = characters.read(SAMPLE)
    return sample, len(sample) < SAMPLE


def _parsed(path: Path, delimiter: str, n_columns: int) -> pa.Table:
    """The header as first row, then all rows."""
    names = [str(i) for i in range(n_columns)]
    with pa.input_stream(str(path)) as stream:  # unpacks .gz
        return pyarrow.csv.read_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )


def _blame(path: Path, delimiter: str, n_columns: int) -> None:
    """Raise for the first row that is ragged, badly quoted or no UTF-8; slow, so only for files under suspicion."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with text(path) as characters:
            rows = csv.reader(characters, delimiter=delimiter, strict=True)
            begins = 1
            try:
                for row in rows:
                    if row and len(row) != n_columns:
                        _ragged(path, begins, len(row), n_columns)
                    begins = rows.line_num + 1
            except csv.Error as error:
                raise DistillerError(
                    f"{path}, the row that begins in line {begins}: {error}; close quotes, double those within values"
                ) from error
    finally:
        csv.field_size_limit(limit)


def _ragged(path: Path, line: int, found: int, expected: int) -> NoReturn:
    raise DistillerError(
        f"{path}, line {line}: {found} values where the header has {expected}; quote values that hold the delimiter, "
        "or name another one with dataset.delimiter="
    )


def _undecodable(path: Path) -> str:
    """Where the first byte lies that is no UTF-8."""
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f" (line {number}, byte 0x{line[error.start]:02x})"
    return ""
