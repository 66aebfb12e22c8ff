"""The Lightning module that teaches a language model an answer and, after it, a rationale."""

from torch import Tensor

from distiller.algorithm.course import Batch, Course
from distiller.algorithm.sft_module import OptionLoss
from distiller.student.base import Classroom


class RationaleCourse(Course):
    """The loss of a query is that of its answer plus `weight` times the mean loss of a token of its rationale.

    The mean is over the rationale of the most probable option of the target, the end of the turn included; a query without one
    has the loss of its answer alone. So has the agreement, and with weight 0 every loss.
    """

    def __init__(self, classroom: Classroom, loss: OptionLoss, weight: float):
        """loss: of the answer, as `Course` takes it."""
        super().__init__(classroom, loss)
        self.weight = weight

    def losses(self, batch: Batch) -> Tensor:
        return self.judged(batch)[1]

    def judged(self, batch: Batch) -> tuple[Tensor, Tensor]:
        said = self.model.replies(batch)
        of_answers = self.loss(said.answers, batch["target"])
        return said.answers, of_answers + self.weight * said.rationale_losses(batch["target"])
