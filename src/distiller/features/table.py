"""The feature table of a set of candidate pairs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from distiller.config import DistillerError
from distiller.features.alignment import align, alignment_features
from distiller.features.codes import code_features, codes
from distiller.features.context import context_features
from distiller.features.numbers import number_features, numbers
from distiller.features.similarity import text_features, texts
from distiller.features.text import attributes, key_names, views

VERSION = 1  # raised whenever the same records would give other features
CHUNK = 4096  # pairs whose text is compared at a time: bounds memory, does not change results

CONTEXT = (
    "key.word_cosine", "key.gram_cosine", "key.jaccard", "key.set_ratio", "key.sort_ratio", "key.soft_cover",
    "short.word_cosine", "short.gram_cosine", "short.soft_cover", "all.word_cosine", "all.gram_cosine", "all.containment",
    "code.all.cosine", "attribute.weighted", "attribute.mean",
)  # fmt: skip


def similarity_features(
    queries: pa.Table, candidates: pa.Table, query_rows: np.ndarray, candidate_rows: np.ndarray, workers: int = 2
) -> tuple[list[str], np.ndarray]:
    query_rows, candidate_rows = np.asarray(query_rows, dtype=np.int64), np.asarray(candidate_rows, dtype=np.int64)
    of_query, of_candidate = attributes(queries), attributes(candidates)
    query_views, candidate_views = views(of_query, of_candidate, (queries.num_rows, candidates.num_rows))
    made = texts(query_views, candidate_views)
    made_codes = codes(query_views, candidate_views)
    made_numbers = numbers(query_views, candidate_views)
    keys = set(key_names(of_query)), set(key_names(of_candidate))
    order = _order(queries["id"].to_numpy()[query_rows], candidates["id"].to_numpy()[candidate_rows])
    aligned = align(of_query, of_candidate, keys, query_rows, candidate_rows, order)

    def chunk(start: int) -> tuple[list[str], np.ndarray]:
        rows = query_rows[start : start + CHUNK], candidate_rows[start : start + CHUNK]
        found = text_features(made, *rows) | code_features(made_codes, *rows) | number_features(made_numbers, *rows)
        found |= alignment_features(aligned, *rows)
        return list(found), np.stack(list(found.values()), axis=1).astype(np.float32)

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(chunk, range(0, max(len(query_rows), 1), CHUNK)))
    names, matrix = parts[0][0], np.concatenate([part for _, part in parts])
    context = context_features({n: matrix[:, names.index(n)] for n in CONTEXT}, query_rows, candidate_rows)
    return names + list(context), np.concatenate([matrix, np.stack(list(context.values()), 1).astype(np.float32)], axis=1)


def _order(query_ids: np.ndarray, candidate_ids: np.ndarray) -> np.ndarray:
    """Positions of the pairs by a hash of their ids: the same pairs come first however they are ordered."""
    mixed = query_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + candidate_ids.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.argsort(mixed ^ (mixed >> np.uint64(32)), kind="stable")
