"""Several teachers together, against a loop over ballots."""

import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_instances import Instance, answers_of, choices_by_query, relaxed
from pydantic import ValidationError

from distiller.artifacts import AnswerSet
from distiller.budget import BudgetSpent, Forecast, Ledger
from distiller.config import DistillerError, component, declares
from distiller.store import Store
from distiller.teacher.aggregation import ROUNDS
from distiller.teacher.base import Teacher
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
@given(
    elections(),
    st.sampled_from([{}, {"a": 3.0}, {"b": 2.0, "c": 0.5}]),
    st.sampled_from(["first", "abstain", "smallest"]),
)
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
        tie = {"abstain": 0, "smallest": winners[0], "first": by_member[0]}
        assert choice == (winners[0] if len(winners) == 1 else tie[ties])
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


def test_a_vote_reads_gold_only_if_a_member_does(tmp_path):
    assert not declares(Vote(members=MEMBERS), "USES_GOLD")
    vote = Vote(members={"a": Gold(), "b": Gold()})
    assert declares(vote, "USES_GOLD")
    case = Instance({1: [5, 6]}, {(1, 5): 0.5, (1, 6): 0.5}, {(1, 6)}, [], {}, None)
    task = replace(case.task(), store=Store(root=tmp_path))
    assert vote.annotate(task, np.array([1]), case.gold_table()).chosen_ids.tolist() == [6]


def test_weights_of_ones_own_go_with_the_majority_alone():
    for method in ("weighted", "dawid-skene"):
        with pytest.raises(ValidationError, match=f"method={method} estimates its own weights; leave weights empty"):
            Vote(members=MEMBERS, method=method, weights={"a": 2.0})


METHODS = ["majority", "weighted", "dawid-skene"]


@pytest.mark.parametrize("method", METHODS)
@settings(relaxed, max_examples=3)  # each takes Dawid-Skene a second or more
@given(election=elections())
def test_every_method_answers_every_query_that_a_member_answered(method, election):
    case, votes = election
    elected = elect(case, votes, method=method)
    shares = elected.table["distribution"].to_pylist()
    for q, choice, share in zip(elected.query_ids.tolist(), elected.choice.tolist(), shares, strict=True):
        given = {own[q] for own in votes.values() if own.get(q) is not None}
        assert (choice < 0) == (not given)
        assert sum(share) == pytest.approx(1)
        if len(given) == 1:
            assert choice in given or method == "dawid-skene"  # which may find that "none" is more likely
        if choice >= 0:
            assert share[choice] == pytest.approx(max(share), abs=1e-6)
    confidence = elected.table["confidence"].to_pylist()
    assert confidence == [
        None if c < 0 else pytest.approx(s[c]) for c, s in zip(elected.choice.tolist(), shares, strict=True)
    ]


def simulated(seed, members, queries=400):
    """A task and what members said of it who find a match, and say "none" where there is none, as often as told.

    A member that misses the match takes another candidate or says "none", as it comes. members: name -> (finds, abstains).
    """
    random = np.random.default_rng(seed)
    options = {q: [100 * q + i for i in range(random.integers(2, 9))] for q in range(queries)}
    truth = {q: 0 if random.random() < 0.35 else int(random.integers(1, len(own) + 1)) for q, own in options.items()}
    votes = {name: {} for name in members}
    for name, (finds, abstains) in members.items():
        for q, own in options.items():
            right = random.random() < (finds if truth[q] else abstains)
            wrong = [i for i in range(len(own) + 1) if i != truth[q]]
            votes[name][q] = truth[q] if right else int(random.choice(wrong))
    similarities = {(q, c): 0.5 for q, own in options.items() for c in own}
    return Instance(options, similarities, set(), [], {}, None), votes, truth


def accuracy(elected, truth):
    return np.mean([choice == truth[q] for q, choice in choices_by_query(elected).items()])


def facts_of(case, votes, **fields):
    answers = {name: answers_of(case.options, own) for name, own in votes.items()}
    members = {name: Recorded(name=name) for name in votes}
    return Vote(members=members, **fields).combine(case.task(), np.array(sorted(case.options)), answers)


@pytest.mark.parametrize("seed", range(2))
def test_one_good_member_outvotes_two_bad_ones_once_its_worth_is_estimated(seed):
    members = {"good": (0.95, 0.9), "bad": (0.45, 0.4), "worse": (0.4, 0.4)}
    case, votes, truth = simulated(seed, members)
    by_method = {m: accuracy(facts_of(case, votes, method=m), truth) for m in METHODS}
    assert by_method["weighted"] > by_method["majority"] + 0.03
    assert by_method["dawid-skene"] > by_method["majority"] + 0.03


def test_the_worth_of_each_member_is_found_without_gold():
    members = {"a": (0.95, 0.6), "b": (0.85, 0.9), "c": (0.75, 0.5), "d": (0.6, 0.8)}
    case, votes, truth = simulated(0, members, queries=800)
    found = facts_of(case, votes, method="dawid-skene").facts["members"]
    none = [q for q in truth if not truth[q]]
    for name, own in votes.items():
        right = {q for q in truth if own[q] == truth[q]}
        assert found[name]["accuracy"] == pytest.approx(len(right) / len(truth), abs=0.05)
        assert found[name]["finds"] == pytest.approx(len(right - set(none)) / (len(truth) - len(none)), abs=0.06)
        assert found[name]["abstains"] == pytest.approx(len(right & set(none)) / len(none), abs=0.12)
    # The one-coin model knows no abstaining: it is about members that err the same way everywhere.
    even = {"a": (0.95, 0.95), "b": (0.8, 0.8), "c": (0.6, 0.6)}
    case, votes, truth = simulated(0, even, queries=800)
    found = facts_of(case, votes, method="weighted").facts["members"]
    for name, (rate, _) in even.items():
        assert found[name]["accuracy"] == pytest.approx(rate, abs=0.04)


def test_dawid_skene_agrees_with_expectation_maximisation_written_out():
    case, votes, _ = simulated(7, {"a": (0.9, 0.7), "b": (0.8, 0.6), "c": (0.6, 0.5)}, queries=60)
    del votes["c"][3], votes["b"][3]
    votes["a"][4] = None
    labels = {  # (query, candidate number) -> member -> whether it says match
        (q, i): {name: own[q] == i for name, own in votes.items() if own.get(q) is not None}
        for q, options in case.options.items()
        for i in range(1, len(options) + 1)
    }
    belief = {pair: sum(said.values()) / len(said) for pair, said in labels.items()}
    for _ in range(ROUNDS):
        prior = sum(belief.values()) / len(belief)
        rate = {}
        for name in votes:
            of = {pair: said[name] for pair, said in labels.items() if name in said}
            sees = sum(belief[p] for p in of if of[p]) / sum(belief[p] for p in of)
            claims = sum(1 - belief[p] for p in of if of[p]) / sum(1 - belief[p] for p in of)
            rate[name] = (claims, sees)
        for pair, said in labels.items():
            yes, no = prior, 1 - prior
            for name, claimed in said.items():
                claims, sees = rate[name]
                yes *= sees if claimed else 1 - sees
                no *= claims if claimed else 1 - claims
            belief[pair] = yes / (yes + no)
    elected = elect(case, votes, method="dawid-skene")
    for q, share in zip(elected.query_ids.tolist(), elected.table["distribution"].to_pylist(), strict=True):
        odds = [1.0] + [belief[q, i] / (1 - belief[q, i]) for i in range(1, len(case.options[q]) + 1)]
        assert share == pytest.approx([o / sum(odds) for o in odds], abs=1e-5)


def test_a_weighted_vote_agrees_with_log_odds_counted_by_hand():
    case, votes, _ = simulated(3, {"a": (0.9, 0.9), "b": (0.7, 0.7), "c": (0.6, 0.6)}, queries=150)
    elected = elect(case, votes, method="weighted")
    known = {name: each["accuracy"] for name, each in elected.facts["members"].items()}
    for q, share in zip(elected.query_ids.tolist(), elected.table["distribution"].to_pylist(), strict=True):
        k = len(case.options[q])
        count = [0.0] * (k + 1)
        for name, p in known.items():
            count[votes[name][q]] += np.log(p * k / (1 - p))
        assert share == pytest.approx([c / sum(count) for c in count], abs=1e-5)
    belief = {}  # the estimate is a fixed point: accuracy = mean belief in one's own choice
    for q, options in case.options.items():
        k = len(options)
        odds = np.zeros(k + 1)
        for name, p in known.items():
            odds[votes[name][q]] += np.log(p * k / (1 - p))
        belief[q] = np.exp(odds) / np.exp(odds).sum()
    for name, own in votes.items():
        right = sum(belief[q][own[q]] for q in belief)
        assert known[name] == pytest.approx((right + 1) / (len(belief) + 2), abs=1e-6)


def test_without_its_library_dawid_skene_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation.classification.dawid_skene", None)
    case, votes, _ = simulated(0, {"a": (0.9, 0.9), "b": (0.9, 0.9)}, queries=5)
    with pytest.raises(DistillerError, match=r"dawid-skene needs crowd-kit .*pip install 'distiller-er\[crowd\]'"):
        facts_of(case, votes, method="dawid-skene")


@component
class Paid(Teacher):
    """Chooses one number for every query and says what that cost; `stopped_at` is the query the budget ended before."""

    name: str
    number: int
    stopped_at: int | None = None

    def label(self):
        return self.name

    def annotate(self, task, query_ids, gold=None):
        if self.stopped_at == 0:
            raise BudgetSpent("max_cost", "budget.max_cost leaves nothing to ask")
        asked = query_ids if self.stopped_at is None else query_ids[query_ids < self.stopped_at]
        rows, offsets = task.candidates.of(asked)
        n = len(asked)
        made = AnswerSet.make(
            self.name,
            asked,
            task.candidates.candidate_ids[rows],
            offsets,
            np.full(n, self.number),
            None,
            0.5,
            rationale=[f"{self.name} on {q}" for q in asked],
            tokens_in=[10] * n,
            tokens_out=[1] * n,
        )
        made.facts = {"requests": n, "tokens_in": 10 * n, "tokens_out": n, "cost": 0.25 * n, "currency": "EUR"}
        if self.stopped_at is not None:
            made.facts |= {"stopped": "max_cost", "incomplete": True}
        return made


PAIRS = Instance({q: [5, 6] for q in range(4)}, {(q, c): 0.5 for q in range(4) for c in (5, 6)}, set(), [], {}, None)


def paid_task(folder):
    return replace(PAIRS.task(), store=Store(root=folder), ledger=Ledger.without_limit())


def test_a_vote_costs_the_sum_of_its_members_and_speaks_with_the_voice_of_the_winner(tmp_path):
    members = {"x": Paid(name="x", number=0), "y": Paid(name="y", number=2), "z": Paid(name="z", number=2)}
    elected = Vote(members=members).answers(paid_task(tmp_path), np.arange(4))
    assert elected.chosen_ids.tolist() == [6] * 4
    assert elected.table["rationale"].to_pylist() == [f"y on {q}" for q in range(4)]
    assert elected.table["tokens_in"].to_pylist() == [30] * 4
    assert elected.table["tokens_out"].to_pylist() == [3] * 4
    assert elected.table["seconds"].to_pylist() == [1.5] * 4
    assert elected.table["confidence"].to_pylist() == pytest.approx([2 / 3] * 4)
    spent = {"requests": 12, "tokens_in": 120, "tokens_out": 12, "cost": 3.0, "currency": "EUR"}
    assert spent.items() <= elected.facts.items()
    assert not elected.facts.get("incomplete")


def test_members_are_kept_one_by_one_so_another_vote_asks_only_whom_it_does_not_know(tmp_path):
    members = {"x": Paid(name="x", number=0), "y": Paid(name="y", number=2)}
    Vote(members=members).answers(paid_task(tmp_path), np.arange(4))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "AnswerSet").glob("*/manifest.json")}
    assert len(kept) == 3
    task = paid_task(tmp_path)
    more = Vote(members=members | {"z": Paid(name="z", number=1)}, method="weighted").answers(task, np.arange(4))
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "AnswerSet").glob("*/manifest.json")}
    assert len(now) == 5
    assert kept.items() <= now.items()
    assert more.facts["requests"] == 12
    assert task.ledger.cost == 2.0  # what was paid earlier for x and y counts against this run's budget, too


def test_when_the_budget_ends_the_answers_already_paid_for_are_voted_on(tmp_path):
    members = {"x": Paid(name="x", number=1, stopped_at=3), "y": Paid(name="y", number=2, stopped_at=0)}
    elected = Vote(members=members).answers(paid_task(tmp_path), np.arange(4))
    assert choices_by_query(elected) == {0: 1, 1: 1, 2: 1}
    assert elected.facts["stopped"] == "max_cost"
    assert elected.facts["incomplete"]
    exact = {"x": Paid(name="x", number=1), "y": members["y"]}
    facts = Vote(members=exact).answers(paid_task(tmp_path / "exact"), np.arange(4)).facts
    assert (facts["stopped"], facts["incomplete"]) == ("max_cost", True), "one member met the limit to the cent"
    with pytest.raises(BudgetSpent, match="leaves nothing to ask"):
        Vote(members=dict.fromkeys("xy", members["y"])).answers(paid_task(tmp_path / "other"), np.arange(4))


def test_a_vote_forecasts_the_sum_of_its_members(tmp_path):
    assert Vote(members=MEMBERS).forecast(paid_task(tmp_path), np.arange(4)) is None
    vote = Vote(members={"x": Foreseen(prompts=3), "y": Foreseen(prompts=4), "z": Recorded(name="z")})
    expected = vote.forecast(paid_task(tmp_path), np.arange(4))
    assert (expected.prompts, expected.cost) == (7, (0.7, 1.4, 2.1))


@component
class Foreseen(Teacher):
    """A teacher whose forecast is known."""

    prompts: int

    def forecast(self, task, query_ids):
        n = float(self.prompts)
        return Forecast(self.prompts, self.prompts, (n, n, n), (n, n, n), (n / 10, n / 5, n * 3 / 10), None)
