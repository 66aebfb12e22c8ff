"""No student at all: a teacher answers every query, so that it has a row among the students."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import component, part, uses_gold
from distiller.source import Source
from distiller.student.base import DirectStudent, Lesson
from distiller.student.calibrated import write_settings
from distiller.task import Task
from distiller.trainer import Trainer


@component
class ZeroShot(DirectStudent):
    """The baseline that asks a teacher about all queries and learns nothing: what distillation is to save.

    The answers are scored, disambiguated and timed like any student's. What the run's own `teacher` labels is not looked
    at. The budget of the run applies; queries that it leaves unanswered count as wrong.

    teacher: who is asked: a recorded language model, a live one, `zeroer` (unsupervised), `similarity` (blocking alone).
    """

    teacher: Source = part()

    @model_validator(mode="after")
    def _without_gold(self) -> "ZeroShot":
        if uses_gold(self.teacher):
            raise ValueError(
                f"zero-shot cannot ask {self.teacher.label()}, which reads gold matches; to learn from gold set "
                "teacher=gold with another student"
            )
        return self

    def label(self) -> str:
        return f"zero-shot {self.teacher.label()}"

    def reads(self, folder: Path | None) -> list[Path]:
        return self.teacher.reads(folder)

    def fit(self, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path) -> dict[str, Any]:
        write_settings(folder, {"teacher": self.teacher.label()})
        return {}

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        return self.teacher.answers(task, query_ids)
