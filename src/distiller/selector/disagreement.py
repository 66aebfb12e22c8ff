"""Select the queries that several teachers answer differently."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from distiller import ragged
from distiller.config import component, part
from distiller.selector.base import ScoreSelector
from distiller.selector.opinions import answered, entropy, probabilities, without_gold
from distiller.task import Task
from distiller.teacher.base import Teacher


@component
class Disagreement(ScoreSelector):
    """Most disputed queries first; equally disputed ones by id. Query by committee.

    sources: the committee, at least two teachers by any names.
    measure:
      vote: entropy of the members' choices in nats, from 0 to ln(number of members).
      divergence: Jensen-Shannon divergence of the members' distributions: the mean of their Kullback-Leibler
        divergences from their mean, in nats, from 0 to ln(number of members); a member without a distribution counts as
        sure of its choice.
    A reply that could not be read counts as undecided: evenly spread over all options.

    Source: Dagan and Engelson 1995 (vote entropy); McCallum and Nigam 1998 (divergence from the mean).
    """

    measure: Literal["vote", "divergence"] = "vote"
    sources: dict[str, Teacher] = part()

    @model_validator(mode="after")
    def _blind_committee(self) -> "Disagreement":
        if len(self.sources) < 2:
            raise ValueError(
                f"sources needs at least two teachers to disagree, got {len(self.sources)}; "
                "add some, e.g. +teacher@selector.sources.a=zeroer +teacher@selector.sources.b=recorded"
            )
        without_gold({f"sources.{name}": source for name, source in self.sources.items()})
        return self

    def reads(self, folder: Path | None) -> list[Path]:
        """What the sources read."""
        return [file for source in self.sources.values() for file in source.reads(folder)]

    def scores(self, task: Task, pool: np.ndarray) -> np.ndarray:
        soft = self.measure == "divergence"
        begins = ragged.option_offsets(task.candidates.of(pool)[1])
        # A sum in another order would break ties in another way, so the members' names fix it.
        members = [answered(task, pool, self.sources[name]) for name in sorted(self.sources)]
        views = [probabilities(task, answers, soft) for answers in members]
        together = entropy(np.mean(views, axis=0), begins)
        if not soft:
            return together
        return np.maximum(together - np.mean([entropy(view, begins) for view in views], axis=0), 0.0)
