"""Select the queries whose answer is least certain."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from distiller import ragged
from distiller.config import DistillerError, component
from distiller.selector.base import ScoreSelector
from distiller.selector.opinions import answered, entropy, probabilities, without_gold
from distiller.selector.strata import similarities
from distiller.task import Task
from distiller.teacher.base import Teacher

TEMPERATURE = 0.1  # a candidate that is more similar by this much is e times as likely


@component
class Uncertainty(ScoreSelector):
    """Most uncertain queries first; equally uncertain ones by id.

    measure:
      margin: 1 - (p1 - p2), p1 and p2 the two largest probabilities; in [0, 1].
      entropy: of the probabilities, in nats; from 0 to ln(k + 1) for k candidates.
      least-confidence: 1 - p1; in [0, 1).
    source: who gives the probabilities over "none" and the candidates: any teacher that answers with a distribution.
      Without one they come from the similarities. "None" counts as an option of similarity 0, so that a query with one
      candidate is the less certain the less similar that is. `margin` takes the similarities as they are (1 minus the
      gap between the best two), the other two take softmax(similarity / 0.1).

    Source: Lewis and Gale 1994 (least confidence); Scheffer et al. 2001 (margin); Settles 2009, section 3.1.
    """

    measure: Literal["margin", "entropy", "least-confidence"] = "margin"
    source: Teacher | None = None

    def reads(self, folder: Path | None) -> list[Path]:
        """What the source reads."""
        return self.source.reads(folder) if self.source else []

    @model_validator(mode="after")
    def _blind(self) -> "Uncertainty":
        without_gold({"source": self.source} if self.source else {})
        return self

    def scores(self, task: Task, pool: np.ndarray) -> np.ndarray:
        similarity, offsets = similarities(task.candidates, pool)
        begins = ragged.option_offsets(offsets)
        if self.source:
            answers = answered(task, pool, self.source)
            if not answers.soft[answers.choice >= 0].all():
                raise DistillerError(
                    f"{self.source.label()} gives {task.name} choices without a distribution, which are all "
                    "equally sure; choose a source with probabilities, such as zeroer or vote, or selector=disagreement"
                )
            options = probabilities(task, answers, soft=True)
        else:
            options = ragged.with_none(similarity, 0.0, offsets)
            if self.measure != "margin":
                options = ragged.softmax(options / TEMPERATURE, begins)
        if self.measure == "entropy":
            return entropy(options, begins)
        best = ragged.top_two(options, begins)
        return 1 - (best[:, 0] - best[:, 1]) if self.measure == "margin" else 1 - best[:, 0]
