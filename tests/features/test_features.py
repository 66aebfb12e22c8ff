"""What must stay true of similarity features on any tables, and what they say about telling examples."""

import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import few, instances, table

from distiller.blocker.recorded import Recorded
from distiller.config import DistillerError
from distiller.dataset.benchmark import Benchmark
from distiller.features import NULLABLE, dense, dense_names, similarity_features
from distiller.features import table as assembly
from distiller.features.alignment import align
from distiller.features.text import attributes
from distiller.records import rows_of

UNIT = (
    "cosine",
    "ratio",
    "cover",
    "jaccard",
    "containment",
    "agreement",
    "jaro_winkler",
)  # ends of names of similarities


def real(name):
    """The two tables of a benchmark dataset, its recorded pairs by row, and which of them match."""
    records = Benchmark(name=name, root=Path(os.environ["DISTILLER_DATA"])).load()
    pairs = Recorded().block(records, threads=2).table
    query_rows = rows_of(records.query_ids, pairs["query_id"].to_numpy(), "queries")
    candidate_rows = rows_of(records.candidate_ids, pairs["candidate_id"].to_numpy(), "candidates")
    gold = set(zip(*(records.matches[column].to_pylist() for column in records.matches.column_names), strict=True))
    ids = zip(pairs["query_id"].to_pylist(), pairs["candidate_id"].to_pylist(), strict=True)
    return records.queries, records.candidates, query_rows, candidate_rows, np.array([pair in gold for pair in ids])


def one_pair(query, candidate, names=("name", "description")):
    """Features of two records, by name, as a dictionary; two unlike records in each table make words weigh."""
    fillers = [("zz top album", "music"), ("oak table", "furniture")]
    queries = table([query, *[f[: len(names)] for f in fillers]], names)
    candidates = table([candidate, *[f[::-1][: len(names)] for f in fillers]], names)
    found, matrix = similarity_features(queries, candidates, np.array([0]), np.array([0]))
    return dict(zip(found, matrix[0].tolist(), strict=True))


@few
@given(instances())
def test_similarities_lie_in_the_unit_interval_and_only_documented_columns_are_nan(instance):
    names, matrix = similarity_features(*instance)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(instance[2]), len(names))
    assert len(set(names)) == len(names)
    assert {name for name, column in zip(names, matrix.T, strict=True) if np.isnan(column).any()} <= NULLABLE
    assert np.isfinite(matrix[~np.isnan(matrix)]).all()
    bounded = matrix[:, [i for i, name in enumerate(names) if name.endswith(UNIT)]]
    assert np.nanmin(bounded, initial=0) >= 0
    assert np.nanmax(bounded, initial=1) <= 1 + 1e-6


@few
@given(instances())
def test_dense_has_no_nan_and_says_what_was_missing(instance):
    names, matrix = similarity_features(*instance)
    full = dense(names, matrix)
    assert full.dtype == np.float32
    assert np.isfinite(full).all()
    assert full.shape[1] == len(dense_names(names))
    for i, name in enumerate(dense_names(names)[len(names) :]):
        missing = np.isnan(matrix[:, names.index(name.removesuffix(".missing"))])
        assert (full[:, len(names) + i] == missing).all()


@few
@given(
    st.lists(st.sampled_from(["sony", "dscw120", "camera", "東京", "1999", "x"]), min_size=1, max_size=8, unique=True)
)
def test_equal_records_are_wholly_similar(words):
    found = one_pair((" ".join(words), None), (" ".join(words), None))
    for view in ("key", "short", "all"):
        for name in ("word_cosine", "gram_cosine", "query_cover", "candidate_cover", "jaccard", "set_ratio"):
            assert found[f"{view}.{name}"] == pytest.approx(1, abs=1e-5)
        assert found[f"{view}.heaviest_lone_query"] == 0
    assert found["key.ratio"] == found["key.soft_cover"] == found["attribute.equal"] == 1
    assert found["code.conflict"] == found["number.all.conflict"] == found["attribute.conflicts"] == 0


@few
@given(instances(), st.randoms(use_true_random=False))
def test_the_order_of_records_and_of_queries_does_not_matter(instance, order):
    queries, candidates, query_rows, candidate_rows = instance
    names, matrix = similarity_features(*instance)
    places = [list(range(side.num_rows)) for side in (queries, candidates)]
    for place in places:
        order.shuffle(place)
    moved = [np.argsort(place) for place in places]
    again_rows = moved[0][query_rows], moved[1][candidate_rows]
    sorting = np.lexsort(again_rows[::-1])
    other_names, again = similarity_features(
        queries.take(places[0]), candidates.take(places[1]), again_rows[0][sorting], again_rows[1][sorting]
    )
    assert names == other_names
    np.testing.assert_allclose(again, matrix[sorting], atol=2e-5)


@few
@given(instances())
def test_neither_workers_nor_chunks_change_a_bit(instance):
    names, matrix = similarity_features(*instance, workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "CHUNK", 2500)
        other_names, again = similarity_features(*instance, workers=3)
    assert names == other_names
    np.testing.assert_array_equal(matrix, again)


@few
@given(instances(names=("name", "year"), other_names=("titel", "jahr", "preis")))
def test_tables_without_a_common_attribute_have_the_same_features(instance):
    names, matrix = similarity_features(*instance)
    assert names == similarity_features(table([("a", "b", "c")], "xyz"), table([("a",)], "w"), [0], [0])[0]
    assert {name for name, column in zip(names, matrix.T, strict=True) if np.isnan(column).any()} <= NULLABLE


@pytest.mark.parametrize("rows", [[(None, None)], [("", "")] * 3, [(None, "x")] * 2])
def test_missing_values_and_empty_strings_are_the_same_and_give_no_fault(rows):
    names, matrix = similarity_features(table(rows, "ab"), table(rows, "ab"), [0], [0])
    blank = [tuple(value or None for value in row) for row in rows]
    np.testing.assert_array_equal(matrix, similarity_features(table(blank, "ab"), table(blank, "ab"), [0], [0])[1])
    assert np.isfinite(dense(names, matrix)).all()


def test_no_pair_gives_the_names_and_an_empty_matrix():
    tables = table([("a", "b")], "ab"), table([("a", "b")], "ab")
    names, matrix = similarity_features(*tables, np.zeros(0, int), np.zeros(0, int))
    assert names == similarity_features(*tables, [0], [0])[0]
    assert matrix.shape == (0, len(names))
    assert dense(names, matrix).shape == (0, len(dense_names(names)))
    empty = tables[0].slice(0, 0)
    assert similarity_features(empty, empty, np.zeros(0, int), np.zeros(0, int))[0] == names


def test_very_long_texts_are_compared():
    words = random.Random(1).choices([f"word{i}" for i in range(3000)], k=20_000)
    tables = table([(" ".join(words), "x")] * 3, "ab"), table([(" ".join(words[::-1]), "x")] * 3, "ab")
    names, matrix = similarity_features(*tables, np.array([0, 1, 2]), np.array([2, 1, 0]))
    assert matrix[:, names.index("all.word_cosine")] == pytest.approx(1, abs=1e-4)


def test_columns_in_several_chunks_are_read_whole():
    whole = table([("sony camera", "1999"), ("oak table", "2001"), ("red chair", None)], ("name", "year"))
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2)])
    rows = np.array([0, 1, 2]), np.array([0, 1, 2])
    np.testing.assert_array_equal(similarity_features(cut, cut, *rows)[1], similarity_features(whole, whole, *rows)[1])


def test_rows_that_are_not_there_are_a_clear_fault():
    tables = table([("a",)], "n"), table([("a",)], "n")
    with pytest.raises(DistillerError, match=r"rows 0 to 7 of the candidates are wanted but there are 1"):
        similarity_features(*tables, [0, 0], [0, 7])
    with pytest.raises(DistillerError, match=r"2 rows of queries and 1 rows of candidates"):
        similarity_features(*tables, [0, 0], [0])


def test_a_model_number_is_found_however_it_is_written():
    for written in ("Sony DSC-W120", "Sony DSC W120 black", "sony dscw120"):
        found = one_pair(("Sony camera DSCW120", None), (written, None))
        assert found["code.agree"] == 1, written
        assert found["code.conflict"] == 0, written
    assert one_pair(("Sony camera DSCW120", None), ("Sony camera DSCW150", None))["code.conflict"] == 1


def test_versions_and_sequels_set_records_apart():
    same = one_pair(("Office v6.0 Pro", None), ("office pro 6", None))
    other = one_pair(("Office 6.0 Pro", None), ("office pro 7", None))
    assert (same["number.key.equal"], same["number.key.conflict"]) == (1, 0)
    assert (other["number.key.equal"], other["number.key.conflict"]) == (0, 1)
    assert one_pair(("Rocky III", None), ("rocky 3", None))["number.key.equal"] == 1
    assert one_pair(("disk 500 gb", None), ("disk 500GB", None))["number.key.equal"] == 1
    assert one_pair(("born 1984", None), ("born 1985", None))["year.conflict"] == 1


def test_initials_and_misspellings_count_as_words_in_the_soft_cover():
    found = one_pair(("Douglas Scott Mackay", None), ("D S Mackay", None))
    assert found["key.soft_query_cover"] > 0.9 > found["key.query_cover"]
    found = one_pair(("Schwarzenegger", None), ("Schwarzeneger", None))
    assert found["key.soft_cover"] > 0.8
    assert found["key.word_cosine"] == 0


def test_attributes_are_aligned_by_how_their_values_agree_where_their_names_do_not():
    make = random.Random(7)
    people = [
        (
            f"{make.choice('abcdefgh')}{make.randrange(10**6)} smith",
            str(make.randrange(1900, 2000)),
            str(make.randrange(99)),
        )
        for _ in range(200)
    ]
    queries = table(people, ("name", "born", "score"))
    candidates = table([(p[2], p[1] + "-01-01", p[0]) for p in people], ("punkte", "geburt", "person"))
    rows = np.arange(200)
    pairs = align(attributes(queries), attributes(candidates), (set(), set()), rows, rows, rows)
    found = {(pair.query.attribute.name, pair.candidate.attribute.name) for pair in pairs}
    assert found == {("name", "person"), ("born", "geburt"), ("score", "punkte")}


@pytest.mark.needs_data
def test_on_real_records_matches_stand_out_and_nothing_undocumented_is_nan():
    *instance, match = real("abt-buy")
    names, matrix = similarity_features(*instance)
    assert {name for name, column in zip(names, matrix.T, strict=True) if np.isnan(column).any()} <= NULLABLE
    best = matrix[:, names.index("all.gram_cosine.query_rank")] == 0
    assert match[best].mean() > 0.85
    assert matrix[match, names.index("code.agree")].mean() > 0.7 > matrix[~match, names.index("code.agree")].mean()
