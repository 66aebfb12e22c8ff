"""Scores of explanations: grounded, consistent, specific, and what they cite."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import benchmark, needs_data, relaxed

from distiller.artifacts import AnswerSet, CandidateSet
from distiller.config import DistillerError
from distiller.rationale.citations import cited
from distiller.rationale.scores import RationaleScores, score_rationales, summary
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task

QUERIES = [
    {"id": 1, "title": "Red Dust", "brand": "Acme", "price": "9.50"},
    {"id": 2, "title": "Blue Sand", "brand": None, "price": "12.00"},
]
CANDIDATES = [
    {"id": 10, "title": "Red Dust 2", "maker": "Acme Inc", "price": "9.5"},
    {"id": 11, "title": "Green Rock", "maker": "Umbrella", "price": "31.00"},
    {"id": 12, "title": "Blue Sand", "maker": None, "price": "12.99"},
]


def make_task(queries=QUERIES, candidates=CANDIDATES, shown=(10, 11, 12)):
    tables = [
        pa.table({n: pa.array([r[n] for r in rows], pa.int64() if n == "id" else pa.string()) for n in rows[0]})
        for rows in (queries, candidates)
    ]
    pairs = [
        {"query_id": q["id"], "candidate_id": c, "similarity": 0.5, "position": i}
        for q in queries
        for i, c in enumerate(shown, 1)
    ]
    kept = CandidateSet(pa.Table.from_pylist(pairs, CandidateSet.SCHEMA))
    return Task(checked("made", *tables, None), kept, Store(root="never-written"), 1)


def explained(task, choices, texts, source="test"):
    """Answers to the first queries; a choice of None was not read."""
    ids = task.records.query_ids[: len(choices)]
    rows, offsets = task.candidates.of(ids)
    choice = np.array([-1 if c is None else c for c in choices])
    return AnswerSet.make(source, ids, task.candidates.candidate_ids[rows], offsets, choice, rationale=texts)


def score(choice, text):
    """The scores of one explanation of the first query, as a dictionary."""
    task = make_task()
    return score_rationales(task, explained(task, [choice], [text])).table.to_pylist()[0]


def test_a_value_of_the_query_or_of_the_chosen_candidate_is_grounded_one_of_another_candidate_is_not():
    row = score(1, "Both are called 'Red Dust', 'Red Dust 2' by 'Acme Inc'; unlike 'Green Rock' or 'Violet Sky'.")
    assert row["n_quotes"] == 5
    assert row["grounded"] == pytest.approx(3 / 5)
    assert row["invented"] == pytest.approx(1 / 5)


def test_to_explain_none_every_candidate_may_be_quoted():
    row = score(0, "None of the candidates match: 'Green Rock' and 'Blue Sand' are others, and so is 'Violet Sky'.")
    assert (row["grounded"], row["invented"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert row["consistent"] == 1


def test_without_a_quote_there_is_nothing_to_be_grounded():
    row = score(1, "They refer to the same thing.")
    assert row["grounded"] is None
    assert row["invented"] is None
    assert (row["n_quotes"], row["specific"], row["cites"]) == (0, 0.0, [])


@pytest.mark.parametrize("text", ["The titles agree.", "Same maker.", "The 'Acme' one.", "It costs $9.50."])
def test_naming_an_attribute_or_quoting_a_value_is_specific(text):
    assert score(1, text)["specific"] == 1


def test_an_explanation_against_its_answer_says_how():
    row = score(1, "The correct answer should be [2].")
    assert (row["consistent"], row["contradiction"]) == (0.0, "another option preferred")


def test_unread_answers_and_missing_explanations_have_no_scores():
    task = make_task()
    scores = score_rationales(task, explained(task, [None, 1], ["The title 'Red Dust'.", None]))
    assert all(np.isnan(scores.rate(name)).all() for name in ("grounded", "invented", "consistent", "specific"))
    assert cited(task, explained(task, [None, 1], ["The title 'Red Dust'.", None])).num_rows == 0


@pytest.mark.parametrize(
    ("choice", "text", "expected"),
    [
        (1, "The title and the price are the same.", ["title", "price"]),
        (1, "They share the brand, although the price differs.", ["brand"]),
        (1, "The title agrees (with a slight difference in spelling), and so does the price.", ["title", "price"]),
        (1, "Although the price differs, they agree because the title is the same.", ["title"]),
        (1, "Both are 'Red Dust' and cost $9.5.", ["title", "price"]),
        (0, "The price differs.", ["price"]),
        (0, "No candidate is made by 'Acme'.", ["brand"]),
        (1, "The manufacturer is the same.", ["brand"]),
        (1, "The author is the same.", []),
    ],
)
def test_what_is_given_as_a_reason_is_cited_what_is_only_conceded_is_not(choice, text, expected):
    assert score(choice, text)["cites"] == expected


def test_cited_values_come_with_their_attribute_and_only_where_the_record_has_one():
    task = make_task()
    table = cited(task, explained(task, [1, 3], ["Title and brand agree.", "Title and brand agree."]))
    assert table.to_pylist() == [
        {"query_id": 1, "attribute": "title", "value": "Red Dust"},
        {"query_id": 1, "attribute": "brand", "value": "Acme"},
        {"query_id": 2, "attribute": "title", "value": "Blue Sand"},
    ]


VALUES = st.lists(st.text("abcdefghij", min_size=3, max_size=7), min_size=2, max_size=4, unique=True)


@relaxed
@given(VALUES, VALUES, st.lists(st.tuples(st.sampled_from("qcx"), st.integers(0, 3)), min_size=1, max_size=6))
def test_grounded_is_the_share_of_quotes_taken_from_the_two_records(of_query, of_candidate, plan):
    queries = [{"id": 1, **{f"a{i}": " ".join([v, v]) for i, v in enumerate(of_query)}}]
    candidates = [{"id": 5, **{f"b{i}": " ".join([v, v]) for i, v in enumerate(of_candidate)}}]
    task = make_task(queries, candidates, shown=(5,))
    source = {"q": of_query, "c": of_candidate, "x": ["zzz0"]}
    said = [source[kind][i % len(source[kind])] for kind, i in plan]
    row = score_rationales(
        task, explained(task, [1], [" and ".join(f"'{value}'" for value in said)])
    ).table.to_pylist()[0]
    standing = [value in of_query or value in of_candidate for value in said]  # values are whole words of their records
    assert row["grounded"] == pytest.approx(sum(standing) / len(said))
    assert row["invented"] == pytest.approx(1 - row["grounded"])


RATES = st.one_of(st.none(), st.integers(0, 4).map(lambda i: i / 4))


@relaxed
@given(st.lists(st.tuples(RATES, st.integers(0, 3), st.booleans()), max_size=8))
def test_a_summary_has_the_means_over_what_a_score_applies_to(rows):
    table = [
        {
            "query_id": i,
            "grounded": g if n else None,
            "consistent": g,
            "specific": g,
            "n_quotes": n if g is not None else None,
        }
        for i, (g, n, _) in enumerate(rows)
    ]
    empty = {"invented": None, "contradiction": None, "cites": None}
    scores = RationaleScores(pa.Table.from_pylist([row | empty for row in table], RationaleScores.SCHEMA))
    among = np.array([flag for *_, flag in rows], bool)
    told = summary(scores, among)
    kept = [row for row, flag in zip(table, among, strict=True) if flag]
    for name in ("grounded", "consistent", "specific"):
        known = [row[name] for row in kept if row[name] is not None]
        assert told[f"rationale_{name}"] == pytest.approx(sum(known) / len(known) if known else 0.0)
    assert told["rationale_invented"] == 0.0
    assert told["rationale_answers"] == len(kept)
    assert told["rationale_explained"] == sum(row["n_quotes"] is not None for row in kept)
    assert told["rationale_quotes_nothing"] == sum(row["n_quotes"] == 0 for row in kept)
    assert summary(scores) == summary(scores, np.ones(len(rows), bool))


def test_scores_beyond_their_range_cannot_be_made():
    row = dict.fromkeys(RationaleScores.SCHEMA.names) | {"query_id": 1, "grounded": 1.5}
    with pytest.raises(DistillerError, match="'grounded' of explanations must lie in"):
        RationaleScores(pa.Table.from_pylist([row], RationaleScores.SCHEMA))


@relaxed
@given(st.lists(st.integers(0, 4), max_size=6), st.lists(st.integers(0, 4), max_size=6))
def test_the_area_of_the_benchmark_counts_pairs(right, wrong):
    area = benchmark("explanations").auc(np.array(right, float), np.array(wrong, float))
    pairs = [(r > w) + (r == w) / 2 for r in right for w in wrong]
    assert area == pytest.approx(sum(pairs) / len(pairs)) if pairs else math.isnan(area)


@needs_data
def test_justifications_of_right_answers_are_consistent_and_grounded_those_of_wrong_ones_are_not():
    explanations = benchmark("explanations")
    rows = explanations.tallies(explanations.data_folder(), ("abt-buy",))
    scores, right = rows["qwen2.5-32b justify"][0].pooled()
    assert len(right) == 769
    assert right.sum() == 104
    told = {flag: summary(scores, right == flag) for flag in (True, False)}
    assert told[True]["rationale_consistent"] > 0.95
    assert told[False]["rationale_consistent"] < 0.4
    assert told[True]["rationale_grounded"] > told[False]["rationale_grounded"] > 0.8
    assert told[True]["rationale_specific"] > 0.95
    scores, right = rows["qwen2.5-32b train"][0].pooled()
    assert right.sum() == 96  # 0.9231 of 104, the published accuracy of this teacher
    assert summary(scores)["rationale_consistent"] > 0.95
