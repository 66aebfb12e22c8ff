"""Direct preference optimisation: the teacher's answer is preferred to every other option."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from distiller.algorithm.for_language import ForLanguage
from distiller.config import component
from distiller.student.base import Classroom
from distiller.student.language import Language

if TYPE_CHECKING:
    from distiller.algorithm.course import Course


@component
class DPO(ForLanguage):
    """Chosen is the option that the teacher chose, rejected are all others, the last one included (fault Q9).

    All options of a prompt are read in one pass, by the student and by its reference. For a student that is asked to explain,
    chosen is the answer with its rationale, rejected is each other option, with the reason given for it where the teacher
    was asked to justify every option (elicitation=justify, or teacher.reasons=justifications of a recorded one), else alone.
    A reason that another option was given may say that this option is wrong, as the recorded ones often do; it is
    rejected as the reason of an answer, not as a sentence.

    form: see `dpo_module.dpo_loss`. beta: how closely the student is held to its reference. smoothing: share of the teacher's
    preferences that is held to be wrong. length_normalised: log-probabilities per token, so that "[10]" is not at a
    disadvantage. anchor: weight of the loss that `sft` has, which keeps the student writing answers at all
    (fault Q28: trained without, a student may end with replies that nobody can read).

    Source: Rafailov et al. 2023; anchor: Pang et al. 2024; length: Meng et al. 2024.
    """

    form: Literal["sigmoid", "robust", "ipo"] = "sigmoid"
    beta: Annotated[float, Field(gt=0)] = 0.1
    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    length_normalised: bool = False
    anchor: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ipo_has_no_smoothing(self) -> "DPO":
        if self.form == "ipo" and self.smoothing:
            raise ValueError(f"form=ipo takes no smoothing, got {self.smoothing:g}; set smoothing=0 or form=sigmoid")
        return self

    def rivals(self) -> bool:
        return True

    def course(self, classroom: Classroom, student: Language) -> "Course":
        from distiller.algorithm.dpo_module import DPOCourse, preference_losses

        losses = partial(
            preference_losses,
            form=self.form,
            beta=self.beta,
            smoothing=self.smoothing,
            length_normalised=self.length_normalised,
            anchor=self.anchor,
        )
        return DPOCourse(classroom, losses)
