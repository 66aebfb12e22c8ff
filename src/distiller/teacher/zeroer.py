"""A teacher without any model: matches and non-matches are told apart as two clouds of similarities."""

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, component, nearest
from distiller.student import listwise
from distiller.task import Task
from distiller.teacher.base import Teacher


@component
class ZeroER(Teacher):
    """Expectation-maximisation of a two-component mixture over similarity features, without a single label.

    Each component is a Gaussian with independent features (scikit-learn's naive Bayes is the M-step). Unlike the source,
    the E-step is list-wise: at most one candidate of a query matches, so the components' likelihood ratios compete in one
    softmax with "none", whose prior is learnt as well. It starts from the best candidates of the more similar half of
    all queries.

    features: names of the similarities the mixture is over. tolerance: stop once no responsibility moves by more.

    Source: ZeroER, Wu et al. 2020 (SIGMOD), section 3; the list-wise E-step is ours.
    """

    USES_FEATURES = True

    features: tuple[str, ...] = (
        "key.word_cosine",
        "key.gram_cosine",
        "key.soft_cover",
        "key.set_ratio",
        "all.word_cosine",
        "all.gram_cosine",
        "all.containment",
        "attribute.weighted",
        "key.gram_cosine.query_gap",
        "all.gram_cosine.query_gap",
        "all.word_cosine.candidate_gap",
    )
    iterations: Annotated[int, Field(ge=1)] = 200
    tolerance: Annotated[float, Field(gt=0)] = 1e-4

    def label(self) -> str:
        return "zeroer"

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        everywhere = self.distribution(task)
        begins = ragged.option_offsets(task.candidates.offsets)
        asked = np.searchsorted(task.candidates.query_ids, query_ids)
        options, taken = ragged.rows_within(begins, asked)
        pairs, offsets = task.candidates.of(query_ids)
        distribution = everywhere[options]
        choice = ragged.first_maximum(distribution, taken) - taken[:-1]
        return AnswerSet.make(
            self.label(), query_ids, task.candidates.candidate_ids[pairs], offsets, choice, distribution
        )

    def distribution(self, task: Task) -> np.ndarray:
        """Probabilities of the options of every query of the task, [n_pairs + n_queries], "none" first."""
        from sklearn.naive_bayes import GaussianNB

        offsets = task.candidates.offsets
        x = _standardised(self._columns(task))
        match = _start(x, offsets)
        both = np.concatenate([x, x])
        classes = np.repeat([0, 1], len(x))
        # P(some candidate matches), spread evenly over the candidates of a query, is the prior of each of them.
        spread = np.log(np.diff(offsets))[ragged.owner(offsets)]
        if np.abs(x).max(initial=0.0) < 1e-9:
            # Pairs that are all alike tell nothing: "none" is as probable as all candidates of a query together.
            return listwise.probabilities(-spread, offsets)
        distribution = np.zeros(0)
        for _ in range(self.iterations):
            weights = np.r_[1 - match, match] + 1e-9
            bayes = GaussianNB(priors=[0.5, 0.5], var_smoothing=1e-3).fit(both, classes, sample_weight=weights)
            ratio = np.diff(bayes.predict_joint_log_proba(x), axis=1)[:, 0]
            prior = float(np.clip(ragged.segment_sum(match, offsets).mean(), 0.02, 0.98))
            distribution = listwise.probabilities(ratio + np.log(prior / (1 - prior)) - spread, offsets)
            before, match = match, ragged.without_none(distribution, offsets)
            if np.abs(match - before).max() < self.tolerance:
                break
        return distribution

    def _columns(self, task: Task) -> np.ndarray:
        names = task.features.names
        for name in self.features:
            if name not in names:
                raise DistillerError(f"teacher.features: there is no feature {name!r}{nearest(name, names)}")
        return np.nan_to_num(task.features.matrix[:, [names.index(name) for name in self.features]].astype(float))


def _standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / np.maximum(x.std(0), 1e-3)


def _start(x: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """1 for the best candidate of each query in the more similar half of the queries, else 0, [n_pairs]."""
    score = x.mean(1)
    best = ragged.first_maximum(score, offsets)
    match = np.zeros(len(x))
    match[best[score[best] >= np.median(score[best])]] = 1.0
    return match
