"""What every distillation algorithm does: turn a teacher's answers into a trained student."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import Component, declares, nested
from distiller.dispatch import Request, dispatched
from distiller.student.base import GradientStudent, Student
from distiller.task import Task
from distiller.trainer import Place, Trainer


@dataclass(frozen=True)
class Teaching:
    """A student with gradients, ready to be taught.

    course: the Lightning module that holds it, a `course.Course`. report: writes the student as it stands into a folder and
    returns facts about its training.
    """

    course: Any
    report: Callable[[Path], dict[str, Any]]


class Algorithm(Component):
    """One way to teach a student."""

    def distil(
        self,
        student: Student,
        answered: list[tuple[Task, AnswerSet]],
        trainer: Trainer,
        threads: int,
        folder: Path,
        work: Path | None = None,
    ) -> dict[str, Any]:
        """Train `student`, in this process, on the answers to all tasks together and write it into `folder`.

        work: where a student with gradients keeps how far it is, so that a training that was killed goes on from there.
        Returns facts about the training: queries learnt from, replies left out, what the student reports.
        """
        raise NotImplementedError

    def start(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int
    ) -> Checkpoint | None:
        """What the student goes on from, taught by another algorithm, or None if it starts from its own weights."""
        return None

    def teaching(
        self,
        student: GradientStudent,
        answered: list[tuple[Task, AnswerSet]],
        trainer: Trainer,
        threads: int,
        start: Checkpoint | None,
        place: Place = Place(),  # noqa: B008 - frozen
    ) -> Teaching:
        """A student with gradients and everything to teach it; place: of this process among those that train together."""
        raise NotImplementedError

    def taught(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int
    ) -> Checkpoint:
        """What `distil` makes, kept in the store of the tasks, whoever asks for it: a run, a teacher or a warm start.

        While it is made, a folder `Training/<key of the checkpoint>` of the store has what a killed training goes on from.
        Where the trainer asks for several processes, a worker makes it; see `dispatch`.

        Raises:
            DistillerError: a process of the worker ended before its time; one sentence with its last words.
        """
        inputs = []
        for task, answers in answered:
            inputs += [task.features_key if declares(student, "USES_FEATURES") else task.key, answers.key]
        inputs += [found for each in nested(student) for found in each.fingerprints()]
        store, components = answered[0][0].store, [self, student.learner(), trainer]
        work = store.root / "Training" / store.key("Checkpoint", 1, components, inputs)

        def make(folder: Path) -> dict[str, Any]:
            if trainer.strategy == "single":
                return self.distil(student, answered, trainer, threads, folder, work)
            start = self.start(student, answered, trainer, threads)
            return dispatched(Request(self, student, trainer, answered, start, threads, work, folder))

        checkpoint = store.train(components, inputs, make)
        shutil.rmtree(work, ignore_errors=True)
        return checkpoint

    def suits(self, student: Student) -> str | None:
        """Why this algorithm cannot train this student, in one sentence, or None if it can."""
        raise NotImplementedError

    def refuses(self, student: Student, trainer: Trainer) -> str | None:
        """Why it cannot do so in the way of this trainer, in one sentence, or None if it can."""
        reasons = [student.refuses(trainer)]
        reasons += [
            each.refuses(student, trainer) for each in nested(self) if each is not self and isinstance(each, Algorithm)
        ]
        return next((reason for reason in reasons if reason), None)
