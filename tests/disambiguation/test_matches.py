"""Pairs held for matches: one per query or several, and duplicates within one table, against plain loops."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import instances, relaxed

from distiller import metrics, outcomes
from distiller.artifacts import AnswerSet, CandidateSet
from distiller.disambiguation.many_to_many import ManyToMany
from distiller.disambiguation.matches import claimed, matches
from distiller.disambiguation.none import Keep
from distiller.metrics import Truth
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task


def several_by_loop(case):
    """{(query, candidate): probability} of all options more probable than none, or the bare choice."""
    found = {}
    for q, own in case.options.items():
        if not case.choices[q]:
            continue
        for option, candidate in enumerate(own, 1):
            if case.shares is None:
                share, none = 0.5 + case.similarities[q, candidate] / 2, 0.5 - case.similarities[q, candidate] / 2
                held = option == case.choices[q]
            else:
                none, share = case.shares[q][0], case.shares[q][option]
                held = share > none or option == case.choices[q]
            if held:
                found[q, candidate] = share / (share + none)
    return found


def listed(table):
    return {(int(r["query_id"]), int(r["candidate_id"])): r["probability"] for r in table.to_pylist()}


@relaxed
@given(instances())
def test_many_to_many_holds_every_option_more_probable_than_none_for_a_match(case):
    answers = ManyToMany().resolve(case.task(), case.answers(sorted(case.options)))
    table = matches(case.task(), answers, ManyToMany())
    assert table.num_rows == len(listed(table))
    assert listed(table) == pytest.approx(several_by_loop(case), abs=1e-5)


@relaxed
@given(instances())
def test_otherwise_a_query_has_the_match_that_it_chose_with_the_probability_of_its_choice(case):
    answers = case.answers(sorted(case.options))
    expected = {}
    for q, choice in case.choices.items():
        if choice:
            expected[q, case.options[q][choice - 1]] = 1.0 if case.shares is None else case.shares[q][choice]
    assert listed(matches(case.task(), answers, Keep())) == pytest.approx(expected, abs=1e-5)


@relaxed
@given(instances())
def test_scores_and_outcomes_of_several_matches_count_pairs_as_a_loop_does(case):
    answers = case.answers()
    row, candidate, _ = claimed(case.task(), answers, ManyToMany())
    pairs = np.column_stack([answers.query_ids[row], candidate])
    truth = Truth.of(case.candidate_set(), case.gold_table(), np.array(case.scored))
    held = {pair for pair in several_by_loop(case) if pair[0] in case.scored}
    gold = {pair for pair in case.gold if pair[0] in case.scored}
    inside = {(q, c) for q, c in gold if c in case.options.get(q, [])}
    scores = metrics.score_pairs(pairs, answers.query_ids[answers.choice == 0], truth)
    both = len(held) + len(inside)
    assert scores["pair_f1"] == pytest.approx(2 * len(held & gold) / both if both else 0.0)
    assert scores["claimed_pairs"] == len(held)
    for r in outcomes.of_pairs("d", "student", "many_to_many", pairs, truth).to_pylist():
        own = {pair for pair in held if pair[0] == r["query_id"]}
        wanted = {pair for pair in inside if pair[0] == r["query_id"]}
        assert (r["claimed"], r["hits"], r["right"]) == (len(own), len(own & gold), own == wanted)
        assert r["choice"] == (
            -2 if len(own) > 1 else 0 if not own else case.options[r["query_id"]].index(*[c for _, c in own]) + 1
        )


@st.composite
def one_table(draw):
    """(options of each record, none itself; the shares of each) within a table of six records with ids as text."""
    options = {}
    for record in range(6):
        others = st.sampled_from([i for i in range(6) if i != record])
        if own := draw(st.lists(others, max_size=4, unique=True)):
            options[record] = own
    weights = {q: [draw(st.integers(1, 6)) for _ in range(len(own) + 1)] for q, own in options.items()}
    return options, {q: [w / sum(own) for w in own] for q, own in weights.items()}


@relaxed
@given(one_table().filter(lambda drawn: drawn[0]), st.booleans())
def test_a_pair_of_duplicates_is_listed_once_with_the_more_probable_answer(drawn, several):
    options, shares = drawn
    table = pa.table({"id": pa.array(range(6), pa.int64()), "name": [f"n{i}" for i in range(6)]})
    names = pa.array(["f", "e", "d", "c", "b", "a"])
    records = checked("one", table, table, None, query_names=names, candidate_names=names, one_table=True)
    kept = [
        {"query_id": q, "candidate_id": c, "similarity": 0.5, "position": i}
        for q, own in options.items()
        for i, c in enumerate(own, 1)
    ]
    task = Task(records, CandidateSet(pa.Table.from_pylist(kept, CandidateSet.SCHEMA)), Store(root="never-written"), 1)
    queries = sorted(options)
    choice = {q: shares[q].index(max(shares[q])) for q in queries}
    answers = AnswerSet.make(
        "test",
        np.array(queries),
        np.array([c for q in queries for c in options[q]]),
        np.cumsum([0, *(len(options[q]) for q in queries)]),
        np.array([choice[q] for q in queries]),
        np.array([p for q in queries for p in shares[q]]),
    )
    expected = {}
    for q in queries:
        for place, c in enumerate(options[q], 1):
            held = choice[q] and (shares[q][place] > shares[q][0] if several else place == choice[q])
            if held or (choice[q] and place == choice[q]):
                p = shares[q][place] / (shares[q][place] + shares[q][0]) if several else shares[q][place]
                pair = "fedcba"[min(q, c)], "fedcba"[max(q, c)]
                expected[pair] = max(p, expected.get(pair, 0.0))
    found = matches(task, answers, ManyToMany() if several else Keep()).to_pylist()
    assert len(found) == len(expected)
    assert {(r["query_id"], r["candidate_id"]): r["probability"] for r in found} == pytest.approx(expected, abs=1e-5)
