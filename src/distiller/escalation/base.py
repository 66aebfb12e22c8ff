"""What every escalation decides: which queries a second opinion is asked about after the student has answered."""

from typing import ClassVar

import numpy as np

from distiller.artifacts import AnswerSet
from distiller.config import Component
from distiller.task import Task


class Escalation(Component):
    """Replaces some of the student's answers by those of somebody else."""

    #: Whether anybody is asked at all; if not, the student's answers pass through and nothing is kept in the store.
    ASKS: ClassVar[bool] = True

    def escalate(self, task: Task, answers: AnswerSet, labelled: np.ndarray) -> AnswerSet:
        """The student's answers to all queries, some of them replaced.

        labelled: ids of the queries the student has learnt from, ascending; it answers these better than others, so
        they say nothing about how good it is. `facts` of the result say what was asked and what is guaranteed.
        """
        raise NotImplementedError
