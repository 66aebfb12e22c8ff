"""What the algorithms share that need a language model: a start, perhaps taught by another algorithm, kept as reference."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from distiller.algorithm.base import Algorithm, Teaching
from distiller.algorithm.by_loss import counted
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import component, part
from distiller.student.base import Classroom, GradientStudent, Lesson, Student
from distiller.student.language import Language
from distiller.task import Task
from distiller.trainer import Place, Trainer

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

    def rivals(self) -> bool:
        """Whether the loss takes rationales of options that the teacher did not choose."""
        return False

    def needs_reference(self) -> bool:
        """Whether the loss compares with the start."""
        return True

    def course(self, classroom: Classroom, student: Language) -> "Course":
        """The Lightning module that minimises this algorithm's loss."""
        raise NotImplementedError

    def facts(self, course: "Course") -> dict[str, Any]:
        """What the course has to report beside its curve."""
        return {}

    def start(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int
    ) -> Checkpoint | None:
        return self.warm_start.taught(student, answered, trainer, threads) if self.warm_start else None

    def distil(
        self,
        student: Student,
        answered: list[tuple[Task, AnswerSet]],
        trainer: Trainer,
        threads: int,
        folder: Path,
        work: Path | None = None,
    ) -> dict[str, Any]:
        from distiller.algorithm.lightning_fit import teach

        assert isinstance(student, Language)
        start = self.start(student, answered, trainer, threads)
        teaching = self.teaching(student, answered, trainer, threads, start)
        teach(teaching.course, trainer, work)
        return teaching.report(folder)

    def teaching(
        self,
        student: GradientStudent,
        answered: list[tuple[Task, AnswerSet]],
        trainer: Trainer,
        threads: int,
        start: Checkpoint | None,
        place: Place = Place(),  # noqa: B008 - frozen
    ) -> Teaching:
        import torch

        assert isinstance(student, Language)
        lessons = [Lesson.of(task, answers, soft=False) for task, answers in answered]
        torch.set_num_threads(threads)
        torch.manual_seed(student.seed)
        frozen = self.needs_reference()
        begun = start.folder if start else None
        room = student.classroom(lessons, trainer, threads, rivals=self.rivals(), start=begun, frozen=frozen)
        steps = round(room.steps / room.epochs * self.epochs)
        room = replace(room, epochs=self.epochs, steps=steps, learning_rate=self.learning_rate)
        if frozen:
            room.model.check_reference(next(iter(room.validation())))
        course = self.course(room.at(place), student)

        def report(folder: Path) -> dict[str, Any]:
            return {
                **counted(lessons, answered),
                **room.save(folder),
                "curve": course.curve,
                "agreement": course.agreement,
                "warm_start": start.key if start else None,
                **self.facts(course),
            }

        return Teaching(course, report)
