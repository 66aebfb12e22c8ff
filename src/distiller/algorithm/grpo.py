"""Group-relative policy optimisation: the student's own replies are drawn, rewarded, and compared with each other."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from distiller.algorithm import rewards
from distiller.algorithm.for_language import ForLanguage
from distiller.config import component
from distiller.student.base import Classroom, Student
from distiller.student.language import Language
from distiller.trainer import Trainer

if TYPE_CHECKING:
    from distiller.algorithm.course import Course


@component
class GRPO(ForLanguage):
    """Draws replies to each prompt in one batch, and makes those more probable that are worth more than their group's mean.

    samples: replies per prompt. reply_tokens: longest reply. variant: `group` divides by the
    group's standard deviation and each reply's length, `unbiased` does neither (Dr. GRPO). beta: weight of the divergence
    from the reference, 0 goes without it. iterations: steps on the same replies. clip: how far a step may change the
    probability of a token that was drawn, from the second of these steps on. well_formed, in_range, correct: weights of the
    rewards (`rewards`).

    Source: Shao et al. 2024; Liu et al. 2025 (unbiased); the divergence is the estimator k3 of Schulman
    2020, weighted as in DeepSeek-V3.2.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 2e-5
    samples: Annotated[int, Field(ge=2)] = 8
    reply_tokens: Annotated[int, Field(ge=2)] = 8
    variant: Literal["group", "unbiased"] = "group"
    beta: Annotated[float, Field(ge=0)] = 0.04
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    iterations: Annotated[int, Field(ge=1)] = 1
    well_formed: Annotated[float, Field(ge=0)] = 0.25
    in_range: Annotated[float, Field(ge=0)] = 0.25
    correct: Annotated[float, Field(ge=0)] = 0.5

    def refuses(self, student: Student, trainer: Trainer) -> str | None:
        if trainer.strategy == "fsdp":
            return (
                "trainer.strategy=fsdp shares out the student's weights, and grpo has each process write replies with all of "
                "them; set trainer=ddp, or algorithm=sft, kd or dpo"
            )
        return super().refuses(student, trainer)

    def suits(self, student: Student) -> str | None:
        if isinstance(student, Language) and student.explains:
            return (
                f"grpo rewards replies that are a bare number, and {student.label()} is asked to explain; set "
                "elicitation@student.elicitation=score, or algorithm=dpo"
            )
        return super().suits(student)

    def reward(self, text: str, ended: bool, target: np.ndarray) -> float:
        """What a reply is worth, at least 0. ended: whether its turn ends there. target: of options 0..k, [k + 1]."""
        return (
            self.well_formed * rewards.well_formed(text, ended)
            + self.in_range * rewards.in_range(text, len(target) - 1)
            + self.correct * rewards.correct(text, target)
        )

    def needs_reference(self) -> bool:
        return self.beta > 0

    def course(self, classroom: Classroom, student: Language) -> "Course":
        from distiller.algorithm.grpo_module import GRPOCourse

        return GRPOCourse(
            classroom,
            self.reward,
            samples=self.samples,
            reply_tokens=self.reply_tokens,
            unbiased=self.variant == "unbiased",
            beta=self.beta,
            clip=self.clip,
            iterations=self.iterations,
        )

    def facts(self, course: "Course") -> dict[str, Any]:
        from distiller.algorithm.grpo_module import GRPOCourse

        assert isinstance(course, GRPOCourse)
        return {"rewards": course.rewards}
