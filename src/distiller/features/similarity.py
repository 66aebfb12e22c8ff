"""How alike the texts of two records are: shared words and character n-grams, edit ratios, soft word alignment."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler, Prefix
from rapidfuzz.process import cpdist

from distiller.features.bags import Entries, Vocabulary, cosine, gram_bags, overlap, token_bags
from distiller.features.text import Views

EDIT_LENGTH = 400  # characters; edit ratios are quadratic in length, and the beginning of a text says what it is about
SOFT_TOKENS = 8  # heaviest unshared words of each side that are aligned softly
SOFT_LEAST = 0.84  # Jaro-Winkler similarity from which two different words may be the same one misspelt

VIEWS = ("key", "short", "all")
SPELLED = ("key", "short")  # views whose words are aligned softly
EDIT: dict[str, dict[str, Any]] = {
    "key": {
        "ratio": fuzz.ratio,
        "sort_ratio": fuzz.token_sort_ratio,
        "set_ratio": fuzz.token_set_ratio,
        "partial_ratio": fuzz.partial_ratio,
        "jaro_winkler": JaroWinkler.normalized_similarity,
    },
    "short": {"sort_ratio": fuzz.token_sort_ratio, "set_ratio": fuzz.token_set_ratio},
    "all": {"set_ratio": fuzz.token_set_ratio},
}


@dataclass(frozen=True)
class Texts:
    """What the similarities of one pair of tables are computed from, made once."""

    words: dict[str, Vocabulary]
    grams: dict[str, Vocabulary]
    strings: dict[str, tuple[np.ndarray, np.ndarray]]
    spelled: dict[str, tuple[np.ndarray, np.ndarray]]
    key_lengths: tuple[np.ndarray, np.ndarray]


def texts(queries: Views, candidates: Views, pool: Executor) -> Texts:
    """Bags and strings of every view of both tables, made side by side in the pool."""
    both = {v: (getattr(queries, v), getattr(candidates, v)) for v in (*VIEWS, "prose")}
    grams = {v: pool.submit(gram_bags, *both[v], 3) for v in ("all", "key")}
    words = {v: pool.submit(token_bags, *both[v]) for v in ("all", "key", "prose")}
    if any(pc.any(pc.not_equal(text, "")).as_py() for text in both["prose"]):
        grams["short"] = pool.submit(gram_bags, *both["short"], 3)
        words["short"] = pool.submit(token_bags, *both["short"])
    else:
        grams["short"], words["short"] = grams["all"], words["all"]
    strings = {v: (strings_of(both[v][0]), strings_of(both[v][1])) for v in VIEWS}
    made = {v: words[v].result() for v in words}
    return Texts(
        made,
        {v: grams[v].result() for v in VIEWS},
        strings,
        {v: spelling(made[v].tokens) for v in SPELLED},
        (lengths(strings["key"][0]), lengths(strings["key"][1])),
    )


def lengths(strings: np.ndarray) -> np.ndarray:
    """Characters of each string, [n]."""
    return np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))


def strings_of(text: pa.Array) -> np.ndarray:
    """The first `EDIT_LENGTH` characters of each text as Python strings, [n_records]."""
    return np.array(pc.utf8_slice_codeunits(text, 0, EDIT_LENGTH).to_pylist(), dtype=object)


def spelling(tokens: pa.Array | None) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and their lengths, each [n_tokens]; "" for those with a digit, which are never misspellings."""
    assert tokens is not None
    spelled = pc.if_else(pc.match_substring_regex(tokens, r"\p{N}"), "", tokens)
    strings = np.array(spelled.to_pylist(), dtype=object)
    return strings, lengths(strings)


def compared(scorer: Any, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scores of string pairs, [n_pairs], 0 where either is empty; ratios of `fuzz` are brought to [0, 1]."""
    if not len(one):
        return np.zeros(0)
    score = _scores(scorer, one.tolist(), other.tolist())
    if scorer.__name__.endswith("ratio"):
        score /= 100.0
    return np.where((one == "") | (other == ""), 0.0, score)


def text_features(made: Texts, query_rows: np.ndarray, candidate_rows: np.ndarray) -> dict[str, np.ndarray]:
    """Similarities of each pair by view, each [n_pairs]; 0 where either side has no text, never NaN.

    cosines, ratios and covers lie in [0, 1]; heaviest_*: largest idf of such a word, as a share of the largest
    possible idf.
    """
    found: dict[str, np.ndarray] = {}
    for view in VIEWS:
        vocabulary = made.words[view]
        query, candidate, found[f"{view}.word_cosine"] = overlap(vocabulary, query_rows, candidate_rows)
        found[f"{view}.gram_cosine"] = cosine(made.grams[view], query_rows, candidate_rows)
        idf = vocabulary.idf / (np.log((1.0 + len(made.strings[view][0]) + len(made.strings[view][1])) / 2.0) + 1.0)
        found |= {f"{view}.{name}": value for name, value in _covers(idf, query, candidate).items()}
        if view in made.spelled:
            found |= {f"{view}.{n}": v for n, v in _soft_covers(idf, made.spelled[view], query, candidate).items()}
        one, other = made.strings[view][0][query_rows], made.strings[view][1][candidate_rows]
        for name, scorer in EDIT[view].items():
            found[f"{view}.{name}"] = compared(scorer, one, other)
        if view == "key":
            length = made.key_lengths[0][query_rows], made.key_lengths[1][candidate_rows]
            common = compared(Prefix.similarity, one, other)
            found["key.prefix"] = common / np.maximum(np.minimum(*length), 1)
            found["key.length_ratio"] = np.minimum(*length) / np.maximum(np.maximum(*length), 1)
    found["prose.word_cosine"] = cosine(made.words["prose"], query_rows, candidate_rows)
    return found


def _covers(idf: np.ndarray, query: Entries, candidate: Entries) -> dict[str, np.ndarray]:
    weight, other = idf[query.columns], idf[candidate.columns]
    shared, total, other_total = query.total(weight * query.shared), query.total(weight), candidate.total(other)
    least = np.minimum(total, other_total)
    return {
        "query_cover": _share(shared, total),
        "candidate_cover": _share(shared, other_total),
        "jaccard": _share(shared, total + other_total - shared),
        "containment": _share(shared, least),
        "heaviest_shared": query.largest(weight * query.shared),
        "heaviest_lone_query": query.largest(weight * ~query.shared),
        "heaviest_lone_candidate": candidate.largest(other * ~candidate.shared),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.clip(part / np.where(whole > 0, whole, 1.0), 0.0, 1.0)


def _soft_covers(
    idf: np.ndarray, spelled: tuple[np.ndarray, np.ndarray], query: Entries, candidate: Entries
) -> dict[str, np.ndarray]:
    """Covers in which an unshared word counts by its best counterpart among the other side's unshared words."""
    lone = [_heaviest_lone(idf, spelled[1], side) for side in (query, candidate)]
    (places, offsets), (other_places, other_offsets) = lone
    size, other_size = np.diff(offsets), np.diff(other_offsets)
    pair = np.repeat(np.arange(len(size)), size)
    repeat = other_size[pair]
    one = np.repeat(np.arange(len(places)), repeat)
    first = (
        np.repeat(other_offsets[:-1][pair] - np.r_[0, np.cumsum(repeat)[:-1]], repeat)
        if len(pair)
        else np.zeros(0, int)
    )
    other = first + np.arange(len(one))
    score = word_likeness(*spelled, query.columns[places][one], candidate.columns[other_places][other])
    best = np.zeros(len(places))
    np.maximum.at(best, one, score)
    other_best = np.zeros(len(other_places))
    np.maximum.at(other_best, other, score)
    found = {}
    for name, side, at, value in (("query", query, places, best), ("candidate", candidate, other_places, other_best)):
        credit = side.shared.astype(np.float64)
        credit[at] = value
        weight = idf[side.columns]
        found[f"soft_{name}_cover"] = _share(side.total(weight * credit), side.total(weight))
        found[f"soft_heaviest_lone_{name}"] = side.largest(weight * (1.0 - credit))
    found["soft_cover"] = np.minimum(found["soft_query_cover"], found["soft_candidate_cover"])
    return found


def word_likeness(spelled: np.ndarray, length: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How likely two different words, given by their columns, are the same, [n], in [0, 1].

    Jaro-Winkler from `SOFT_LEAST` on, brought to [0.5, 1]; at least 0.9 where one word is the other's initial and 0.7
    where it is another beginning of it.
    """
    if not len(one):
        return np.zeros(0)
    words, counterparts = spelled[one].tolist(), spelled[other].tolist()
    jaro = _scores(JaroWinkler.normalized_similarity, words, counterparts, SOFT_LEAST)
    score = np.where(jaro > 0, 0.5 + 0.5 * (jaro - SOFT_LEAST) / (1.0 - SOFT_LEAST), 0.0)
    shorter = np.minimum(length[one], length[other])
    begins = _scores(Prefix.similarity, words, counterparts) == shorter
    return np.where(begins, np.maximum(score, np.where(shorter == 1, 0.9, 0.7)), score)


def _scores(scorer: Any, one: list[str], other: list[str], least: float | None = None) -> np.ndarray:
    return (
        np.asarray(cpdist(one, other, scorer=scorer, score_cutoff=least, dtype=np.float32, workers=1))
        .reshape(-1)
        .astype(np.float64)
    )


def _heaviest_lone(idf: np.ndarray, length: np.ndarray, side: Entries) -> tuple[np.ndarray, np.ndarray]:
    """Places of the heaviest unshared spelled words of each pair, and the offsets of the pairs among them."""
    n_pairs = len(side.offsets) - 1
    owner = np.repeat(np.arange(n_pairs), np.diff(side.offsets))
    lone = np.flatnonzero(~side.shared & (length[side.columns] > 0))
    order = np.lexsort((side.columns[lone], -idf[side.columns[lone]], owner[lone]))
    lone = lone[order]
    size = np.bincount(owner[lone], minlength=n_pairs)
    place = np.arange(len(lone)) - np.repeat(np.r_[0, np.cumsum(size)[:-1]], size) if len(lone) else np.zeros(0, int)
    kept = lone[place < SOFT_TOKENS]
    return kept, np.r_[0, np.cumsum(np.minimum(size, SOFT_TOKENS))]
