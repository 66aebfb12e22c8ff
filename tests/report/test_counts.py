"""Intervals, bins, slices and comparisons of a report against plain loops and other libraries."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from distiller import metrics, outcomes, ragged
from distiller.artifacts import AnswerSet, CandidateSet
from distiller.dataset.synthetic import Synthetic
from distiller.metrics import Truth
from distiller.report.compared import compared, sign_test
from distiller.report.markup import marked, side_by_side, table, tag, text
from distiller.report.reliability import expected_error, interval, reliability
from distiller.report.slices import memberships, slices, truths


@pytest.fixture(scope="module")
def answered() -> tuple[AnswerSet, Truth]:
    """Answers with random distributions to a synthetic dataset, half of the queries with random candidates."""
    random = np.random.default_rng(4)
    records = Synthetic(queries=300, candidates=400, seed=8).load()
    ids = records.query_ids
    assert records.matches is not None
    match = dict(zip(records.matches["query_id"].to_pylist(), records.matches["candidate_id"].to_pylist(), strict=True))
    rows = []
    for query in ids.tolist():
        others = random.choice(records.candidate_ids, random.integers(1, 8), replace=False).tolist()
        listed = list(dict.fromkeys([*([match[query]] if query in match and query % 2 else []), *others]))
        rows += [(query, c, random.random(), i + 1) for i, c in enumerate(listed)]
    names = ("query_id", "candidate_id", "similarity", "position")
    candidates = CandidateSet(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    offsets = candidates.offsets
    begins = ragged.option_offsets(offsets)
    distribution = ragged.softmax(random.normal(0, 2, begins[-1]), begins)
    choice = ragged.first_maximum(distribution, begins) - begins[:-1]
    answers = AnswerSet.make("some", ids, candidates.candidate_ids, offsets, choice, distribution)
    return answers, Truth.of(candidates, records.matches, ids)


def test_intervals_are_those_of_wilson() -> None:
    for hits, n in ((0, 5), (3, 7), (50, 50), (120, 1000)):
        expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert interval(0, 0) == (0, 1)


def test_the_calibration_error_of_fifteen_bins_is_the_scorecards(answered: tuple[AnswerSet, Truth]) -> None:
    answers, truth = answered
    table = outcomes.of_answers("d", "student", "plain", answers, truth)
    bins = reliability(table["confidence"].to_numpy(), table["right"].to_numpy(), metrics.CALIBRATION_BINS)
    assert expected_error(bins) == pytest.approx(metrics.calibration(answers, truth)["ece"], abs=1e-6)
    assert sum(each.count for each in bins) == len(truth.evaluated)
    assert all(each.begin <= each.confidence <= each.end and each.low <= each.right <= each.high for each in bins)


def test_answers_without_a_probability_have_no_bin() -> None:
    assert reliability(np.array([np.nan, 0.95, 1.0]), np.array([True, True, False]))[0].count == 2
    assert expected_error([]) == 0


def test_a_split_of_won_and_lost_has_the_chance_of_the_exact_sign_test() -> None:
    for won, lost in ((0, 0), (1, 0), (3, 9), (200, 150), (700, 900)):
        expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert sign_test(won, lost) == pytest.approx(expected, rel=1e-6)


def test_only_queries_that_both_answered_are_compared(answered: tuple[AnswerSet, Truth]) -> None:
    answers, truth = answered
    whole = outcomes.of_answers("d", "student", "plain", answers, truth)
    rotated = {**{n: whole[n] for n in whole.column_names}, "right": pa.array(np.roll(whole["right"].to_numpy(), 3))}
    other = pa.table(rotated).slice(20, 150)
    found = compared(whole, other)
    right = {r["query_id"]: r["right"] for r in whole.to_pylist()}
    theirs = {r["query_id"]: r["right"] for r in other.to_pylist()}
    assert found.queries == 150
    assert found.agreed == 150
    assert found.won.tolist() == [q for q in sorted(theirs) if right[q] and not theirs[q]]
    assert found.lost.tolist() == [q for q in sorted(theirs) if not right[q] and theirs[q]]
    assert found.both.tolist() == [q for q in sorted(theirs) if right[q] and theirs[q]]


def test_slices_of_each_view_hold_every_query_once(answered: tuple[AnswerSet, Truth]) -> None:
    answers, truth = answered
    records = Synthetic(queries=300, candidates=400, seed=8).load()
    views = memberships(records, truth.candidates, answers.query_ids)
    wrong = np.arange(300) % 3 == 0
    for view in views:
        own = [each for each in slices(views, wrong) if each.view == view]
        assert sum(each.count for each in own) == 300
        assert sum(each.wrong for each in own) == 100
        assert [each.rate for each in own] == sorted((each.rate for each in own), reverse=True)
    attributes = [n for n in records.queries.column_names if n != "id"]
    for row, name in zip(records.queries.to_pylist(), views["values missing in the query"], strict=True):
        missing = sum(row[a] is None for a in attributes)
        assert name == {0: "none", 1: "one", 2: "two"}.get(missing, "three or more")
    longest = {1: "1 candidate", 3: "2 or 3 candidates", 6: "4 to 6 candidates", 9: "7 to 9 candidates"}
    for n, name in zip(np.diff(truth.candidates.offsets), views["length of the candidate list"], strict=True):
        assert name == next((text for limit, text in longest.items() if n <= limit), "10 candidates or more")


def test_numbers_are_compared_with_the_most_similar_candidate() -> None:
    from distiller.records import Records

    queries = pa.table({"id": [0, 1, 2, 3], "name": ["cam 200", "cam 200 x 3", "cam", "cam 7"]})
    others = pa.table({"id": [10, 11], "name": ["cam 200", "lens 50"]})
    pairs = {"query_id": [0, 0, 1, 2, 3], "candidate_id": [10, 11, 10, 10, 11], "position": [1, 2, 1, 1, 1]}
    candidates = CandidateSet(pa.table({**pairs, "similarity": [0.9, 0.2, 0.5, 0.5, 0.5]}))
    views = memberships(Records("some", queries, others), candidates, np.array([0, 1, 2, 3]))
    assert views["numbers of the query and its most similar candidate"].tolist() == [
        "the same numbers",
        "some numbers shared",
        "one of them has no number",
        "numbers differ, none shared",
    ]


def test_what_is_true_of_a_query_tells_lost_matches_from_none() -> None:
    assert truths(np.array([1, 0, 0]), np.array([1, 1, 0])).tolist() == [
        "its match is among the candidates",
        "its match was lost by blocking",
        "it has no match",
    ]


def test_words_that_the_other_record_lacks_stand_out_whatever_their_case() -> None:
    assert marked("Red <b> box, 3.5 kg", {"red", "box", "kg"}) == "Red &lt;<mark>b</mark>&gt; box, <mark>3.5</mark> kg"
    shown = side_by_side([("query", {"name": "a b"}, ""), ("student", None, "none"), ("right", {"title": "B c"}, "")])
    assert "<mark>a</mark> b" in shown
    assert "B <mark>c</mark>" in shown


def test_everything_put_into_markup_is_escaped_once() -> None:
    assert text(text("<&>")) == "&lt;&amp;&gt;"
    assert tag("p", "<i>", title='"') == '<p title="&quot;">&lt;i&gt;</p>'
    assert "&lt;td&gt;" in table(["<td>"], [["x"]])
