"""What the algorithms share that fit a student's distribution over the options to a target, whatever the student is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiller.algorithm.base import Algorithm, Teaching
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.student.base import DirectStudent, GradientStudent, Lesson, NetworkStudent, Student
from distiller.student.language import Language
from distiller.task import Task
from distiller.trainer import Place, Trainer

if TYPE_CHECKING:
    from distiller.algorithm.sft_module import OptionLoss


class ByLoss(Algorithm):
    """Minimises a loss of the student's log-probabilities against the target.

    rationale_weight: of the loss of the teacher's rationale, for students that learn to explain.
    """

    rationale_weight: float

    def weighs_nothing(self, student: Student) -> str | None:
        """Why `rationale_weight` would have no effect on this student, where one was set; None otherwise."""
        if self.rationale_weight == 1 or (isinstance(student, Language) and student.explains):
            return None
        return (
            f"algorithm.rationale_weight={self.rationale_weight:g} weighs rationales, and {student.label()} learns none: leave "
            "it at 1, or choose a language model with elicitation@student.elicitation=explain"
        )

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
        self,
        student: Student,
        answered: list[tuple[Task, AnswerSet]],
        trainer: Trainer,
        threads: int,
        folder: Path,
        work: Path | None = None,
    ) -> dict[str, Any]:
        if isinstance(student, GradientStudent):
            from distiller.algorithm.lightning_fit import teach

            teaching = self.teaching(student, answered, trainer, threads, None)
            teach(teaching.course, trainer, work)
            return teaching.report(folder)
        lessons = self.lessons(answered)
        if isinstance(student, DirectStudent):
            facts = student.fit(lessons, trainer, threads, folder)
        else:
            assert isinstance(student, NetworkStudent)
            facts = self._fit_network(student, lessons, trainer, threads, folder)
        return {**counted(lessons, answered), **facts}

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

        from distiller.algorithm.course import Course
        from distiller.algorithm.rationale_course import RationaleCourse

        lessons = self.lessons(answered)
        torch.set_num_threads(threads)
        torch.manual_seed(student.seed)
        if isinstance(student, Language):
            classroom = student.classroom(lessons, trainer, threads, taught=self.cross_entropy(lessons))
        else:
            classroom = student.classroom(lessons, trainer, threads)
        if isinstance(student, Language) and student.explains:
            course: Course = RationaleCourse(classroom.at(place), self.loss(), self.rationale_weight)
        else:
            course = Course(classroom.at(place), self.loss())

        def report(folder: Path) -> dict[str, Any]:
            facts = {**counted(lessons, answered), **classroom.save(folder)}
            return {**facts, "curve": course.curve, "agreement": course.agreement}

        return Teaching(course, report)


def counted(lessons: list[Lesson], answered: list[tuple[Task, AnswerSet]]) -> dict[str, Any]:
    """How many queries are learnt from, and how many answers could not be read."""
    learnt = sum(len(lesson.query_ids) for lesson in lessons)
    return {"queries": learnt, "unread": sum(len(answers.query_ids) for _, answers in answered) - learnt}
