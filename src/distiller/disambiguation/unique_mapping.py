"""Greedy one-to-one matching: the strongest claim on a candidate wins."""

from typing import ClassVar

import numpy as np

from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.claims import Claims, settled
from distiller.task import Task


@component
class UniqueMapping(Disambiguation):
    """Unique mapping clustering on the answers' own probabilities, strongest first.

    A claim is an option that its query holds more probable than "none". Claims are accepted in order of strength while
    both ends are free; ties go to the smaller query id, then the earlier option. A query left without a claim abstains.
    The reference accepts the weakest claims first (fault Q4).

    Source: unique mapping clustering, Lacoste-Julien et al. 2013 (SiGMa).
    """

    VERSION: ClassVar[int] = 2  # a choice that changed loses the rationale of the one before

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        claims = Claims.of(task, answers)
        query_free = np.ones(len(answers.query_ids), dtype=bool)
        candidate_free = np.ones(claims.n_candidates, dtype=bool)
        choice = np.where(answers.choice > 0, 0, answers.choice)
        order = np.lexsort((claims.option, claims.query, -claims.strength))
        # One pass over sorted claims is inherently sequential: whether a claim is free depends on the ones before.
        for query, candidate, option in zip(
            claims.query[order].tolist(), claims.candidate[order].tolist(), claims.option[order].tolist(), strict=True
        ):
            if query_free[query] and candidate_free[candidate]:
                query_free[query] = candidate_free[candidate] = False
                choice[query] = option
        return settled(answers, choice)
