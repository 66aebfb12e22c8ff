"""What the algorithms share that need a language model: a start, perhaps taught by another algorithm, kept as reference."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from distiller.algorithm.base import Algorithm
from distiller.artifacts import AnswerSet
from distiller.config import component, part
from distiller.student.base import Classroom, Lesson, Student
from distiller.student.language import Language
from distiller.task import Task
from distiller.trainer import Trainer

if TYPE_CHECKING:
    from distiller.algorithm.course import Course


@component
class ForLanguage(Algorithm):
    """Moves a language model away from where it starts, its reference.

    warm_start: algorithm that teaches the student first, such as sft; its checkpoint is shared through the store with runs of
    that algorithm alone. epochs, learning_rate: of this algorithm, in place of the student's own.
    """

    warm_start: Algorithm | None = part(None)
    epochs: Annotated[int, Field(ge=1)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5

    def suits(self, student: Student) -> str | None:
        if not isinstance(student, Language):
            name = type(self).__name__.lower()
            return f"{name} trains what a language model writes, and {student.label()} is none: set algorithm=sft or kd"
        return self.warm_start.suits(student) if self.warm_start else None

    def needs_reference(self) -> bool:
        """Whether the loss compares with the start."""
        return True

    def course(self, classroom: Classroom, student: Language) -> "Course":
        """The Lightning module that minimises this algorithm's loss."""
        raise NotImplementedError

    def facts(self, course: "Course") -> dict[str, Any]:
        """What the course has to report beside its curve."""
        return {}

    def distil(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        import torch

        from distiller.algorithm.lightning_fit import teach

        assert isinstance(student, Language)
        start = self.warm_start.taught(student, answered, trainer, threads) if self.warm_start else None
        lessons = [Lesson.of(task, answers, soft=False) for task, answers in answered]
        learnt = sum(len(lesson.query_ids) for lesson in lessons)
        torch.set_num_threads(threads)
        torch.manual_seed(student.seed)
        frozen = self.needs_reference()
        room = student.classroom(lessons, trainer, threads, start=start.folder if start else None, frozen=frozen)
        steps = round(room.steps / room.epochs * self.epochs)
        room = replace(room, epochs=self.epochs, steps=steps, learning_rate=self.learning_rate)
        if frozen:
            room.model.check_reference(next(iter(room.validation())))
        course = self.course(room, student)
        teach(course, trainer)
        return {
            "queries": learnt,
            "unread": sum(len(answers.query_ids) for _, answers in answered) - learnt,
            **room.save(folder),
            "curve": course.curve,
            "agreement": course.agreement,
            "warm_start": start.key if start else None,
            **self.facts(course),
        }
