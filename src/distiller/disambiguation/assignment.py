"""Optimal one-to-one matching: the assignment under which all answers together are most probable."""

from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from distiller.artifacts import AnswerSet
from distiller.config import component
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.claims import Claims, settled
from distiller.task import Task

LEAST_GAIN = 1e-9


@component
class Assignment(Disambiguation):
    """The one-to-one matching of claims that maximises the sum of log(p / p_none).

    A claim is an option that its query holds more probable than "none", or its choice where both are equally probable.
    A query may abstain, at gain 0.
    Solved exactly by scipy (LAPJVsp on the sparse graph of claims).
    """

    VERSION: ClassVar[int] = 2  # a choice that changed loses the rationale of the one before

    def resolve(self, task: Task, answers: AnswerSet) -> AnswerSet:
        claims = Claims.of(task, answers)
        choice = np.where(answers.choice > 0, 0, answers.choice)
        if len(claims.query):
            # Every query gets a private column for "abstain", so that a full matching exists. A cost of 0 would be no
            # edge: all costs are shifted by one constant, which every full matching pays equally often.
            asking, row = np.unique(claims.query, return_inverse=True)
            private = np.arange(len(asking))
            shift = claims.gain.max() + 1.0
            # A choice as probable as "none" gains nothing, but is kept where nobody else wants it.
            costs = np.r_[shift - np.maximum(claims.gain, LEAST_GAIN), np.full(len(asking), shift)]
            rows, columns = np.r_[row, private], np.r_[claims.candidate, claims.n_candidates + private]
            graph = csr_array((costs, (rows, columns)), shape=(len(asking), claims.n_candidates + len(asking)))
            options = csr_array((claims.option, (row, claims.candidate)), shape=graph.shape)
            taken = min_weight_full_bipartite_matching(graph)
            choice[asking[taken[0]]] = options[taken]
        return settled(answers, choice)
