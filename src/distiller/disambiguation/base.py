"""What every disambiguation does: settle conflicts between the answers of different queries."""

from distiller.artifacts import AnswerSet
from distiller.config import Component
from distiller.task import Task


class Disambiguation(Component):
    """Resolves answers that exclude each other, such as two queries that chose one candidate."""

    #: The name of the scores after this step on the scorecard, or None if the step changes nothing.
    FORM: str | None = "one_to_one"

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        """The answers with their conflicts settled: a query that loses its choice takes another option or abstains."""
        raise NotImplementedError
