"""A small model as teacher: taught on a share of another teacher's answers, it answers the rest."""

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from distiller.algorithm.base import Algorithm
from distiller.artifacts import AnswerSet
from distiller.budget import Forecast, total_spent
from distiller.config import component, part
from distiller.student.base import Student
from distiller.task import Task
from distiller.teacher.base import Teacher
from distiller.trainer import Trainer


@component
class Trained(Teacher):
    """The source, such as a large language model, answers a share of the queries; a student taught on it answers the rest.

    The share is drawn by query, never by pair (fault Q5), so the source is asked exactly as many queries as the share says
    (fault Q6). Its answers are kept as they came, and every query has one answer (fault Q7). What the source did not answer,
    or not readably, the student answers too. One student is taught per dataset, while the reference pools its datasets.

    share: fraction of the queries that the source is asked. least: it is asked at least so many, or all if there are fewer.
    seed: of the draw, which depends on it and on the queries' ids alone.

    Source: arXiv 2602.05452, small language models as teachers.
    """

    source: Teacher = part()
    student: Student = part()
    algorithm: Algorithm = part()
    trainer: Trainer = part()
    share: Annotated[float, Field(gt=0, le=1)] = 0.2
    least: Annotated[int, Field(ge=2)] = 20
    seed: int = 1924

    @model_validator(mode="after")
    def _algorithm_suits_student(self) -> "Trained":
        reason = self.algorithm.suits(self.student) or self.algorithm.refuses(self.student, self.trainer)
        if reason:
            raise ValueError(reason)
        return self

    def label(self) -> str:
        return f"{self.student.label()}<-{self.source.label()}"

    def reads(self, folder: Path | None) -> list[Path]:
        return self.source.reads(folder)

    def forecast(self, task: Task, query_ids: np.ndarray) -> Forecast | None:
        return self.source.forecast(task, self.drawn(query_ids))

    def drawn(self, query_ids: np.ndarray) -> np.ndarray:
        """The queries that the source is asked, ascending: those whose ids have the smallest hashes under the seed."""
        size = max(math.ceil(self.share * len(query_ids) - 1e-9), self.least)
        ranked = sorted(query_ids.tolist(), key=lambda query: hashlib.sha256(f"{self.seed}:{query}".encode()).digest())
        return np.sort(np.array(ranked[:size], dtype=np.int64))

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        taught = self.source.answers(task, self.drawn(query_ids), gold)
        kept = taught.of(taught.query_ids[taught.choice >= 0])
        rest = np.setdiff1d(query_ids, kept.query_ids)
        facts: dict[str, Any] = {
            **total_spent([taught.facts]),
            **{name: taught.facts[name] for name in ("currency", "stopped", "incomplete") if taught.facts.get(name)},
            "kept": len(kept.query_ids),
            "answered_by_student": len(rest),
        }
        tables = [kept.table]
        if len(rest):
            checkpoint = self.algorithm.taught(self.student, [(task, taught)], self.trainer, task.threads)
            facts["training_seconds"] = checkpoint.seconds
            tables.append(self.student.answer(checkpoint, task, rest, self.trainer, task.threads).table)
        table = pa.concat_tables(tables)
        source = pa.array([self.label()] * table.num_rows, pa.string())
        made = AnswerSet(table.set_column(table.column_names.index("source"), "source", source))
        made.facts = facts
        return made
