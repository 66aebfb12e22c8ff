"""Let a query have several matches, and a candidate several queries."""

from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.disambiguation.base import Disambiguation
from distiller.task import Task


@component
class ManyToMany(Disambiguation):
    """Every candidate that its query holds more probable than "none" is a match, whatever else matches either of the two.

    For tables with duplicates within them. The choice of each answer stays the most probable option.
    """

    FORM = "many_to_many"
    SEVERAL = True

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        return answers
