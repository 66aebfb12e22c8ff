"""Outcomes hold what every score is made of: each is computed again from them by a plain loop."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from command import QUIET, SMALL, here, succeeded
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import instances, relaxed

from distiller import metrics, outcomes
from distiller.metrics import Truth


def f1(right, claimed, wanted):
    return 2 * right / (claimed + wanted) if claimed + wanted else 0.0


def scores_by_loop(rows, matches):
    """Every score that needs no probabilities of other options, from outcome rows as dictionaries."""
    right = hits = claimed = inside = gold = none = rightly_none = failed = 0
    for row in rows:
        right += row["right"]
        hits += row["hits"]
        claimed += row["claimed"]
        inside += row["gold_candidates"]
        gold += row["gold"]
        none += not row["gold_candidates"]
        rightly_none += not row["gold_candidates"] and row["choice"] == 0
        failed += row["choice"] == -1
    return {
        "queries": len(rows),
        "claimed_pairs": claimed,
        "matches_among_candidates": inside,
        "parse_failures": failed,
        "selection_accuracy": right / len(rows) if rows else 0.0,
        "abstention_accuracy": rightly_none / none if none else 0.0,
        "pair_precision": hits / claimed if claimed else 0.0,
        "pair_recall": hits / inside if inside else 0.0,
        "pair_f1": f1(hits, claimed, inside),
        "match_f1": f1(hits, claimed, gold),
        "end_to_end_f1": f1(hits, claimed, matches),
    }


def calibration_by_loop(rows):
    bins, known = {}, [r for r in rows if r["confidence"] == r["confidence"]]
    for row in known:
        bins.setdefault(min(int(row["confidence"] * 15), 14), []).append(row["confidence"] - row["right"])
    return sum(abs(sum(gaps)) for gaps in bins.values()) / len(known)


def truth_of(case):
    return Truth.of(case.candidate_set(), case.gold_table(), np.array(case.scored))


@relaxed
@given(instances())
def test_every_score_of_answers_follows_from_their_outcomes(case):
    scores = metrics.score_answers(case.answers(), truth_of(case))
    rows = outcomes.of_answers("d", "student", "plain", case.answers(), truth_of(case)).to_pylist()
    expected = scores_by_loop(rows, scores["matches"])
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    for row in rows:
        options = case.options[row["query_id"]]
        assert row["options"] == len(options)
        assert row["chosen_id"] == (options[row["choice"] - 1] if row["choice"] > 0 else -1)
    if "ece" in scores:
        assert scores["ece"] == pytest.approx(calibration_by_loop(rows), abs=1e-6)


@relaxed
@given(instances(), st.data())
def test_scores_of_several_claims_per_query_follow_from_their_outcomes(case, data):
    claims = {(q, c) for q in case.evaluated for c in case.options[q] if data.draw(st.booleans())}
    abstained = [q for q in case.evaluated if not any(q == claimant for claimant, _ in claims)]
    pairs = np.array(sorted(claims)).reshape(-1, 2)
    scores = metrics.score_pairs(pairs, np.array(abstained, int), truth_of(case))
    rows = outcomes.of_pairs("d", "student", "plain", pairs, truth_of(case)).to_pylist()
    expected = scores_by_loop(rows, scores["matches"])
    for name in ("queries", "claimed_pairs", "pair_f1", "match_f1", "end_to_end_f1", "abstention_accuracy"):
        assert scores[name] == pytest.approx(expected[name]), name
    for row in rows:
        own = sorted(c for q, c in claims if q == row["query_id"])
        wanted = sorted(c for c in case.options[row["query_id"]] if (row["query_id"], c) in case.gold)
        assert row["right"] == (own == wanted)
        assert row["chosen_id"] == (own[0] if len(own) == 1 else -1)
        options = case.options[row["query_id"]]
        assert row["choice"] == (0 if not own else options.index(own[0]) + 1 if len(own) == 1 else outcomes.SEVERAL)


def test_a_run_writes_outcomes_from_which_its_scorecard_is_computed_again(command, tmp_path):
    succeeded(command(*SMALL, QUIET, "student.members=1", *here(tmp_path), folder=tmp_path))
    card = json.loads((tmp_path / "run" / "scorecard.json").read_text())["datasets"]["synthetic"]
    rows = pq.read_table(tmp_path / "run" / outcomes.FILE).to_pylist()
    kinds = {(row["source"], row["form"]) for row in rows}
    assert kinds == {(source, form) for source in ("teacher", "student") for form in card[source]}
    for source, form in kinds:
        scores = card[source][form]
        own = [row for row in rows if (row["source"], row["form"]) == (source, form)]
        assert [row["query_id"] for row in own] == sorted({row["query_id"] for row in own})
        expected = scores_by_loop(own, scores["matches"])
        assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_without_gold_there_are_no_outcomes(command, tables, tmp_path):
    words = [f"dataset.{side}={tables}/{letter}.csv" for side, letter in (("queries", "a"), ("candidates", "b"))]
    words += ["dataset.query_id=key", "dataset.candidate_id=key", "student.rounds=5", "student.members=1"]
    succeeded(command("dataset=tables", *words, QUIET, *here(tmp_path), folder=tmp_path))
    assert (tmp_path / "run" / "scorecard.json").is_file()
    assert not (tmp_path / "run" / outcomes.FILE).exists()
