"""Block by character n-grams: the candidates whose text has the largest TF-IDF cosine, exactly."""

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn

from distiller import ragged
from distiller.artifacts import CandidateSet
from distiller.blocker.base import Blocker
from distiller.blocker.grams import tfidf
from distiller.config import DistillerError, component, nearest, runtime
from distiller.records import Records

SPARE = 6  # pairs fetched beyond k, so that most ties at rank k are settled in the first pass
MOST_POSITIONS = np.iinfo(np.int16).max


@component
class Tfidf(Blocker):
    """Nearest neighbours by cosine of character n-gram TF-IDF vectors; pairs without a common n-gram are left out.

    The text of a record is its attribute values joined by blanks; n-grams lie within words padded with one blank.
    Neighbours are ranked by similarity, equal ones by id, so a result depends on contents and ids only.

    Direction `query` keeps the k nearest candidates of each query, `reverse` the k nearest queries of each candidate,
    `mutual` the pairs that are in both, `union` those in either. A query can have more than k candidates under
    `reverse` and `union`, and none under `reverse` and `mutual`.

    Source: DistillER blocks by mutual neighbours too, of sentence embeddings.
    """

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    direction: Literal["query", "reverse", "mutual", "union"] = "mutual"
    attributes: Annotated[list[str], Field(min_length=1)] | None = None
    shortest: Annotated[int, Field(ge=2, le=10)] = 3
    longest: Annotated[int, Field(ge=2, le=10)] = 4
    chunk: Annotated[int, Field(ge=1)] = runtime(20_000)

    @model_validator(mode="after")
    def _sizes_in_order(self) -> "Tfidf":
        if self.shortest > self.longest:
            raise ValueError(f"shortest={self.shortest} exceeds longest={self.longest}; swap them")
        return self

    def block(self, records: Records, threads: int) -> CandidateSet:
        """Candidates of each query, best first.

        Raises:
            DistillerError: an attribute is in neither table, a table has none of those named, no pair has a common
                n-gram.
        """
        queries, candidates = self.texts(records)
        a, b = tfidf(queries, candidates, (self.shortest, self.longest), threads)
        n = b.shape[0]
        found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        nearest_of = others if records.one_table else top
        if self.direction != "reverse":
            rows, columns, cosine = nearest_of(a, b, self.k, threads, self.chunk)
            found["query"] = rows * n + columns, cosine
        if self.direction != "query":
            columns, rows, cosine = nearest_of(b, a, self.k, threads, self.chunk)
            found["reverse"] = rows * n + columns, cosine
        pairs, cosine = _combined(self.direction, found)
        if not len(pairs):
            raise DistillerError(
                f"blocking {records.name} found no pair that shares a character {self.shortest}-gram; "
                "lower blocker.shortest or name other blocker.attributes"
            )
        return _ranked(records, pairs // n, pairs % n, cosine)

    def texts(self, records: Records) -> tuple[pa.Array, pa.Array]:
        """Text of every query and of every candidate: its values joined by blanks, "" for a missing one."""
        tables = {"queries": records.queries, "candidates": records.candidates}
        known = sorted({name for table in tables.values() for name in table.column_names} - {"id"})
        wanted = known if self.attributes is None else self.attributes
        for name in wanted:
            if name not in known:
                raise DistillerError(
                    f"blocker.attributes: {records.name} has no attribute {name!r}{nearest(name, known)}"
                )
        texts = []
        for what, table in tables.items():
            columns = [_filled(table[name]) for name in table.column_names if name in wanted]
            if not columns:
                own = ", ".join(c for c in table.column_names if c != "id")
                raise DistillerError(
                    f"blocker.attributes={wanted}: the {what} of {records.name} have none of them; add one of: {own}"
                )
            texts.append(pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.large_string())))
        return texts[0], texts[1]


def _filled(column: pa.ChunkedArray) -> pa.Array:
    text = pc.fill_null(column.cast(pa.large_string()), "")
    return pa.concat_arrays(text.chunks) if isinstance(text, pa.ChunkedArray) else text


def top(
    rows: sparse.csr_matrix, others: sparse.csr_matrix, k: int, threads: int, chunk: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k rows of `others` with the largest positive product with each row: best first, equals by index.

    Returns row, index in `others` and product (clipped to 1, float32), [n_found] each, by row. Products are summed in
    double precision in column order and compared in single precision, so neither chunk nor threads can reorder them.
    """
    transposed = others.T.tocsr()
    starts = range(0, rows.shape[0], chunk)
    parts = [_top(rows, transposed, np.arange(i, min(i + chunk, rows.shape[0])), k, threads) for i in starts]
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))  # type: ignore[return-value]


def others(
    rows: sparse.csr_matrix, table: sparse.csr_matrix, k: int, threads: int, chunk: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `top` gives where both are the same table, without each row itself."""
    row, index, value = top(rows, table, k + 1, threads, chunk)
    other = row != index
    row, index, value = row[other], index[other], value[other]
    _, offsets = ragged.offsets_of(row)
    near = (
        np.arange(len(row)) - offsets[:-1][ragged.owner(offsets)] < k
    )  # equals may have left no place for the row itself
    return row[near], index[near], value[near]


def _top(
    rows: sparse.csr_matrix, transposed: sparse.csr_matrix, wanted: np.ndarray, k: int, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    settled: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    fetched = k + SPARE
    asked = wanted
    while len(asked):
        best = sp_matmul_topn(rows[asked], transposed, top_n=fetched, threshold=0.0, n_threads=threads)
        offsets = best.indptr.astype(np.int64)
        owner, index = ragged.owner(offsets), best.indices[: offsets[-1]].astype(np.int64)
        value = np.minimum(best.data[: offsets[-1]].astype(np.float32), np.float32(1))
        order = np.lexsort((index, -value, owner))
        index, value = index[order], value[order]
        rank = np.arange(len(value)) - offsets[:-1][owner]
        # A full list whose last entry equals the k-th may have cut off an equal with a smaller index.
        full = np.flatnonzero((np.diff(offsets) == fetched) & (fetched < transposed.shape[1]))
        open_rows = full[value[offsets[full] + k - 1] == value[offsets[full + 1] - 1]]
        keep = (rank < k) & ~np.isin(owner, open_rows)
        settled.append((asked[owner[keep]], index[keep], value[keep]))
        asked, fetched = asked[open_rows], fetched * 8
    row, index, value = (np.concatenate(columns) for columns in zip(*settled, strict=True))
    order = np.argsort(row, kind="stable")
    return row[order], index[order], value[order]


def _combined(direction: str, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs, as row * n_candidates + column, and their similarities."""
    if direction in found:
        return found[direction]
    (query, forth), (reverse, back) = found["query"], found["reverse"]
    if direction == "mutual":
        shared = np.isin(query, reverse)
        return query[shared], forth[shared]
    more = ~np.isin(reverse, query)
    return np.r_[query, reverse[more]], np.r_[forth, back[more]]


def _ranked(records: Records, rows: np.ndarray, columns: np.ndarray, cosine: np.ndarray) -> CandidateSet:
    order = np.lexsort((columns, -cosine, rows))
    rows, columns, cosine = rows[order], columns[order], cosine[order]
    distinct, offsets = ragged.offsets_of(rows)
    sizes = np.diff(offsets)
    if sizes.max() > MOST_POSITIONS:
        raise DistillerError(
            f"query {records.query_ids[distinct[sizes.argmax()]]} of {records.name} is among the nearest of "
            f"{sizes.max()} candidates, at most {MOST_POSITIONS} can be kept; "
            "lower blocker.k or set blocker.direction=mutual"
        )
    position = np.arange(len(rows)) - offsets[:-1][ragged.owner(offsets)] + 1
    return CandidateSet(
        pa.table(
            {
                "query_id": records.query_ids[rows],
                "candidate_id": records.candidate_ids[columns],
                "similarity": cosine,
                "position": position.astype(np.int16),
            }
        )
    )
