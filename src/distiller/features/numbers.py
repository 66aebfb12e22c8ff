"""Numbers in texts: versions, sequels, sizes, amounts and years that two records share or that set them apart."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distiller.features.bags import Entries, Vocabulary, overlap, token_bags
from distiller.features.text import Views, number_words

NUMBER = r"^\d{1,15}(?:\.\d{1,15})?$"
ROMAN = {"ii": 2, "iii": 3, "iv": 4, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
YEARS = (1800, 2100)


@dataclass(frozen=True)
class Numbers:
    """Numbers of the key and of all attributes, and their values, [n_tokens]."""

    vocabularies: dict[str, Vocabulary]
    values: dict[str, np.ndarray]


def numbers(queries: Views, candidates: Views) -> Numbers:
    """Numbers of both tables."""
    vocabularies = {}
    for view in ("key", "all"):
        texts = []
        for side in (queries, candidates):
            text = number_words(side.key_folded if view == "key" else side.digits_folded)
            if view == "key":
                for roman, value in ROMAN.items():
                    text = pc.replace_substring_regex(text, rf"([a-z]) {roman}\b", rf"\1 {value}")
            texts.append(text)
        vocabularies[view] = token_bags(*texts, NUMBER)
    return Numbers(vocabularies, {view: _values(v.tokens) for view, v in vocabularies.items()})


def _values(tokens: pa.Array | None) -> np.ndarray:
    assert tokens is not None
    return pc.cast(tokens, pa.float64()).to_numpy(zero_copy_only=False)


def number_features(made: Numbers, query_rows: np.ndarray, candidate_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of each pair, each [n_pairs], never NaN.

    shared: a count; jaccard in [0, 1]; conflict: 1 where both sides have such numbers and share none;
    equal: 1 where both have the same non-empty set. `year` looks at whole numbers from 1800 to 2099.
    """
    found: dict[str, np.ndarray] = {}
    for view in ("key", "all"):
        query, candidate, found[f"number.{view}.cosine"] = overlap(made.vocabularies[view], query_rows, candidate_rows)
        value = made.values[view]
        found |= {f"number.{view}.{n}": v for n, v in _sets(np.ones(len(value)), query, candidate).items()}
        if view == "all":
            year = (value >= YEARS[0]) & (value < YEARS[1]) & (value % 1 == 0)
            found |= {f"year.{n}": v for n, v in _sets(year.astype(np.float64), query, candidate).items()}
    return found


def _sets(wanted: np.ndarray, query: Entries, candidate: Entries) -> dict[str, np.ndarray]:
    shared = query.total(wanted[query.columns] * query.shared)
    lone = query.total(wanted[query.columns]) - shared, candidate.total(wanted[candidate.columns]) - shared
    return {
        "shared": shared,
        "jaccard": shared / np.maximum(shared + lone[0] + lone[1], 1.0),
        "conflict": ((shared == 0) & (lone[0] > 0) & (lone[1] > 0)).astype(np.float64),
        "equal": ((shared > 0) & (lone[0] == 0) & (lone[1] == 0)).astype(np.float64),
    }
