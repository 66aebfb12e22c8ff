"""The feature table of a set of candidate pairs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from distiller.config import DistillerError
from distiller.features.alignment import NULLABLE, align, alignment_features
from distiller.features.codes import code_features, codes
from distiller.features.context import KINDS, SIZES, context_features, context_names, group_numbers, list_sizes
from distiller.features.numbers import number_features, numbers
from distiller.features.similarity import text_features, texts
from distiller.features.text import attributes, key_names, views

VERSION = 3  # raised whenever the same records would give other features
CHUNK = 4_000_000  # entries of n-gram bags whose pairs are compared at a time: bounds memory, does not change results
LEAST_ENTRIES = 1000  # what a pair counts for at least

CONTEXT = (
    "key.word_cosine", "key.gram_cosine", "key.jaccard", "key.set_ratio", "key.sort_ratio", "key.soft_cover",
    "short.word_cosine", "short.gram_cosine", "short.soft_cover",
    "all.word_cosine", "all.gram_cosine", "all.containment",
    "prose.word_cosine", "code.cosine", "attribute.weighted", "attribute.mean",
)  # fmt: skip


def similarity_features(
    queries: pa.Table, candidates: pa.Table, query_rows: np.ndarray, candidate_rows: np.ndarray, workers: int = 2
) -> tuple[list[str], np.ndarray]:
    """Names of the features, and their values, float32 [n_pairs, n_features].

    Tables have a column `id` (int64) and string attributes; null and "" mean "no value". Pair i is the record in row
    query_rows[i] of the queries and in row candidate_rows[i] of the candidates. Word weights and the alignment of
    attributes come from the two tables and the pairs alone; no label is read. The names are the same for all tables.
    Columns in `NULLABLE` are NaN where the two records have no value in common to compare; no other column ever is.
    `workers` threads share the work; their number does not change the result.

    Raises:
        DistillerError: the two row arrays differ in length, or name a row that is not there.
    """
    query_rows = _rows(query_rows, queries.num_rows, "queries")
    candidate_rows = _rows(candidate_rows, candidates.num_rows, "candidates")
    if len(query_rows) != len(candidate_rows):
        raise DistillerError(
            f"{len(query_rows)} rows of queries and {len(candidate_rows)} rows of candidates do not make pairs; "
            "give one of each per pair"
        )
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        features_of, entries = _prepared(queries, candidates, query_rows, candidate_rows, pool)
        chunks = _chunks(entries)

        def chunk(part: slice) -> dict[str, np.ndarray]:
            return features_of(query_rows[part], candidate_rows[part])

        names: list[str] = []
        for part, found in zip(chunks, pool.map(chunk, chunks), strict=True):
            if not names:
                names = list(found) + context_names(CONTEXT)
                matrix = np.empty((len(query_rows), len(names)), dtype=np.float32)
            for i, values in enumerate(found.values()):
                matrix[part, i] = values
        query, candidate = group_numbers(query_rows), group_numbers(candidate_rows)

        def context(name: str) -> None:
            first = names.index(f"{name}.{KINDS[0]}")
            for i, values in enumerate(context_features(matrix[:, names.index(name)], query, candidate)):
                matrix[:, first + i] = values

        list(pool.map(context, CONTEXT))
    for name, values in zip(SIZES, list_sizes(query, candidate), strict=True):
        matrix[:, names.index(name)] = values
    return names, matrix


def _rows(rows: np.ndarray, available: int, what: str) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.int64)
    if len(rows) and not 0 <= rows.min() <= rows.max() < available:
        raise DistillerError(
            f"rows {rows.min()} to {rows.max()} of the {what} are wanted but there are {available}; count rows from 0"
        )
    return rows


def _chunks(entries: np.ndarray) -> list[slice]:
    """Pairs cut into runs of about `CHUNK` entries; one empty run where there is no pair."""
    if not len(entries):
        return [slice(0)]
    chunk_of = np.cumsum(entries + LEAST_ENTRIES) // CHUNK
    begins = np.flatnonzero(np.diff(chunk_of, prepend=-1))
    return [slice(begin, end) for begin, end in zip(begins, np.r_[begins[1:], len(entries)], strict=True)]


def _prepared(
    queries: pa.Table,
    candidates: pa.Table,
    query_rows: np.ndarray,
    candidate_rows: np.ndarray,
    pool: ThreadPoolExecutor,
) -> tuple[Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]], np.ndarray]:
    """A function from rows of pairs to their features, with everything about single records already computed.

    And how many entries the n-gram bags of each pair have, [n_pairs].
    """
    of_query, of_candidate = pool.map(attributes, (queries, candidates))
    query_views, candidate_views = views(of_query, of_candidate, (queries.num_rows, candidates.num_rows))
    order = _order(queries["id"].to_numpy()[query_rows], candidates["id"].to_numpy()[candidate_rows])
    keys = set(key_names(of_query)), set(key_names(of_candidate))
    future_codes = pool.submit(codes, query_views, candidate_views)
    future_numbers = pool.submit(numbers, query_views, candidate_views)
    future_aligned = pool.submit(align, of_query, of_candidate, keys, query_rows, candidate_rows, order)
    made_texts = texts(query_views, candidate_views, pool)
    made_codes, made_numbers, aligned = future_codes.result(), future_numbers.result(), future_aligned.result()

    def features_of(rows: np.ndarray, other_rows: np.ndarray) -> dict[str, np.ndarray]:
        found = text_features(made_texts, rows, other_rows)
        found |= code_features(made_codes, rows, other_rows)
        found |= number_features(made_numbers, rows, other_rows)
        return found | alignment_features(aligned, rows, other_rows)

    bags = made_texts.grams["all"]
    entries = np.diff(bags.queries.offsets)[query_rows] + np.diff(bags.candidates.offsets)[candidate_rows]
    return features_of, entries


def _order(query_ids: np.ndarray, candidate_ids: np.ndarray) -> np.ndarray:
    """Positions of the pairs by a hash of their ids: the same pairs come first however they are ordered."""
    mixed = query_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + candidate_ids.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.argsort(mixed ^ (mixed >> np.uint64(32)), kind="stable")


def key_attributes(queries: pa.Table, candidates: pa.Table) -> tuple[str, ...]:
    """Attributes that together name a record, of either table, in the order of the tables."""
    keys = [name for table in (queries, candidates) for name in key_names(attributes(table))]
    return tuple(dict.fromkeys(keys))


def dense_names(names: list[str]) -> list[str]:
    """Names of the columns of `dense`: all names, then "<name>.missing" for those in `NULLABLE`, in order."""
    return names + [f"{name}.missing" for name in names if name in NULLABLE]


def dense(names: list[str], matrix: np.ndarray) -> np.ndarray:
    """The features without NaN, float32 [n_pairs, len(dense_names(names))].

    A missing value is 0, and a column at the end says 1 where that is so, 0 elsewhere.
    """
    missing = np.isnan(matrix)
    nullable = [i for i, name in enumerate(names) if name in NULLABLE]
    return np.concatenate([np.where(missing, 0.0, matrix), missing[:, nullable]], axis=1, dtype=np.float32)
