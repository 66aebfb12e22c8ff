"""The vectorised features, recomputed pair by pair in plain Python."""

import math
import re
import statistics
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import few, instances
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from distiller.features import similarity_features
from distiller.features.context import Rivals, context_features, group_numbers


def plain(value):
    """The value as words: lower case, no accents, whole numbers without ".0", one blank between words."""
    text = unicodedata.normalize("NFKD", value or "")
    text = unicodedata.normalize("NFKC", re.sub("[\u0300-\u036f]+", "", text)).lower()
    text = re.sub(r"\b(\d+)\.0+\b", r"\1", text)
    return " ".join(re.findall(r"[^\W_]+", text))


def texts_of(table):
    """Everything a record says, in one text, by row."""
    rows = table.drop_columns(["id"]).to_pylist()
    return [" ".join(filter(None, (plain(value) for value in row.values()))) for row in rows]


def grams(text):
    padded = f" {text} "
    return [padded[i : i + 3] for i in range(len(padded) - 2)] if text else []


def weights(tokens_of):
    """A unit-length TF-IDF vector per record, as dictionaries."""
    found = Counter(token for tokens in tokens_of for token in set(tokens))
    idf = {token: math.log((1 + len(tokens_of)) / (1 + n)) + 1 for token, n in found.items()}
    vectors = []
    for tokens in tokens_of:
        vector = {t: (1 + math.log(n)) * idf[t] for t, n in Counter(tokens).items()}
        length = math.sqrt(sum(w * w for w in vector.values())) or 1
        vectors.append({t: w / length for t, w in vector.items()})
    return vectors, idf


@few
@given(instances())
def test_cosines_and_covers_agree_with_dictionaries(instance):
    queries, candidates, query_rows, candidate_rows = instance
    names, matrix = similarity_features(*instance)
    texts = texts_of(queries) + texts_of(candidates)
    for what, split in (("word", str.split), ("gram", grams)):
        vectors, idf = weights([split(text) for text in texts])
        for i, (q, c) in enumerate(zip(query_rows, candidate_rows, strict=True)):
            one, other = vectors[q], vectors[queries.num_rows + c]
            cosine = sum(weight * other.get(token, 0) for token, weight in one.items())
            assert matrix[i, names.index(f"all.{what}_cosine")] == pytest.approx(cosine, abs=1e-5)
            if what == "word":
                shared, total = (sum(idf[t] for t in tokens) for tokens in (one.keys() & other.keys(), one.keys()))
                assert matrix[i, names.index("all.query_cover")] == pytest.approx(
                    shared / total if total else 0, abs=1e-5
                )


@few
@given(instances(names=("name",)))
def test_ratios_of_the_key_are_those_of_rapidfuzz_one_by_one(instance):
    queries, candidates, query_rows, candidate_rows = instance
    names, matrix = similarity_features(*instance)
    texts, others = texts_of(queries), texts_of(candidates)
    for i, (q, c) in enumerate(zip(query_rows, candidate_rows, strict=True)):
        one, other = texts[q], others[c]
        expected = {
            "ratio": fuzz.ratio(one, other) / 100,
            "sort_ratio": fuzz.token_sort_ratio(one, other) / 100,
            "set_ratio": fuzz.token_set_ratio(one, other) / 100,
            "partial_ratio": fuzz.partial_ratio(one, other) / 100,
            "jaro_winkler": JaroWinkler.normalized_similarity(one, other),
        }
        for name, value in expected.items():
            assert matrix[i, names.index(f"key.{name}")] == pytest.approx(value if one and other else 0, abs=1e-6)


# A coarse grid makes ties common.
rated = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 8)), min_size=1, max_size=40)


@given(rated)
def test_rank_gap_and_standing_agree_with_a_loop_over_rivals(pairs):
    query_rows, candidate_rows, values = (np.array(column) for column in zip(*pairs, strict=True))
    values = values / 8
    query, candidate = group_numbers(query_rows), group_numbers(candidate_rows)
    rank, gap, standing, candidate_gap, mutual_best = context_features(values, query, candidate)
    for i, (q, c, _) in enumerate(pairs):
        own = [values[j] for j in range(len(pairs)) if pairs[j][0] == q]
        others = [values[j] for j in range(len(pairs)) if pairs[j][0] == q and j != i]
        wooers = [values[j] for j in range(len(pairs)) if pairs[j][1] == c and j != i]
        assert rank[i] == sum(other > values[i] for other in others)
        assert gap[i] == pytest.approx(values[i] - max(others, default=0))
        assert candidate_gap[i] == pytest.approx(values[i] - max(wooers, default=0))
        spread = statistics.pstdev(own)
        assert standing[i] == pytest.approx((values[i] - statistics.fmean(own)) / spread if spread else 0, abs=1e-6)
        assert mutual_best[i] == (values[i] >= max(others, default=0) and values[i] >= max(wooers, default=0))


def test_nothing_to_rank_gives_nothing():
    rivals = Rivals(np.zeros(0), np.zeros(0, dtype=int))
    assert [len(part) for part in (rivals.rank(), rivals.gap(), rivals.standing())] == [0, 0, 0]
