"""Nearest neighbours by character n-grams, against a brute-force search and the recorded scores of the benchmarks."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer

from distiller.blocker import tfidf
from distiller.blocker.recorded import Recorded
from distiller.blocker.tfidf import Tfidf
from distiller.config import DistillerError, identity
from distiller.dataset.benchmark import Benchmark
from distiller.records import checked

DATA = Path(os.environ.get("DISTILLER_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="DISTILLER_DATA names no folder of benchmark datasets")
relaxed = settings(deadline=None, derandomize=True, max_examples=60)
directions = st.sampled_from(["query", "reverse", "mutual", "union"])

# Few distinct words, so that equal similarities and records without any neighbour are common.
values = st.lists(st.sampled_from(["canon", "nikon", "eos 5d", "d90", "zzz", "kit"]), max_size=3).map(" ".join)
sides = st.lists(values, min_size=1, max_size=14)


def records_of(queries, candidates, query_ids=None, candidate_ids=None):
    tables = []
    for texts, ids in ((queries, query_ids), (candidates, candidate_ids)):
        ids = range(len(texts)) if ids is None else ids
        tables.append(pa.table({"id": pa.array(ids, pa.int64()), "name": pa.array(texts, pa.string())}))
    return checked("toy", *tables, None)


def blocked(records, threads=1, **fields):
    """Rows (query, candidate, similarity, position), or none where nothing was found."""
    try:
        table = Tfidf(**fields).block(records, threads).table
    except DistillerError as error:
        assert "no pair" in str(error)  # noqa: PT017
        return []
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def brute_force(queries, candidates, k, direction):
    """Pairs by direction in plain Python over scikit-learn's dense cosines, rounded so that equal ones are equal."""
    try:
        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit_transform(
            queries + candidates
        )
    except ValueError:
        return {}
    cosine = np.minimum((vectors[: len(queries)] @ vectors[len(queries) :].T).toarray().round(6), 1)
    forth = {
        (q, c)
        for q in range(len(queries))
        for c in sorted(range(len(candidates)), key=lambda c: (-cosine[q, c], c))[:k]
        if cosine[q, c] > 0
    }
    back = {
        (q, c)
        for c in range(len(candidates))
        for q in sorted(range(len(queries)), key=lambda q: (-cosine[q, c], q))[:k]
        if cosine[q, c] > 0
    }
    pairs = {"query": forth, "reverse": back, "mutual": forth & back, "union": forth | back}[direction]
    return {pair: cosine[pair] for pair in pairs}


@relaxed
@given(sides, sides, st.integers(1, 6), directions)
def test_the_pairs_are_those_of_a_brute_force_search(queries, candidates, k, direction):
    rows = blocked(records_of(queries, candidates), k=k, direction=direction)
    expected = brute_force(queries, candidates, k, direction)
    assert {(q, c) for q, c, _, _ in rows} == set(expected)
    assert all(similarity == pytest.approx(expected[q, c], abs=2e-6) for q, c, similarity, _ in rows)


@relaxed
@given(sides, sides, directions)
def test_positions_rank_by_similarity_and_equals_by_id(queries, candidates, direction):
    rows = blocked(records_of(queries, candidates), k=5, direction=direction)
    for query in {row[0] for row in rows}:
        own = [row for row in rows if row[0] == query]
        ranked = sorted(own, key=lambda row: (-row[2], row[1]))
        assert [row[3] for row in ranked] == list(range(1, len(own) + 1))


@relaxed
@given(sides, sides, directions, st.integers(1, 9), st.integers(1, 3))
def test_neither_chunks_nor_threads_change_anything(queries, candidates, direction, chunk, threads):
    records = records_of(queries, candidates)
    assert blocked(records, 1, k=2, direction=direction) == blocked(
        records, threads, k=2, direction=direction, chunk=chunk
    )


@relaxed
@given(sides, sides, directions, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_in_the_files_changes_nothing(queries, candidates, direction, random):
    rows = list(enumerate(queries)), list(enumerate(candidates))
    for side in rows:
        random.shuffle(side)
    ids, texts = zip(*(zip(*side, strict=True) for side in rows), strict=True)
    moved = records_of(list(texts[0]), list(texts[1]), ids[0], ids[1])
    assert blocked(moved, k=3, direction=direction) == blocked(
        records_of(queries, candidates), k=3, direction=direction
    )


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_of_many_equal_candidates_the_smallest_ids_are_kept(k):
    records = records_of(["canon eos"], ["nikon d90"] * 7 + ["canon eos"] * 200)
    rows = blocked(records, k=k, direction="query")
    assert [(c, position) for _, c, _, position in rows] == [(7 + i, 1 + i) for i in range(k)]


def test_a_union_of_both_directions_is_as_large_as_inclusion_and_exclusion_say():
    words = ["canon eos 5d", "canon eos 7d", "nikon d90", "nikon d40 kit", "eos kit", "canon"]
    records = records_of(words * 3, words * 5)
    count = {d: len(blocked(records, k=4, direction=d)) for d in ("query", "reverse", "mutual", "union")}
    assert count["union"] == count["query"] + count["reverse"] - count["mutual"]


def table_of(**columns):
    return pa.table(
        {"id": pa.array([0, 1], pa.int64()), **{name: pa.array(v, pa.string()) for name, v in columns.items()}}
    )


def test_only_named_attributes_are_compared():
    queries = table_of(name=["canon", "d90"], maker=["d90", "canon"])
    candidates = table_of(name=["canon", "d90"], price=["d90", "canon"])
    records = checked("toy", queries, candidates, None)
    rows = blocked(records, attributes=["name"])
    assert [row[:2] for row in rows] == [(0, 0), (1, 1)]
    assert [row[2] for row in rows] == pytest.approx([1, 1])
    rows = blocked(records, attributes=["maker", "price"])
    assert [row[:2] for row in rows] == [(0, 0), (1, 1)]


def test_an_unknown_attribute_is_named_with_the_nearest_known_one():
    with pytest.raises(DistillerError, match=r"no attribute 'nmae'; did you mean 'name'\?"):
        Tfidf(attributes=["nmae"]).block(records_of(["a"], ["a"]), 1)


def test_a_table_without_any_of_the_named_attributes_is_named():
    records = checked("toy", table_of(name=["a", "b"]), table_of(title=["a", "b"], price=["1", "2"]), None)
    with pytest.raises(DistillerError, match="the candidates of toy have none of them; add one of: title, price"):
        Tfidf(attributes=["name"]).block(records, 1)


def test_tables_without_a_common_n_gram_are_an_error():
    with pytest.raises(DistillerError, match="found no pair"):
        Tfidf().block(records_of(["canon"], ["xyz"]), 1)
    with pytest.raises(DistillerError, match="found no pair"):
        Tfidf().block(checked("toy", table_of(name=[None, ""]), table_of(name=[None, None]), None), 1)


def test_more_candidates_than_can_be_numbered_are_an_error(monkeypatch):
    monkeypatch.setattr(tfidf, "MOST_POSITIONS", 4)
    with pytest.raises(DistillerError, match=r"query 0 of toy is among the nearest of 5 candidates, at most 4"):
        Tfidf(direction="reverse").block(records_of(["canon"], ["canon"] * 5), 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 0}, "greater than or equal to 1"),
        ({"direction": "both"}, "'query', 'reverse', 'mutual' or 'union'"),
        ({"shortest": 5}, "shortest=5 exceeds longest=4"),
        ({"attributes": []}, "at least 1 item"),
    ],
)
def test_faulty_settings_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Tfidf(**fields)


def test_the_chunk_is_no_part_of_the_identity():
    assert identity(Tfidf(chunk=5)) == identity(Tfidf(chunk=500))
    assert identity(Tfidf(k=5)) != identity(Tfidf(k=6))


@needs_data
@pytest.mark.parametrize(
    ("name", "recall"),
    [
        ("abt-buy", 0.988),
        ("amazon-google", 0.862),
        ("dblp-acm", 0.999),
        ("imdb-tmdb", 0.953),
        ("imdb-tvdb", 0.965),
        ("tmdb-tvdb", 0.991),
        ("walmart-amazon", 0.994),
        ("dblp-scholar", 0.997),
        ("febrl4", 1.0),
    ],
)
def test_recall_and_similarities_are_the_recorded_ones(name, recall):
    records = Benchmark(name=name, root=DATA).load()
    ours = Tfidf().block(records, 2).table.select(["query_id", "candidate_id", "similarity"])
    found = records.matches.join(ours, ["query_id", "candidate_id"], join_type="inner")
    assert found.num_rows / records.matches.num_rows == pytest.approx(recall, abs=5e-4)
    recorded = Recorded().block(records, 2).table.select(["query_id", "candidate_id", "similarity"])
    shared = ours.join(recorded, ["query_id", "candidate_id"], join_type="inner", right_suffix="_recorded")
    assert shared.num_rows > 3000
    difference = shared["similarity"].to_numpy() - shared["similarity_recorded"].to_numpy()
    assert np.abs(difference).max() < 6e-5  # recorded with four decimals


@pytest.mark.parametrize("direction", ["query", "mutual", "union"])
def test_a_record_is_never_its_own_candidate_and_keeps_as_many_others(direction: str) -> None:
    texts = ["red car", "red car", "red car", "red car too", "blue bike", "blue bike old", "green"]
    table = pa.table({"id": range(len(texts)), "name": texts})
    found = Tfidf(k=2, direction=direction).block(checked("one", table, table, None, one_table=True), 1)
    pairs = set(zip(found.table["query_id"].to_pylist(), found.table["candidate_id"].to_pylist(), strict=True))
    assert all(a != b for a, b in pairs)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).fit_transform(texts)
    alike = np.asarray((grams @ grams.T).todense())
    np.fill_diagonal(alike, 0)
    near = {(i, int(j)) for i in range(len(texts)) for j in np.argsort(-alike[i], kind="stable")[:2] if alike[i, j] > 0}
    back = {(j, i) for i, j in near}
    assert pairs == {"query": near, "mutual": near & back, "union": near | back}[direction]
