"""The two tables of a dataset, read into memory, with the gold matches where there are any."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distiller.config import DistillerError

MATCHES = pa.schema([("query_id", pa.int64()), ("candidate_id", pa.int64())])
BY_ROW = {"query_names": "queries", "candidate_names": "candidates", "parts": "queries"}  # what follows which table


@dataclass(frozen=True)
class Records:
    """One dataset: every query looks for its match among the candidates.

    queries, candidates: column `id` (int64, unique, ascending) and string attributes; null means "no value".
    matches: gold pairs (query_id, candidate_id), or None where nobody knows them.
    query_names, candidate_names: the ids as the user's files have them, where these are not whole numbers; by row.
    folder: where recorded candidates, splits and annotations of this dataset lie, or None.
    pairs: the pairs that the dataset itself gives to be judged (query_id, candidate_id), or None where blocking finds them.
    parts: the part of each query in the dataset's own split, by row: train, valid or test; None without such a split.
    one_table: whether both tables are the same one, whose duplicates are looked for; a record is never its own candidate.
    """

    name: str
    queries: pa.Table
    candidates: pa.Table
    matches: pa.Table | None = None
    query_names: pa.Array | None = None
    candidate_names: pa.Array | None = None
    folder: Path | None = None
    pairs: pa.Table | None = None
    parts: pa.Array | None = None
    one_table: bool = False

    @cached_property
    def key(self) -> str:
        """SHA-256 over the contents of both tables, the gold matches and what the dataset gives, [64 hexadecimal digits]."""
        digest = hashlib.sha256(self.name.encode())
        given = [] if self.pairs is None else [self.pairs]
        given += [] if self.parts is None else [pa.table({"part": self.parts})]
        given += [pa.table({"one_table": [True]})] if self.one_table else []
        for table in (self.queries, self.candidates, self.matches, *given):
            if table is None:
                digest.update(b"none")
                continue
            sink = _Digest(digest)
            with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as stream:
                stream.write_table(table.combine_chunks(), max_chunksize=65_536)
        return digest.hexdigest()

    @cached_property
    def query_ids(self) -> np.ndarray:
        """Ids of all queries, ascending, [n_queries]."""
        return self.queries["id"].to_numpy()

    @cached_property
    def candidate_ids(self) -> np.ndarray:
        """Ids of all candidates, ascending, [n_candidates]."""
        return self.candidates["id"].to_numpy()

    def without_gold(self) -> "Records":
        """The same records without the matches: what a component that does not read gold is given."""
        blind = replace(self, matches=None)
        blind.__dict__["key"] = self.key  # recorded answers of one dataset belong to one key, with gold or without
        return blind


class _Digest:
    """A write-only file that hashes what is written."""

    closed = False

    def __init__(self, digest: "hashlib._Hash"):
        self.digest = digest

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def rows_of(ids: np.ndarray, wanted: np.ndarray, what: str) -> np.ndarray:
    """Row of each wanted id in the ascending `ids`, [n_wanted].

    Raises:
        DistillerError: an id is not there; `what` names the table in the message.
    """
    rows = np.searchsorted(ids, wanted)
    found = rows < len(ids)
    found[found] = ids[rows[found]] == wanted[found]
    if not found.all():
        missing = np.unique(wanted[~found])
        raise DistillerError(
            f"{len(missing)} ids are not in the {what}, the first is {missing[0]}; check that both come from one dataset"
        )
    return rows


def checked(name: str, queries: pa.Table, candidates: pa.Table, matches: pa.Table | None, **names: object) -> Records:
    """Records whose tables are sorted by id and free of the faults that would be silent later.

    Empty strings become null. Extra arguments go to `Records`; names of ids and parts must lie in the rows' given order.

    Raises:
        DistillerError: a table is empty or has no attribute, ids are missing or duplicate, a match points nowhere.
    """
    tables, orders = [], {}
    for what, table in (("queries", queries), ("candidates", candidates)):
        tables.append(_checked_table(name, what, table))
        orders[what] = np.argsort(table["id"].to_numpy(), kind="stable")
    sorted_names = {}
    for argument, value in names.items():
        if argument in BY_ROW and isinstance(value, (pa.Array, pa.ChunkedArray)):
            value = value.take(pa.array(orders[BY_ROW[argument]]))
        sorted_names[argument] = value
    if matches is not None:
        matches = (
            matches.select(MATCHES.names).cast(MATCHES).group_by(MATCHES.names).aggregate([]).select(MATCHES.names)
        )
        matches = matches.sort_by([("query_id", "ascending"), ("candidate_id", "ascending")])
    records = Records(name, tables[0], tables[1], matches, **sorted_names)  # type: ignore[arg-type]
    if matches is not None:
        rows_of(records.query_ids, matches["query_id"].to_numpy(), f"queries of {name}, although matches name them")
        rows_of(
            records.candidate_ids,
            matches["candidate_id"].to_numpy(),
            f"candidates of {name}, although matches name them",
        )
    return records


def _checked_table(name: str, what: str, table: pa.Table) -> pa.Table:
    attributes = [c for c in table.column_names if c != "id"]
    if not table.num_rows:
        raise DistillerError(f"the table of {what} of {name} is empty; give one with at least one row")
    if not attributes:
        raise DistillerError(f"the table of {what} of {name} has no attribute beside its id; give at least one column")
    ids = table["id"]
    if ids.null_count:
        raise DistillerError(f"{ids.null_count} rows in the table of {what} of {name} have no id; give every row one")
    values, counts = np.unique(ids.to_numpy(), return_counts=True)
    if len(values) < table.num_rows:
        twice = values[counts > 1]
        raise DistillerError(
            f"{len(twice)} ids occur more than once in the table of {what} of {name}, the first is {twice[0]}; ids must be unique"
        )
    columns = {"id": ids.cast(pa.int64())}
    for attribute in attributes:
        column = table[attribute].cast(pa.string())
        columns[attribute] = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
    return pa.table(columns).sort_by("id").combine_chunks()
