"""Several teachers together, against a loop over ballots."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import Instance, answers_of, choices_by_query, relaxed
from pydantic import ValidationError

from distiller.config import declares
from distiller.teacher.gold import Gold
from distiller.teacher.recorded import Recorded
from distiller.teacher.vote import Vote

NAMES = ["a", "b", "c"]
MEMBERS = {name: Recorded(name=name) for name in NAMES}


@st.composite
def elections(draw):
    """A task, and what each member answered: {name: {query: choice, None if unread}}, some queries not at all."""
    options = draw(
        st.dictionaries(
            st.integers(0, 30), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), min_size=1, max_size=5
        )
    )
    similarities = {(q, c): 0.5 for q, own in options.items() for c in own}
    votes = {}
    for name in NAMES:
        ballots = {q: draw(st.sampled_from([*range(len(own) + 1), None, "absent"])) for q, own in options.items()}
        votes[name] = {q: ballot for q, ballot in ballots.items() if ballot != "absent"}
    return Instance(options, similarities, set(), [], {}, None), votes


def elect(case, votes, shown=None, **fields):
    """The vote over these ballots; `shown` {query: options} is the order in which members saw the candidates."""
    queries = np.array(sorted(case.options))
    shown = shown or case.options
    answers = {
        name: answers_of({q: shown[q] for q in own}, own, seconds=float(2**i))
        for i, (name, own) in enumerate(votes.items())
    }
    return Vote(members=MEMBERS, **fields).combine(case.task(), queries, answers)


@relaxed
@given(elections(), st.sampled_from([{}, {"a": 3.0}, {"b": 2.0, "c": 0.5}]), st.sampled_from(["first", "abstain"]))
def test_winner_shares_and_seconds_agree_with_a_count_by_hand(election, weights, ties):
    case, votes = election
    elected = elect(case, votes, weights=weights, ties=ties)
    shares = elected.table["distribution"].to_pylist()
    for q, choice, share in zip(elected.query_ids.tolist(), elected.table["choice"].to_pylist(), shares, strict=True):
        count = [Fraction(0)] * (len(case.options[q]) + 1)
        for name in NAMES:
            if votes[name].get(q) is not None:
                count[votes[name][q]] += Fraction(weights.get(name, 1.0))
        if not sum(count):
            assert choice is None
            assert share == pytest.approx([1 / len(count)] * len(count))
            continue
        assert share == pytest.approx([float(c / sum(count)) for c in count])
        winners = [i for i, c in enumerate(count) if c == max(count)]
        by_member = [votes[name][q] for name in NAMES if votes[name].get(q) in winners]
        assert choice == (winners[0] if len(winners) == 1 else 0 if ties == "abstain" else by_member[0])
    seconds = [sum(2.0**i for i, name in enumerate(NAMES) if q in votes[name]) for q in sorted(case.options)]
    assert elected.table["seconds"].to_pylist() == seconds


@relaxed
@given(elections(), st.randoms(use_true_random=False))
def test_votes_are_for_candidates_not_for_the_numbers_a_member_saw(election, random):
    case, votes = election
    plain = elect(case, votes)
    shown = {q: random.sample(own, len(own)) for q, own in case.options.items()}
    renumbered = {
        name: {q: choice and shown[q].index(case.options[q][choice - 1]) + 1 for q, choice in own.items()}
        for name, own in votes.items()
    }
    assert elect(case, renumbered, shown=shown).table.equals(plain.table)


def test_a_member_that_is_unsure_divides_its_vote():
    case = Instance({1: [5, 6]}, {(1, 5): 0.5, (1, 6): 0.5}, set(), [], {}, None)
    answers = {
        "a": answers_of(case.options, {1: 1}, {1: [0.0, 0.5, 0.5]}),
        "b": answers_of(case.options, {1: 2}),
        "c": answers_of(case.options, {1: None}),
    }
    elected = Vote(members=MEMBERS).combine(case.task(), np.array([1]), answers)
    assert elected.table["distribution"].to_pylist()[0] == pytest.approx([0.0, 0.25, 0.75])
    assert choices_by_query(elected) == {1: 2}


def test_a_vote_needs_two_members_and_weights_of_its_members():
    with pytest.raises(ValidationError, match="at least two members, got 1"):
        Vote(members={"a": Gold()})
    for weights in ({"d": 1.0}, {"a": 0.0}, {"a": -1.0}):
        with pytest.raises(ValidationError, match="weights must be positive and belong to the members a, b, c"):
            Vote(members=MEMBERS, weights=weights)


def test_a_vote_reads_gold_only_if_a_member_does():
    assert not declares(Vote(members=MEMBERS), "USES_GOLD")
    vote = Vote(members={"a": Gold(), "b": Gold()})
    assert declares(vote, "USES_GOLD")
    case = Instance({1: [5, 6]}, {(1, 5): 0.5, (1, 6): 0.5}, {(1, 6)}, [], {}, None)
    assert vote.annotate(case.task(), np.array([1]), case.gold_table()).chosen_ids.tolist() == [6]
