"""Several teachers together: each answers, the shares of their votes are the answer."""

from dataclasses import field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, component, part, uses_gold
from distiller.student.base import Lesson
from distiller.task import Task
from distiller.teacher.base import Teacher


@component
class Vote(Teacher):
    """The option with the largest share of the members' votes; all shares are kept as the distribution.

    A member votes with its distribution where it gives one, else wholly for its choice; a reply that could not be read
    votes for nothing. A query that no member answered readably has no answer (failed). Seconds and tokens are the
    members' sums.

    weights: votes per member, by name; empty means one each.
    ties: who wins among options with equal shares: `first` member (by order) that chose one of them, or `abstain`.
      The reference always prefers the smallest number, hence "none" (fault Q22).
    """

    members: dict[str, Teacher] = part()
    weights: dict[str, float] = field(default_factory=dict)
    ties: Literal["first", "abstain"] = "first"

    @model_validator(mode="after")
    def _several_with_weights_of_their_own(self) -> "Vote":
        if len(self.members) < 2:
            raise ValueError(f"a vote needs at least two members, got {len(self.members)}")
        unknown = sorted(set(self.weights) - set(self.members))
        if unknown or any(weight <= 0 for weight in self.weights.values()):
            raise ValueError(
                f"weights must be positive and belong to the members {', '.join(self.members)}, got {self.weights}"
            )
        return self

    def label(self) -> str:
        return "vote"

    def reads(self, folder: Path | None) -> list[Path]:
        return [path for member in self.members.values() for path in member.reads(folder)]

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        answers = {
            name: member.annotate(task, query_ids, gold if uses_gold(member) else None)
            for name, member in self.members.items()
        }
        return self.combine(task, query_ids, answers)

    def combine(self, task: Task, query_ids: np.ndarray, answers: dict[str, AnswerSet]) -> AnswerSet:
        """The vote over answers already given, by member name."""
        rows, offsets = task.candidates.of(query_ids)
        begins = ragged.option_offsets(offsets)
        shares = np.zeros(begins[-1])
        seconds = np.zeros(len(query_ids))
        ballots = []
        for name, given in answers.items():
            place = np.searchsorted(query_ids, given.query_ids)
            seconds[place] += given.table["seconds"].to_numpy()
            lesson = Lesson.of(task, given, soft=True)
            entries, _ = ragged.rows_within(begins, np.searchsorted(query_ids, lesson.query_ids))
            ballot = np.zeros(begins[-1])
            ballot[entries] = lesson.target * self.weights.get(name, 1.0)
            shares += ballot
            ballots.append(ballot)
        total = ragged.segment_sum(shares, begins)
        best = ragged.segment_max(shares, begins)
        winning = shares >= (best - 1e-9)[ragged.owner(begins)]
        tied = ragged.segment_sum(winning.astype(float), begins) > 1
        winner = ragged.first_maximum(winning.astype(float), begins)
        if self.ties == "abstain":
            winner = np.where(tied, begins[:-1], winner)
        else:
            for ballot in reversed(ballots):  # the last to overrule is the first member
                own = ragged.first_maximum(np.where(winning, ballot, 0.0), begins)
                winner = np.where(tied & (ballot[own] > 0), own, winner)
        choice = np.where(total > 0, winner - begins[:-1], -1)
        unread = np.repeat(total <= 0, np.diff(begins))
        distribution = np.where(unread, 1.0, shares) / np.where(
            unread, np.diff(begins)[ragged.owner(begins)], total[ragged.owner(begins)]
        )
        if not len(query_ids):
            raise DistillerError(f"no member of the vote answered any query of {task.name}")
        return AnswerSet.make(
            self.label(), query_ids, task.candidates.candidate_ids[rows], offsets, choice, distribution, seconds
        )
