"""Knowledge distillation: the student's distribution over the options is fitted to the teacher's whole distribution."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from distiller import ragged
from distiller.algorithm.by_loss import ByLoss
from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.student.base import DirectStudent, GradientStudent, Lesson, NetworkStudent, Student
from distiller.task import Task

if TYPE_CHECKING:
    from distiller.algorithm.sft_module import OptionLoss


@component
class KD(ByLoss):
    """A divergence between the teacher's and the student's distributions over {none, 1..k}.

    The options are the alphabet, so that teacher and student need no common tokenizer, and anything with a distribution can
    teach: votes, scores, trained models. A teacher that gives only its choice is learnt like a hard label, and `forward`
    then is what `sft` does.

    divergence: `forward` spreads over what the teacher holds possible, `reverse` settles on one of it, `js` (Jensen-Shannon)
    lies between. temperature: flattens both distributions. smoothing: share of the target that is spread evenly over all
    options; `reverse` needs some where a teacher is sure. rationale_weight: as in `sft`, beside the divergence.
    """

    divergence: Literal["forward", "reverse", "js"] = "forward"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rationale_weight: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _reverse_is_finite(self) -> "KD":
        if self.divergence == "reverse" and not self.smoothing:
            raise ValueError(
                "divergence=reverse is infinite where the teacher gives an option no probability; set smoothing above 0, say 0.01"
            )
        return self

    def suits(self, student: Student) -> str | None:
        if isinstance(student, DirectStudent) and (self.divergence != "forward" or self.temperature != 1):
            return (
                f"{student.label()} can only minimise the forward divergence as it is; set algorithm.divergence=forward and "
                "algorithm.temperature=1, or choose a student with gradients such as comparator"
            )
        known = isinstance(student, (DirectStudent, NetworkStudent, GradientStudent))
        return self.weighs_nothing(student) if known else f"kd cannot train {student.label()}"

    def lessons(self, answered: list[tuple[Task, AnswerSet]]) -> list[Lesson]:
        return [smoothed(Lesson.of(task, answers, soft=True), self.smoothing) for task, answers in answered]

    def loss(self) -> "OptionLoss":
        from distiller.algorithm.kd_loss import kd_loss

        return partial(kd_loss, divergence=self.divergence, temperature=self.temperature)


def smoothed(lesson: Lesson, share: float) -> Lesson:
    """The lesson with a share of the target spread evenly over the options of each query."""
    if not share:
        return lesson
    sizes = np.diff(lesson.option_offsets)
    even = 1 / sizes[ragged.owner(lesson.option_offsets)]
    return replace(lesson, target=(1 - share) * lesson.target + share * even)
