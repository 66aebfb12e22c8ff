"""What the algorithms share that fit a student's distribution over the options to a target, whatever the student is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiller.algorithm.base import Algorithm
from distiller.artifacts import AnswerSet
from distiller.student.base import DirectStudent, GradientStudent, Lesson, NetworkStudent, Student
from distiller.student.language import Language
from distiller.task import Task
from distiller.trainer import Trainer

if TYPE_CHECKING:
    from distiller.algorithm.sft_module import OptionLoss


class ByLoss(Algorithm):
    """Minimises a loss of the student's log-probabilities against the target."""

    def lessons(self, answered: list[tuple[Task, AnswerSet]]) -> list[Lesson]:
        """What is to be learnt."""
        raise NotImplementedError

    def loss(self) -> "OptionLoss":
        """The loss of each query, in torch."""
        raise NotImplementedError

    def cross_entropy(self, lessons: list[Lesson]) -> bool:
        """Whether options without a share in the target have no part in the loss of a language model."""
        return False

    def distil(
        self, student: Student, answered: list[tuple[Task, AnswerSet]], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        lessons = self.lessons(answered)
        learnt = sum(len(lesson.query_ids) for lesson in lessons)
        asked = sum(len(answers.query_ids) for _, answers in answered)
        if isinstance(student, DirectStudent):
            facts = student.fit(lessons, trainer, threads, folder)
        elif isinstance(student, NetworkStudent):
            facts = self._fit_network(student, lessons, trainer, threads, folder)
        else:
            assert isinstance(student, GradientStudent)
            facts = self._teach(student, lessons, trainer, threads, folder)
        return {"queries": learnt, "unread": asked - learnt, **facts}

    def _fit_network(
        self, student: NetworkStudent, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        import torch

        from distiller.algorithm.lightning_fit import fit
        from distiller.algorithm.sft_module import SFTModule

        torch.set_num_threads(threads)
        schooling = student.school(lessons)
        n_queries = len(schooling.tensors["fold"])
        steps = student.epochs * -(-n_queries // student.batch_size)
        module = SFTModule(schooling.network, student.learning_rate, student.weight_decay, steps, self.loss())
        fit(module, schooling.tensors, student, trainer)
        facts = schooling.save(module.held_out.numpy(), folder)
        return {**facts, "curve": module.curve}

    def _teach(
        self, student: GradientStudent, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path
    ) -> dict[str, Any]:
        import torch

        from distiller.algorithm.course import Course
        from distiller.algorithm.lightning_fit import teach

        torch.set_num_threads(threads)
        torch.manual_seed(student.seed)
        if isinstance(student, Language):
            classroom = student.classroom(lessons, trainer, threads, taught=self.cross_entropy(lessons))
        else:
            classroom = student.classroom(lessons, trainer, threads)
        course = Course(classroom, self.loss())
        teach(course, trainer)
        return {**classroom.save(folder), "curve": course.curve, "agreement": course.agreement}
