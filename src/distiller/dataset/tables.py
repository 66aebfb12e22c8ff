"""Anybody's own two tables, with the matches between them where they are known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, model_validator

from distiller.config import DistillerError, component, nearest
from distiller.dataset.base import Dataset
from distiller.dataset.readers import read_text_table, text_column
from distiller.records import Records, checked

WHOLE = r"^(0|[1-9][0-9]{0,17})$"  # what is written as int64 writes it, so that no two names give one number


def _one_character(delimiter: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"must be one character or tab, and neither a quote nor a line break, got {delimiter!r}")
    return delimiter


@component
class Tables(Dataset):
    """Two tables in files, in any format of `read_text_table`; every attribute is read as text.

    queries, candidates: the files. deduplicate: look for the records of `queries` that are the same among each other, so that
        there are no other candidates; a record is never its own match.
    matches: a file whose rows name pairs of ids, or None where nobody knows them.
    query_id, candidate_id: the columns that identify records; None for the column `id` if there is one, else records
        are numbered by their rows from 0. Ids may be any text.
    match_query, match_candidate: the columns of `matches` with the ids; None for its first and second column.
    delimiter: of CSV files; None to find it out, for each file by itself.
    """

    queries: Path
    candidates: Path | None = None
    deduplicate: bool = False
    matches: Path | None = None
    query_id: str | None = None
    candidate_id: str | None = None
    match_query: str | None = None
    match_candidate: str | None = None
    delimiter: Annotated[str, AfterValidator(_one_character)] | None = None
    name: str = "tables"

    @model_validator(mode="after")
    def _candidates_unless_deduplicating(self) -> "Tables":
        if (self.candidates is None) != self.deduplicate:
            raise ValueError(
                "candidates must be a file"
                if self.candidates is None
                else f"candidates={self.candidates} and deduplicate=true exclude each other: a table's duplicates lie in itself"
            )
        return self

    def dataset_name(self) -> str:
        """The name under which scores are reported."""
        return self.name

    def load(self) -> Records:
        """Both tables and the matches, or None for matches nobody knows.

        Ids that are whole numbers are kept. Others are replaced by their rank among all ids of their table, so that
        nothing depends on the order of rows, and `query_names` or `candidate_names` holds them.

        Raises:
            DistillerError: a file is missing or broken, a column is not there, ids are missing or duplicate, or
                matches name records that are not in the tables.
        """
        queries = self._side(self.queries, self.query_id, "dataset.query_id")
        other = self.candidates
        candidates = queries if other is None else self._side(other, self.candidate_id, "dataset.candidate_id")
        matches = None if self.matches is None else self._pairs(self.matches, queries, candidates)
        return _records(self.name, queries, candidates, matches)

    def _side(self, path: Path, id_column: str | None, option: str) -> "_Side":
        path = path.expanduser()
        return _side_of(read_text_table(path, self.delimiter), str(path), id_column, option)

    def _pairs(self, path: Path, queries: "_Side", candidates: "_Side") -> pa.Table:
        path = path.expanduser()
        table = read_text_table(path, self.delimiter)
        if table.num_columns < 2:
            raise DistillerError(
                f"{path} has only the column {table.column_names[0]!r}; matches need a column of query ids and one of "
                "candidate ids"
            )
        columns = []
        for i, option in enumerate(["match_query", "match_candidate"]):
            name = getattr(self, option) or table.column_names[i]
            if name not in table.column_names:
                hint = nearest(name, table.column_names)
                raise DistillerError(f"{path} has no column {name!r}{hint}; set dataset.{option}=")
            columns.append(pc.utf8_trim_whitespace(table[name]))
        query_ids, candidate_ids = queries.find(columns[0], path), candidates.find(columns[1], path)
        return pa.table({"query_id": query_ids, "candidate_id": candidate_ids})


def in_memory(
    queries: pa.Table, candidates: pa.Table | None, query_id: str | None, candidate_id: str | None, name: str = "tables"
) -> Records:
    """Records of two tables of any column types, or of one whose duplicates are looked for (candidates None).

    query_id, candidate_id: as of `Tables`.

    Raises:
        DistillerError: as `Tables.load` does.
    """
    sides = []
    given = ((queries, "queries", query_id, "query_id"), (candidates, "candidates", candidate_id, "candidate_id"))
    for table, what, wanted, option in given:
        if table is not None:
            texts = pa.table({column: text_column(table[column]) for column in table.column_names})
            sides.append(_side_of(texts, f"the table of {what}", wanted, option))
    return _records(name, sides[0], sides[-1], None)


def _records(name: str, queries: "_Side", candidates: "_Side", matches: pa.Table | None) -> Records:
    alone = queries is candidates
    if alone and matches is not None:
        matches = _both_ways(matches)
    names = {"query_names": queries.shown, "candidate_names": candidates.shown, "one_table": alone}
    return checked(name, queries.table, candidates.table, matches, **names)


def _both_ways(matches: pa.Table) -> pa.Table:
    """Every pair of duplicates from the side of each, none twice, none of a record with itself."""
    pairs = np.column_stack([matches[name].to_numpy() for name in ("query_id", "candidate_id")])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return pa.table({"query_id": pairs[:, 0], "candidate_id": pairs[:, 1]})


def _side_of(table: pa.Table, where: str, id_column: str | None, option: str) -> "_Side":
    named = _id_column(where, table, id_column, option)
    if named is None:
        ids: pa.Array = pa.array(np.arange(table.num_rows))
        names, shown = ids.cast(pa.string()), None
    else:
        names = _identifiers(where, table[named], named, option)
        ids, whole = _ids(names)
        shown = None if whole else names
        table = table.drop_columns([named])
    if not table.num_columns:
        raise DistillerError(f"{where} has no column beside its ids ({named!r}); give at least one attribute")
    attributes = table.rename_columns(_without_id(table.column_names))
    return _Side(where, attributes.add_column(0, "id", ids), ids, names, shown)


@dataclass(frozen=True)
class _Side:
    """One of the two tables: ids as numbers and as text, by row; `shown` are the latter where the numbers are ours."""

    where: str
    table: pa.Table
    ids: pa.Array
    names: pa.Array
    shown: pa.Array | None

    def find(self, wanted: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
        """Ids of the records named in a column of the matches in `path`."""
        rows = pc.index_in(wanted, value_set=self.names)
        if rows.null_count:
            lost = wanted.filter(pc.is_null(rows))
            first = lost[0].as_py()
            raise DistillerError(
                f"{lost.length()} of {len(wanted)} matches in {path} name ids that are not in {self.where}, the first "
                f"is {'empty' if first is None else repr(first)}; check dataset.match_query, dataset.match_candidate "
                "and the id columns"
            )
        return pa.chunked_array([self.ids]).take(rows)


def _id_column(path: str, table: pa.Table, wanted: str | None, option: str) -> str | None:
    """The column that holds the ids, or None for row numbers."""
    if wanted is None:
        return next((name for name in table.column_names if name.lower() == "id"), None)
    if wanted not in table.column_names:
        raise DistillerError(f"{path} has no column {wanted!r}{nearest(wanted, table.column_names)}; set {option}=")
    return wanted


def _identifiers(path: str, column: pa.ChunkedArray, name: str, option: str) -> pa.Array:
    """The ids as text without surrounding blanks, every one there and none twice."""
    trimmed = pc.utf8_trim_whitespace(column).combine_chunks()
    names: pa.Array = pc.if_else(pc.equal(trimmed, pa.scalar("")), None, trimmed)
    if names.null_count:
        raise DistillerError(
            f"{path}: {names.null_count} rows have no id in column {name!r}; give every row one or set {option}="
        )
    counts = pc.value_counts(names)
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), pa.scalar(1)))
    if len(twice):
        raise DistillerError(
            f"{path}: {len(twice)} ids in column {name!r} occur more than once, the first is {twice[0].as_py()!r}; "
            f"make them unique or name another column with {option}="
        )
    return names


def _ids(names: pa.Array) -> tuple[pa.Array, bool]:
    """A whole number for every name, and whether they are the names themselves; otherwise ranks from 0."""
    if pc.all(pc.match_substring_regex(names, WHOLE)).as_py():
        return names.cast(pa.int64()), True
    order = pc.sort_indices(names).to_numpy()
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[order] = np.arange(len(names))
    return pa.array(ranks), False


def _without_id(names: list[str]) -> list[str]:
    """Names of attributes; one that is called `id`, as our own ids are, gets a leading underscore."""
    free = "_id"
    while free in names:
        free = f"_{free}"
    return [free if name == "id" else name for name in names]
