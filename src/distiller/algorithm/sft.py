"""Supervised distillation: the student's distribution over the options of a query is fitted to the teacher's answer."""

from pathlib import Path
from typing import Any, Literal

from distiller.algorithm.base import Algorithm
from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.student.base import DirectStudent, Lesson, NetworkStudent, Student
from distiller.task import Task
from distiller.trainer import Trainer


@component
class SFT(Algorithm):
    """Cross-entropy over {none, 1..k}, the same objective for every student.

    labels: `hard` learns the option the teacher chose; `soft` learns its distribution where it gives one.

    Source: arXiv 2602.05452, section on supervised fine-tuning; the loss is over the answer only (fault Q26).
    """

    labels: Literal["hard", "soft"] = "hard"

    def suits(self, student: Student) -> str | None:
        return None if isinstance(student, (DirectStudent, NetworkStudent)) else f"sft cannot train {student.label()}"

    def distil(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        lessons = [Lesson.of(task, answers, soft=self.labels == "soft") for task, answers in answered]
        learnt = sum(len(lesson.query_ids) for lesson in lessons)
        asked = sum(len(answers.query_ids) for _, answers in answered)
        if isinstance(student, DirectStudent):
            facts = student.fit(lessons, trainer, threads, folder)
        else:
            assert isinstance(student, NetworkStudent)
            facts = _fit_network(student, lessons, trainer, threads, folder)
        return {"queries": learnt, "unread": asked - learnt, **facts}


def _fit_network(
    student: NetworkStudent, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path
) -> dict[str, Any]:
    import torch

    from distiller.algorithm.lightning_fit import fit
    from distiller.algorithm.sft_module import SFTModule

    torch.set_num_threads(threads)
    schooling = student.school(lessons)
    n_queries = len(schooling.tensors["fold"])
    steps = student.epochs * -(-n_queries // student.batch_size)
    module = SFTModule(schooling.network, student.learning_rate, student.weight_decay, steps)
    fit(module, schooling.tensors, student, trainer)
    facts = schooling.save(module.held_out.numpy(), folder)
    return {**facts, "curve": module.curve}
