"""One-to-one matching: the greedy rule against a loop, the optimal one against another solver."""

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import Instance, answers_of, choices_by_query, instances, relaxed
from scipy.optimize import linear_sum_assignment

from distiller.disambiguation.assignment import Assignment
from distiller.disambiguation.claims import conditioned
from distiller.disambiguation.none import Keep
from distiller.disambiguation.unique_mapping import UniqueMapping

EVERYBODY = [Assignment(), Keep(), UniqueMapping()]
ONE_TO_ONE = [Assignment(), UniqueMapping()]


def everyone(case):
    """The answers of all queries of an instance."""
    return case.answers(sorted(case.options))


def claims_of(case):
    """(strength, query, option, gain) of every claim: options more probable than none, or the bare choice."""
    claims = []
    for q, own in case.options.items():
        if not case.choices[q]:
            continue
        for option, candidate in enumerate(own, 1):
            if case.shares is None:
                if option != case.choices[q]:
                    continue
                p, none = (0.5 + s / 2 for s in (case.similarities[q, candidate], -case.similarities[q, candidate]))
            else:
                p, none = float(np.float32(case.shares[q][option])), float(np.float32(case.shares[q][0]))
            if p > none or option == case.choices[q]:
                tiny = float(np.finfo(np.float32).tiny)
                claims.append((p, q, option, max(math.log(max(p, tiny)) - math.log(max(none, tiny)), 0.0)))
    return claims


def greedy(case):
    """{query: choice}: the strongest claim first, ties to the smaller query id, then the earlier option."""
    choices = {q: choice and 0 for q, choice in case.choices.items()}
    taken = set()
    for _, q, option, _ in sorted(claims_of(case), key=lambda claim: (-claim[0], claim[1], claim[2])):
        candidate = case.options[q][option - 1]
        if not choices[q] and candidate not in taken:
            choices[q] = option
            taken.add(candidate)
    return choices


def total_gain(case, choices):
    gain = {(q, option): g for _, q, option, g in claims_of(case)}
    return sum(gain[q, choice] for q, choice in choices.items() if choice)


@relaxed
@given(instances(several_gold=False, candidates=5))
def test_unique_mapping_agrees_with_a_loop_over_sorted_claims(case):
    assert choices_by_query(UniqueMapping().resolve(case.task(), everyone(case))) == greedy(case)


@relaxed
@given(instances(several_gold=False, candidates=5), st.sampled_from(ONE_TO_ONE))
def test_no_candidate_is_given_twice_and_resolving_twice_changes_nothing(case, resolver):
    answers = everyone(case)
    settled = resolver.resolve(case.task(), answers)
    chosen = settled.chosen_ids[settled.choice > 0]
    assert len(set(chosen.tolist())) == len(chosen)
    again = resolver.resolve(case.task(), settled)
    assert total_gain(case, choices_by_query(again)) == pytest.approx(total_gain(case, choices_by_query(settled)))
    assert (again.choice > 0).sum() == (settled.choice > 0).sum()
    if isinstance(resolver, UniqueMapping):
        assert again.table.equals(settled.table)
    # Only choices change: what an unread reply or an abstention was, it stays.
    for q, choice in choices_by_query(settled).items():
        assert (choice is None) == (case.choices[q] is None)
        assert case.choices[q] != 0 or choice == 0
    untouched = [name for name in answers.table.column_names if name != "choice"]
    assert settled.table.select(untouched).equals(answers.table.select(untouched))


@relaxed
@given(instances(several_gold=False, candidates=5))
def test_the_strongest_claim_on_a_candidate_is_never_refused(case):
    settled = choices_by_query(UniqueMapping().resolve(case.task(), everyone(case)))
    claims = claims_of(case)
    if claims:
        best = max(claims, key=lambda claim: (claim[0], -claim[1], -claim[2]))
        assert settled[best[1]] == best[2]
    for strength, q, option, _ in claims:
        if settled[q] != option:  # a claim is refused only for one at least as strong, on its query or on its candidate
            rivals = [
                s
                for s, other, o, _ in claims
                if settled[other] == o and (other == q or case.options[other][o - 1] == case.options[q][option - 1])
            ]
            assert max(rivals) >= strength


@relaxed
@given(instances(several_gold=False, candidates=6))
def test_assignment_is_optimal_and_never_worse_than_greedy(case):
    queries, candidates = sorted(case.options), sorted({c for own in case.options.values() for c in own})
    # A dense matrix with one private column per query for "abstain", solved by the Hungarian method.
    gains = np.full((len(queries), len(candidates) + len(queries)), -1e6)
    gains[np.arange(len(queries)), len(candidates) + np.arange(len(queries))] = 0.0
    for _, q, option, gain in claims_of(case):
        gains[queries.index(q), candidates.index(case.options[q][option - 1])] = gain
    best = gains[linear_sum_assignment(gains, maximize=True)].sum()
    found = total_gain(case, choices_by_query(Assignment().resolve(case.task(), everyone(case))))
    assert found == pytest.approx(best, abs=1e-6)
    assert found >= total_gain(case, greedy(case)) - 1e-6


@relaxed
@given(instances(several_gold=False, candidates=6), st.sampled_from(ONE_TO_ONE))
def test_answers_without_conflict_are_kept(case, resolver):
    # Every query gets candidates of its own.
    apart = {q: [100 * (i + 1) + c for c in own] for i, (q, own) in enumerate(case.options.items())}
    similar = {(q, d): case.similarities[q, c] for q in apart for c, d in zip(case.options[q], apart[q], strict=True)}
    case = dataclasses.replace(case, options=apart, similarities=similar, gold=set())
    before, after = case.choices, choices_by_query(resolver.resolve(case.task(), everyone(case)))
    for q, choice in before.items():
        if case.shares is None or not choice:
            assert after[q] == choice
        else:
            assert after[q] > 0
            assert case.shares[q][after[q]] == case.shares[q][choice]


@relaxed
@given(instances())
def test_keeping_answers_changes_nothing(case):
    answers = everyone(case)
    assert Keep().resolve(case.task(), answers).table.equals(answers.table)
    assert Keep.FORM is None


def test_equally_strong_claims_go_to_the_smaller_query_id():
    case = Instance({7: [1], 3: [1], 5: [1]}, {(q, 1): 0.5 for q in (3, 5, 7)}, set(), [], {3: 1, 5: 1, 7: 1}, None)
    for answers in (everyone(case), answers_of(case.options, case.choices, {q: [0.25, 0.75] for q in (3, 5, 7)})):
        assert choices_by_query(UniqueMapping().resolve(case.task(), answers)) == {3: 1, 5: 0, 7: 0}


def test_answers_without_probabilities_compete_by_blocking_similarity():
    case = Instance({1: [8, 9], 2: [9]}, {(1, 8): 0.2, (1, 9): 0.3, (2, 9): 0.9}, set(), [], {1: 2, 2: 1}, None)
    for resolver in ONE_TO_ONE:
        assert choices_by_query(resolver.resolve(case.task(), everyone(case))) == {1: 0, 2: 1}


def test_similarities_are_those_of_the_pairs_also_where_the_teacher_saw_another_order():
    case = Instance({1: [8, 9], 2: [9]}, {(1, 8): 1.0, (1, 9): 0.1, (2, 9): 0.5}, set(), [], {1: 2, 2: 1}, None)
    reordered = answers_of({1: [9, 8], 2: [9]}, {1: 1, 2: 1})
    for resolver in ONE_TO_ONE:
        settled = resolver.resolve(case.task(), reordered)
        assert settled.chosen_ids.tolist() == [-1, 9]


def test_a_query_that_loses_its_choice_takes_its_next_more_probable_than_none():
    shares = {1: [0.1, 0.6, 0.3], 2: [0.2, 0.8]}
    case = Instance({1: [9, 8], 2: [9]}, {(1, 9): 0, (1, 8): 0, (2, 9): 0}, set(), [], {1: 1, 2: 1}, shares)
    for resolver in ONE_TO_ONE:
        assert choices_by_query(resolver.resolve(case.task(), everyone(case))) == {1: 2, 2: 1}


def test_a_choice_as_probable_as_none_is_not_given_up_for_nothing():
    shares = {1: [0.25, 0.375, 0.375], 2: [0.4, 0.2, 0.4]}
    similarities = dict.fromkeys([(1, 8), (1, 9), (2, 8), (2, 9)], 0.5)
    case = Instance({1: [8, 9], 2: [9, 8]}, similarities, set(), [], {1: 2, 2: 2}, shares)
    for resolver in ONE_TO_ONE:
        assert choices_by_query(resolver.resolve(case.task(), everyone(case))) == {1: 2, 2: 2}


@pytest.mark.parametrize("resolver", EVERYBODY, ids=lambda r: type(r).__name__)
def test_no_answers_and_no_claims_are_no_trouble(resolver):
    case = Instance({1: [9], 2: [9]}, {(1, 9): 0.5, (2, 9): 0.5}, set(), [], {1: 0, 2: None}, None)
    assert choices_by_query(resolver.resolve(case.task(), everyone(case))) == {1: 0, 2: None}
    assert resolver.resolve(case.task(), case.answers([])).table.num_rows == 0


@relaxed
@given(instances(), st.sampled_from(ONE_TO_ONE))
def test_conditioned_answers_can_be_learnt_from_as_soft_labels(case, resolver):
    answers = everyone(case)
    settled = resolver.resolve(case.task(), answers)
    learnt = conditioned(settled)
    assert learnt.table.drop_columns(["distribution"]).equals(settled.table.drop_columns(["distribution"]))
    rows = zip(
        answers.table.to_pylist(),
        settled.table["choice"].to_pylist(),
        learnt.table["distribution"].to_pylist(),
        strict=True,
    )
    for before, choice, after in rows:
        shares = before["distribution"]
        if shares is None:
            assert after is None
            continue
        if choice is None:
            assert after == pytest.approx(shares)
            continue
        left = [p if p <= shares[choice] else 0.0 for p in shares]
        if not sum(left):
            left[choice] = 1.0
        assert after == pytest.approx([p / sum(left) for p in left], abs=1e-6)
        assert after[choice] == max(after)


@pytest.mark.parametrize("resolver", ONE_TO_ONE, ids=["assignment", "unique-mapping"])
def test_an_answer_that_loses_its_choice_loses_the_rationale_of_that_choice(resolver):
    shares = {1: [0.1, 0.9], 2: [0.1, 0.6, 0.3], 3: [0.3, 0.7]}
    options, choices = {1: [5], 2: [5, 6], 3: [5]}, {1: 1, 2: 1, 3: 1}
    case = Instance(options, {(q, c): 0.5 for q, own in options.items() for c in own}, set(), [], choices, shares)
    rows = everyone(case).table.to_pylist()
    for row in rows:
        row["rationale"] = "why one"
    rows[1]["justifications"] = ["why none", "why one", "why two"]
    answers = type(everyone(case))(pa.Table.from_pylist(rows, everyone(case).table.schema))
    settled = resolver.resolve(case.task(), answers)
    assert settled.choice.tolist() == [1, 2, 0]
    assert settled.table["rationale"].to_pylist() == ["why one", "why two", None]
