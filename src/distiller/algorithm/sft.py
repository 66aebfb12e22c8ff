"""Supervised distillation: the student's distribution over the options of a query is fitted to the teacher's answer."""

from typing import TYPE_CHECKING, Literal

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

    Source: arXiv 2602.05452, section on supervised fine-tuning; the loss is over the answer only (fault Q26).
    """

    labels: Literal["hard", "soft"] = "hard"

    def suits(self, student: Student) -> str | None:
        known = isinstance(student, (DirectStudent, NetworkStudent, GradientStudent))
        return None if known else f"sft cannot train {student.label()}"

    def lessons(self, answered: list[tuple[Task, AnswerSet]]) -> list[Lesson]:
        return [Lesson.of(task, answers, soft=self.labels == "soft") for task, answers in answered]

    def loss(self) -> "OptionLoss":
        from distiller.algorithm.sft_module import sft_loss

        return sft_loss

    def cross_entropy(self, lessons: list[Lesson]) -> bool:
        return True
