"""What every distillation algorithm does: turn a teacher's answers into a trained student."""

from pathlib import Path
from typing import Any

from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import Component, declares, nested
from distiller.student.base import Student
from distiller.task import Task
from distiller.trainer import Trainer


class Algorithm(Component):
    """One way to teach a student."""

    def distil(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        """Train `student` on the answers to all tasks together and write it into `folder`.

        Returns facts about the training: queries learnt from, replies left out, what the student reports.
        """
        raise NotImplementedError

    def taught(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int
    ) -> Checkpoint:
        """What `distil` makes, kept in the store of the tasks, whoever asks for it: a run, a teacher or a warm start."""
        inputs = []
        for task, answers in answered:
            inputs += [task.features_key if declares(student, "USES_FEATURES") else task.key, answers.key]
        inputs += [found for each in nested(student) for found in each.fingerprints()]
        return answered[0][0].store.train(
            [self, student, trainer], inputs, lambda folder: self.distil(student, answered, trainer, threads, folder)
        )

    def suits(self, student: Student) -> str | None:
        """Why this algorithm cannot train this student, in one sentence, or None if it can."""
        raise NotImplementedError
