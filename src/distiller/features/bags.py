"""Records as sparse bags of tokens or character n-grams over one vocabulary, and what the bags of a pair share."""

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

GRAM_BITS = 20  # character n-grams are hashed to 2**20 columns; a record has a few hundred, so collisions do not matter
GRAM_CHUNK = 2_000_000  # characters whose n-grams are counted at a time: bounds memory, does not change results


@dataclass(frozen=True)
class Bags:
    """Bags of one table: CSR with entries in ascending column order; `weight` is normalised to length 1 per record.

    offsets: [n_records + 1]; columns, weight: [n_entries].
    """

    offsets: np.ndarray
    columns: np.ndarray
    weight: np.ndarray

    def rows(self, data: np.ndarray, width: int) -> sparse.csr_matrix:
        """Entries with the given data, [n_records, width]."""
        matrix = sparse.csr_matrix((data, self.columns, self.offsets), shape=(len(self.offsets) - 1, width), copy=False)
        matrix.has_sorted_indices = matrix.has_canonical_format = True
        return matrix


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of both tables.

    tokens: the texts, ascending, [n_tokens], or None for hashed n-grams.
    idf: ln((1 + n_records) / (1 + n_records with the token)) + 1, [n_tokens], over the records of both tables.
    """

    tokens: pa.Array | None
    idf: np.ndarray
    queries: Bags
    candidates: Bags


def token_bags(queries: pa.Array, candidates: pa.Array, *patterns: str) -> Vocabulary:
    """Bags of the blank-separated tokens of two columns of texts; only tokens that match all `patterns`."""
    lists = pc.split_pattern(pa.concat_arrays([queries, candidates]), " ")
    offsets = lists.offsets.to_numpy().astype(np.int64)
    encoded = lists.flatten().dictionary_encode()
    tokens, codes = encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)
    wanted = pc.not_equal(tokens, "")
    for pattern in patterns:
        wanted = pc.and_(wanted, pc.match_substring_regex(tokens, pattern))
    keep = wanted.to_numpy(zero_copy_only=False)
    # Ascending tokens: sums over a record's entries then do not depend on the order of the records.
    order = pc.sort_indices(tokens).to_numpy().astype(np.int64)
    order = order[keep[order]]
    renumbered = np.full(len(tokens), -1, dtype=np.int64)
    renumbered[order] = np.arange(len(order))
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    columns = renumbered[codes]
    known = columns >= 0
    width = max(len(order), 1)
    row, column, count = _counted(owner[known], columns[known], width)
    return _weighted(row, column, count, width, len(queries), len(candidates), tokens.take(pa.array(order)))


def gram_bags(queries: pa.Array, candidates: pa.Array, size: int) -> Vocabulary:
    """Bags of the character n-grams (`size` characters, a blank before and after the text) of two columns of texts."""
    nothing, blank = pa.scalar("", pa.large_string()), pa.scalar(" ", pa.large_string())
    texts = pc.binary_join_element_wise(nothing, pa.concat_arrays([queries, candidates]), nothing, blank)
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    chunk_of = (np.cumsum(lengths) - lengths) // GRAM_CHUNK
    starts = np.flatnonzero(np.diff(chunk_of, prepend=-1))
    rows, columns, counts = [], [], []
    for start, end in itertools.pairwise([*starts, len(texts)]):
        length = lengths[start:end]
        letters = _letters(texts.slice(start, end - start))
        code = np.zeros(max(len(letters) - size + 1, 0), dtype=np.uint64)
        for place in range(size):
            code = code * np.uint64(0x9E3779B97F4A7C15) + letters[place : place + len(code)]
        code = (code ^ (code >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        owner = np.repeat(np.arange(len(length)), length)[: len(code)]
        inside = np.arange(len(code)) + size <= np.cumsum(length)[owner]
        inside &= length[owner] > 2  # an empty text is nothing but its two blanks
        row, column, count = _counted(
            owner[inside], (code[inside] >> np.uint64(64 - GRAM_BITS)).astype(np.int64), 1 << GRAM_BITS
        )
        rows.append((row + start).astype(np.int32))
        columns.append(column.astype(np.int32))
        counts.append(count.astype(np.int32))
    empty = np.zeros(0, np.int32)
    row, column, count = (np.concatenate([empty, *part]) for part in (rows, columns, counts))
    present = np.bincount(column, minlength=1 << GRAM_BITS) > 0
    column = (np.cumsum(present, dtype=np.int32) - 1)[column]
    return _weighted(row, column, count, max(int(present.sum()), 1), len(queries), len(candidates), None)


def _letters(texts: pa.Array) -> np.ndarray:
    """Code points of all texts one after the other, [n_characters]."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    text = texts.buffers()[2]
    together = b"" if text is None else text.slice(offsets[0], offsets[-1] - offsets[0]).to_pybytes()
    return np.frombuffer(together.decode("utf-8").encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)


def _counted(row: np.ndarray, column: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (row, column), ascending, and how often each occurs."""
    bits = int(width).bit_length()
    entry = np.sort((row.astype(np.int64) << bits) | column)
    first = np.flatnonzero(np.r_[True, entry[1:] != entry[:-1]]) if len(entry) else np.zeros(0, np.int64)
    distinct = entry[first]
    return distinct >> bits, distinct & ((1 << bits) - 1), np.diff(np.r_[first, len(entry)])


def _weighted(
    row: np.ndarray,
    column: np.ndarray,
    count: np.ndarray,
    width: int,
    n_queries: int,
    n_candidates: int,
    tokens: pa.Array | None,
) -> Vocabulary:
    total = n_queries + n_candidates
    idf = np.log((1.0 + total) / (1.0 + np.bincount(column, minlength=width))) + 1.0
    weight = (1.0 + np.log(count)) * idf[column]
    norm = np.sqrt(np.bincount(row, weights=weight**2, minlength=total))
    weight /= norm[row]
    offsets = np.r_[0, np.cumsum(np.bincount(row, minlength=total))].astype(np.int64)
    cut = offsets[n_queries]
    index = np.int32 if len(column) < 2**31 else np.int64
    return Vocabulary(
        tokens,
        idf,
        Bags(offsets[: n_queries + 1].astype(index), column[:cut].astype(index), weight[:cut].astype(np.float32)),
        Bags((offsets[n_queries:] - cut).astype(index), column[cut:].astype(index), weight[cut:].astype(np.float32)),
    )


def cosine(vocabulary: Vocabulary, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
    """TF-IDF cosine of each pair, [n_pairs], in [0, 1]; 0 where either bag is empty."""
    width = len(vocabulary.idf)
    query = vocabulary.queries.rows(vocabulary.queries.weight, width)[query_rows]
    candidate = vocabulary.candidates.rows(vocabulary.candidates.weight, width)[candidate_rows]
    shared = query.multiply(candidate).tocsr()
    return np.clip(segment_sum(shared.data, shared.indptr), 0.0, 1.0)


@dataclass(frozen=True)
class Entries:
    """Entries of one side of all pairs of a chunk, pair after pair.

    offsets: [n_pairs + 1]; columns: vocabulary columns; weight: normalised TF-IDF; shared: whether the pair's other
    side has the column too; each [n_entries].
    """

    offsets: np.ndarray
    columns: np.ndarray
    weight: np.ndarray
    shared: np.ndarray

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of the entries' values per pair, [n_pairs]."""
        return segment_sum(values, self.offsets)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Largest of the entries' non-negative values per pair, [n_pairs]; 0 where there is no entry."""
        return segment_max(values, self.offsets)


def overlap(
    vocabulary: Vocabulary, query_rows: np.ndarray, candidate_rows: np.ndarray
) -> tuple[Entries, Entries, np.ndarray]:
    """Entries of the queries, of the candidates, and the TF-IDF cosine of each pair, [n_pairs]."""
    width = len(vocabulary.idf)
    sides = []
    for bags, rows in ((vocabulary.queries, query_rows), (vocabulary.candidates, candidate_rows)):
        sides.append(bags.rows(bags.weight, width)[rows])
    places = []
    for one, other in (sides, sides[::-1]):
        numbered = sparse.csr_matrix(
            (np.arange(1, one.nnz + 1, dtype=np.int64), one.indices, one.indptr), shape=one.shape
        )
        pattern = sparse.csr_matrix(
            (np.ones(other.nnz, dtype=np.int64), other.indices, other.indptr), shape=other.shape
        )
        both = numbered.multiply(pattern).tocsr()
        places.append((both.data - 1, both.indptr))
    entries = []
    for side, (place, _) in zip(sides, places, strict=True):
        shared = np.zeros(side.nnz, dtype=bool)
        shared[place] = True
        entries.append(Entries(side.indptr, side.indices, side.data, shared))
    products = entries[0].weight[places[0][0]].astype(np.float64) * entries[1].weight[places[1][0]]
    return entries[0], entries[1], np.clip(segment_sum(products, places[0][1]), 0.0, 1.0)


def segment_sum(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum of each segment, [n_segments]."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.bincount(owner, weights=values, minlength=len(offsets) - 1)


def segment_max(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Largest value of each segment, [n_segments]; 0 for an empty one."""
    best = np.zeros(len(offsets) - 1)
    filled = np.diff(offsets) > 0
    if filled.any():
        best[filled] = np.maximum.reduceat(values, offsets[:-1][filled])
    return best
