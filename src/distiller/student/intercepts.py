"""How readily a student abstains on each dataset it learns from, where held-out teacher answers bear such a difference out."""

from typing import Any

import numpy as np

from distiller import ragged
from distiller.student import listwise
from distiller.student.base import Lesson

STIFFNESS = (
    2.0  # the penalty of a shift is this times its square: a Gaussian prior of variance 1/4 around the common one
)
FURTHEST = 2.0  # nats


def intercepts(lessons: list[Lesson], logits: np.ndarray, fold: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """What to add to the logits of each dataset's pairs, in nats, by its name; and the logits so shifted.

    logits: of all lessons' pairs, calibrated in common, by models that have not seen the query, [n_pairs]. fold: of each
    query, [n_queries]. Nothing is added where there is one dataset, or where shifts fitted on the answers of the other
    folds do not make those of a fold more likely. The logits that come back, [n_pairs], have the shifts of other folds.
    """
    names = list(dict.fromkeys(lesson.task.name for lesson in lessons))
    if len(names) < 2:
        return {}, logits
    number = np.repeat([names.index(each.task.name) for each in lessons], [len(each.query_ids) for each in lessons])
    offsets = np.r_[0, np.cumsum(np.concatenate([np.diff(e.task.candidates.of(e.query_ids)[1]) for e in lessons]))]
    target = np.concatenate([lesson.target for lesson in lessons])
    unseen = np.zeros(len(logits))
    for k in np.unique(fold):
        shift = _fitted(logits, target, offsets, number, len(names), fold != k)
        rows, inner = ragged.rows_within(offsets, np.flatnonzero(fold == k))
        unseen[rows] = shift[number[fold == k]][ragged.owner(inner)]
    before, after = (
        listwise.cross_entropy(logits + each, target, offsets).mean() for each in (np.zeros(len(logits)), unseen)
    )
    if after >= before:
        return {}, logits
    fitted = _fitted(logits, target, offsets, number, len(names), np.ones(len(fold), bool))
    return dict(zip(names, fitted.tolist(), strict=True)), logits + unseen


def _fitted(
    logits: np.ndarray, target: np.ndarray, offsets: np.ndarray, number: np.ndarray, count: int, among: np.ndarray
) -> np.ndarray:
    """The most probable shift of each dataset given these queries, [count]; 0 for one without any."""
    from scipy.optimize import minimize_scalar

    shift = np.zeros(count)
    for i in range(count):
        queries = np.flatnonzero(among & (number == i))
        if not len(queries):
            continue
        rows, inner = ragged.rows_within(offsets, queries)
        options, _ = ragged.rows_within(ragged.option_offsets(offsets), queries)
        own, wanted = logits[rows], target[options]

        def loss(x: float, own: np.ndarray = own, wanted: np.ndarray = wanted, inner: np.ndarray = inner) -> float:
            return float(listwise.cross_entropy(own + x, wanted, inner).sum() + STIFFNESS * x**2)

        shift[i] = minimize_scalar(loss, bounds=(-FURTHEST, FURTHEST), method="bounded").x
    return shift


def calibration_for(settings: dict[str, Any], name: str) -> listwise.Calibration:
    """The calibration of a trained student for the dataset of this name; the common one where it learnt from none such."""
    return listwise.Calibration(settings["scale"], settings["shift"] + settings["intercepts"].get(name, 0.0))
