"""Model numbers and the like: tokens of letters and digits, or of many digits, that name a thing by themselves."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

from distiller.features.bags import Entries, Vocabulary, overlap, token_bags
from distiller.features.text import Views, squeezed_codes

CODE = r"^(?:\d{5,}|.*(?:\d.*\p{L}|\p{L}.*\d).*)$"
LEAST = 4  # characters; shorter mixtures are sizes, ordinals and amounts
COMPARED = 6  # codes of each side that are compared by edit ratio
CONTAINED_CHUNK = 8192  # searches at a time: bounds memory, does not change results
SQUEEZED_LENGTH = 600  # characters of the other record that are searched for a code


@dataclass(frozen=True)
class Codes:
    """Codes of all attributes, their spelling, and every record's text without blanks or punctuation."""

    vocabulary: Vocabulary
    spelled: np.ndarray
    squeezed: tuple[np.ndarray, np.ndarray]


def codes(queries: Views, candidates: Views) -> Codes:
    """Codes of both tables."""
    vocabulary = token_bags(
        squeezed_codes(queries.digits_folded),
        squeezed_codes(candidates.digits_folded),
        CODE,
        r"^.{" + str(LEAST) + r",40}$",
    )
    return Codes(vocabulary, _strings(vocabulary.tokens), (_squeezed(queries.all), _squeezed(candidates.all)))


def _squeezed(text: pa.Array) -> np.ndarray:
    without = pc.replace_substring(pc.utf8_slice_codeunits(text, 0, 2 * SQUEEZED_LENGTH), " ", "")
    return _strings(pc.utf8_slice_codeunits(without, 0, SQUEEZED_LENGTH))


def _strings(tokens: pa.Array | None) -> np.ndarray:
    assert tokens is not None
    return np.array(tokens.to_pylist(), dtype=object)


def code_features(made: Codes, query_rows: np.ndarray, candidate_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Codes of each pair, each [n_pairs], never NaN.

    cosine, heaviest_shared as for words; shared, lone_*: counts; sides: how many of the two have codes; found_*: share
    of a side's codes that the other record contains, blanks and punctuation aside; agree: 1 where either contains one
    of the other's; conflict: 1 where both have codes and neither does; likeness: best edit ratio of two codes.
    """
    vocabulary = made.vocabulary
    found: dict[str, np.ndarray] = {}
    query, candidate, found["code.cosine"] = overlap(vocabulary, query_rows, candidate_rows)
    scale = np.log((1.0 + len(made.squeezed[0]) + len(made.squeezed[1])) / 2.0) + 1.0
    found["code.heaviest_shared"] = query.largest(vocabulary.idf[query.columns] * query.shared) / scale
    found["code.shared"] = query.total(query.shared)
    has, agree = [], []
    for name, side, rows, other in (
        ("query", query, candidate_rows, made.squeezed[1]),
        ("candidate", candidate, query_rows, made.squeezed[0]),
    ):
        inside = side.shared.astype(np.float64)
        lone = np.flatnonzero(~side.shared)
        pair = np.repeat(np.arange(len(rows)), np.diff(side.offsets))[lone]
        inside[lone] = _contained(made.spelled[side.columns[lone]], other[rows[pair]])
        count = np.diff(side.offsets)
        found[f"code.lone_{name}"] = side.total(1.0 - inside)
        found[f"code.found_{name}"] = side.total(inside) / np.maximum(count, 1)
        has.append(count > 0)
        agree.append(side.total(inside) > 0)
    found["code.agree"] = (agree[0] | agree[1]).astype(np.float64)
    found["code.conflict"] = (has[0] & has[1] & ~agree[0] & ~agree[1]).astype(np.float64)
    found["code.sides"] = has[0].astype(np.float64) + has[1]
    found["code.likeness"] = _likeness(made.spelled, query, candidate)
    return found


def _contained(needles: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """1 where the text contains the needle, else 0, [n]."""
    found = np.zeros(len(needles))
    for start in range(0, len(needles), CONTAINED_CHUNK):
        part = slice(start, start + CONTAINED_CHUNK)
        found[part] = np.char.find(texts[part].astype(str), needles[part].astype(str)) >= 0
    return found


def _likeness(spelled: np.ndarray, query: Entries, candidate: Entries) -> np.ndarray:
    """Best edit ratio between a code of the query and one of the candidate, [n_pairs]; 0 where one has none."""
    size = np.minimum(np.diff(query.offsets), COMPARED)
    other_size = np.minimum(np.diff(candidate.offsets), COMPARED)
    pair = np.repeat(np.arange(len(size)), size * other_size)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(size * other_size) - size * other_size, size * other_size)
    one = query.offsets[:-1][pair] + within // np.maximum(other_size[pair], 1)
    other = candidate.offsets[:-1][pair] + within % np.maximum(other_size[pair], 1)
    best = np.zeros(len(size))
    if len(pair):
        words, counterparts = spelled[query.columns[one]].tolist(), spelled[candidate.columns[other]].tolist()
        np.maximum.at(
            best, pair, np.asarray(cpdist(words, counterparts, scorer=fuzz.ratio, workers=1)).reshape(-1) / 100.0
        )
    return best
