"""Several teachers together: each answers, and what they say is made one answer."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.budget import BudgetSpent, Forecast, total_forecast, total_spent
from distiller.config import DistillerError, component, part
from distiller.task import Task
from distiller.teacher.aggregation import Ballots, accuracies, agreeing, dawid_skene, estimates, log_odds
from distiller.teacher.base import Teacher


@component
class Vote(Teacher):
    """The option that the members' answers speak for most; the shares of all options are kept as the distribution.

    A reply that could not be read speaks for nothing; a query that no member answered readably has no answer (failed). The
    winner's share is the answer's confidence, its rationale is that of the first member that chose the winner. Seconds and
    tokens of an answer, and what was spent in all, are the members' sums (the reference copies one member's: fault Q22).

    method: `majority` gives every member one vote, or as many as `weights` says. `weighted` weighs a vote by the log-odds
      of the member's accuracy, `dawid-skene` gives the probability of each option by how each member errs; both are
      estimated from the answers to this dataset alone, without gold. In the first two a member votes with its distribution
      where it gives one. See `distiller.teacher.aggregation`.
    weights: votes per member, by name, for `majority`; empty means one each.
    ties: who wins among options with equal shares: the one that the `first` member (by order) chose that chose one of
      them; `abstain`; or the `smallest` number, so that "none" wins all its ties, as in the reference (fault Q22).
    """

    VERSION = 2

    members: dict[str, Teacher] = part()
    method: Literal["majority", "weighted", "dawid-skene"] = "majority"
    weights: dict[str, float] = field(default_factory=dict)
    ties: Literal["first", "abstain", "smallest"] = "first"

    @model_validator(mode="after")
    def _several_with_weights_of_their_own(self) -> "Vote":
        if len(self.members) < 2:
            raise ValueError(f"a vote needs at least two members, got {len(self.members)}")
        unknown = sorted(set(self.weights) - set(self.members))
        if unknown or any(weight <= 0 for weight in self.weights.values()):
            raise ValueError(
                f"weights must be positive and belong to the members {', '.join(self.members)}, got {self.weights}"
            )
        if self.weights and self.method != "majority":
            raise ValueError(
                f"method={self.method} estimates its own weights; leave weights empty or use method=majority"
            )
        return self

    def label(self) -> str:
        return "vote"

    def reads(self, folder: Path | None) -> list[Path]:
        return [path for member in self.members.values() for path in member.reads(folder)]

    def forecast(self, task: Task, query_ids: np.ndarray) -> Forecast | None:
        each = [member.forecast(task, query_ids) for member in self.members.values()]
        return total_forecast([known for known in each if known is not None])

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        answers: dict[str, AnswerSet] = {}
        spent: BudgetSpent | None = None
        for name, member in self.members.items():
            try:
                answers[name] = member.answers(task, query_ids, gold)
            except BudgetSpent as error:
                spent = error  # the answers already paid for are voted on
        if spent is not None and not answers:
            raise spent
        answered = np.isin(query_ids, np.concatenate([given.query_ids for given in answers.values()]))
        elected = self.combine(task, query_ids[answered], answers)
        if spent is not None:  # a limit that one member met exactly stops the next
            elected.facts |= {"stopped": elected.facts.get("stopped") or spent.limit, "incomplete": True}
        return elected

    def combine(self, task: Task, query_ids: np.ndarray, answers: Mapping[str, AnswerSet]) -> AnswerSet:
        """The vote over answers already given, by member name.

        Raises:
            DistillerError: there is no query, or a library is missing.
        """
        if not len(query_ids):
            raise DistillerError(f"no member of the vote answered any query of {task.name}")
        ballots = Ballots.of(task, query_ids, answers)
        shares, believed = self._shares(ballots)
        begins = ballots.begins
        winner = self._winner(ballots, shares)
        total = ragged.segment_sum(shares, begins)
        unread = total <= 0
        choice = np.where(unread, -1, winner - begins[:-1])
        whole = np.where(unread, np.diff(begins), total)[ragged.owner(begins)]
        distribution = np.where(np.repeat(unread, np.diff(begins)), 1.0, shares) / whole
        rows, offsets = task.candidates.of(query_ids)
        made = AnswerSet.make(
            self.label(),
            query_ids,
            task.candidates.candidate_ids[rows],
            offsets,
            choice,
            distribution,
            _summed(query_ids, answers, "seconds").fill_null(0.0).to_numpy(),
            rationale=_rationales(query_ids, answers, list(agreeing(ballots, choice))),
            confidence=pa.array(distribution[winner], pa.float32(), mask=unread),
            tokens_in=_summed(query_ids, answers, "tokens_in"),
            tokens_out=_summed(query_ids, answers, "tokens_out"),
        )
        made.facts = _facts(answers) | believed
        return made

    def _shares(self, ballots: Ballots) -> tuple[np.ndarray, dict[str, Any]]:
        """What speaks for each option, [n_pairs + n_queries], all 0 where nobody could be read; what is believed of members."""
        if self.method == "dawid-skene":
            shares = dawid_skene(ballots)
            return shares, {"members": estimates(ballots, shares)}
        if self.method == "weighted":
            accuracy = accuracies(ballots)
            weights = np.repeat(log_odds(ballots, accuracy), np.diff(ballots.begins), axis=1)
            known = zip(ballots.names, accuracy.tolist(), strict=True)
            return (ballots.shares * weights).sum(axis=0), {"members": {name: {"accuracy": p} for name, p in known}}
        return np.array([self.weights.get(name, 1.0) for name in ballots.names]) @ ballots.shares, {}

    def _winner(self, ballots: Ballots, shares: np.ndarray) -> np.ndarray:
        """The option that wins each query, as its place among all options, [n_queries]."""
        begins = ballots.begins
        winning = shares >= (ragged.segment_max(shares, begins) - 1e-9)[ragged.owner(begins)]
        tied = ragged.segment_sum(winning.astype(float), begins) > 1
        winner = ragged.first_maximum(winning.astype(float), begins)
        if self.ties == "abstain":
            return np.where(tied, begins[:-1], winner)
        if self.ties == "first":
            for ballot in reversed(ballots.shares):  # the last to overrule is the first member
                own = ragged.first_maximum(np.where(winning, ballot, 0.0), begins)
                winner = np.where(tied & (ballot[own] > 0), own, winner)
        return winner


def _summed(query_ids: np.ndarray, answers: Mapping[str, AnswerSet], column: str) -> pa.Array:
    """Sum over the members of one column for each query; null where all are null."""
    kind = AnswerSet.SCHEMA.field(column).type
    total = pa.nulls(len(query_ids), kind)
    for given in answers.values():
        place = pc.index_in(pa.array(query_ids), value_set=pa.array(given.query_ids))
        own = given.table[column].combine_chunks().take(place)
        total = pc.if_else(pc.is_null(total), own, pc.add(total, pc.fill_null(own, pa.scalar(0, kind))))
    return total


def _rationales(
    query_ids: np.ndarray, answers: Mapping[str, AnswerSet], spokesmen: list[str | None]
) -> list[str | None]:
    """What the member that speaks for each query's winner said, [n_queries]."""
    said = {
        name: dict(zip(given.query_ids.tolist(), given.table["rationale"].to_pylist(), strict=True))
        for name, given in answers.items()
    }
    return [
        None if name is None else said[name][query] for query, name in zip(query_ids.tolist(), spokesmen, strict=True)
    ]


def _facts(answers: Mapping[str, AnswerSet]) -> dict[str, Any]:
    """What the members spent together, and whether any of them could not be asked everything."""
    each: list[Mapping[str, Any]] = [given.facts for given in answers.values()]
    first = {name: next((f[name] for f in each if f.get(name)), None) for name in ("currency", "stopped")}
    spent = total_spent(each)
    if any(f.get("incomplete") for f in each):
        spent["incomplete"] = True
    return spent | {name: value for name, value in first.items() if value is not None}
