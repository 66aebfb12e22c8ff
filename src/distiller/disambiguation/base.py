"""What every disambiguation does: settle conflicts between the answers of different queries."""

from typing import ClassVar

from distiller.artifacts import AnswerSet
from distiller.config import Component
from distiller.task import Task


class Disambiguation(Component):
    """Resolves answers that exclude each other, such as two queries that chose one candidate."""

    #: The name of the scores after this step on the scorecard, or None if the step changes nothing.
    FORM: str | None = "one_to_one"
    #: Whether a query may have several matches, all candidates that it holds more probable than "none".
    SEVERAL: ClassVar[bool] = False

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        """The answers with their conflicts settled: a query that loses its choice takes another option or abstains."""
        raise NotImplementedError
