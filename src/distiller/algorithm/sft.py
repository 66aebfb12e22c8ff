"""Supervised distillation: the student's distribution over the options of a query is fitted to the teacher's answer."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from distiller.algorithm.by_loss import ByLoss
from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.student.base import DirectStudent, GradientStudent, Lesson, NetworkStudent, Student
from distiller.task import Task

if TYPE_CHECKING:
    from distiller.algorithm.sft_module import OptionLoss


@component
class SFT(ByLoss):
    """Cross-entropy over {none, 1..k}, the same objective for every student.

    For a language model it is the cross-entropy of the tokens of the answer with the token that ends the turn, given the
    prompt: that of the option among the options, and that of writing an option at all. Nothing of the prompt is learnt.

    labels: `hard` learns the option the teacher chose; `soft` learns its distribution where it gives one.
    rationale_weight: for a language model that is asked to explain, what the mean loss of a token of the teacher's rationale,
    the end of the turn included, counts beside the loss of the answer. It is a mean, so that the one token that decides
    is not drowned by the hundred that follow; rationales of any length count alike.

    Source: arXiv 2602.05452, section on supervised fine-tuning; the loss is over the answer, with its rationale or without,
    and over nothing else (fault Q26).
    """

    labels: Literal["hard", "soft"] = "hard"
    rationale_weight: Annotated[float, Field(ge=0)] = 1.0

    def suits(self, student: Student) -> str | None:
        known = isinstance(student, (DirectStudent, NetworkStudent, GradientStudent))
        return self.weighs_nothing(student) if known else f"sft cannot train {student.label()}"

    def lessons(self, answered: list[tuple[Task, AnswerSet]]) -> list[Lesson]:
        return [Lesson.of(task, answers, soft=self.labels == "soft") for task, answers in answered]

    def loss(self) -> "OptionLoss":
        from distiller.algorithm.sft_module import sft_loss

        return sft_loss

    def cross_entropy(self, lessons: list[Lesson]) -> bool:
        return True
