"""Leave the answers as they are."""

from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.disambiguation.base import Disambiguation
from distiller.task import Task


@component
class Keep(Disambiguation):
    """Every query keeps its choice, also where several chose one candidate: many-to-one matches stay."""

    FORM = None

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        return answers
