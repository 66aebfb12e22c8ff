"""Which options the queries claim, and how strongly."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distiller import ragged
from distiller.artifacts import AnswerSet, Parse
from distiller.task import Task


@dataclass(frozen=True)
class Claims:
    """One entry per claim: an option its query holds more probable than "none"; or the bare choice where that is all.

    query: index into the answers. candidate: index in 0..n_candidates-1. option: 1..k. strength: orders claims, larger is
    stronger. gain: log(p / p_none) > 0.
    """

    query: np.ndarray
    candidate: np.ndarray
    option: np.ndarray
    strength: np.ndarray
    gain: np.ndarray
    n_candidates: int

    @classmethod
    def of(cls, task: Task, answers: AnswerSet) -> "Claims":
        """Claims of all answers. Answers without probabilities claim their choice with the blocking similarity of it."""
        offsets, whose = answers.offsets, ragged.owner(answers.offsets)
        option = np.arange(len(whose)) - offsets[:-1][whose] + 1
        probability = ragged.without_none(answers.distribution, offsets)
        none = answers.distribution[ragged.option_offsets(offsets)[:-1]][whose]
        if not answers.soft.all():
            similarity = _similarities(task, answers, whose)
            hard = ~answers.soft[whose]
            chosen = option == answers.choice[whose]
            probability = np.where(hard, np.where(chosen, 0.5 + similarity / 2, 0.0), probability)
            none = np.where(hard, np.where(chosen, 0.5 - similarity / 2, 1.0), none)
        # The chosen option is a claim even if rounding made it a tie with "none".
        claim = (answers.choice[whose] > 0) & ((probability > none) | (option == answers.choice[whose]))
        candidates, candidate = np.unique(answers.option_ids[claim], return_inverse=True)
        tiny = np.finfo(np.float32).tiny
        gain = np.log(np.maximum(probability[claim], tiny)) - np.log(np.maximum(none[claim], tiny))
        return cls(whose[claim], candidate, option[claim], probability[claim], np.maximum(gain, 0.0), len(candidates))


def _similarities(task: Task, answers: AnswerSet, whose: np.ndarray) -> np.ndarray:
    """Blocking similarity of every option of every answer, [n_pairs]."""
    pairs, offsets = task.candidates.of(answers.query_ids)
    keys = np.lexsort((task.candidates.candidate_ids[pairs], ragged.owner(offsets)))
    wanted = np.lexsort((answers.option_ids, whose))
    similarity = np.empty(len(whose))
    similarity[wanted] = task.candidates.similarity[pairs][keys]
    return similarity


def settled(answers: AnswerSet, choice: np.ndarray) -> AnswerSet:
    """The same answers with other choices; distributions stay as they were.

    A rationale speaks for the choice that it was given for: another choice has its own justification, or none.
    """
    column = pa.array(choice, pa.int16(), mask=choice < 0)
    parse = pa.array(np.where(choice < 0, Parse.FAILED.value, answers.table["parse"].to_numpy(zero_copy_only=False)))
    place = answers.table.column_names
    table = answers.table.set_column(place.index("choice"), "choice", column)
    told = answers.table.select(["rationale", "justifications"]).to_pydict()
    if any(text is not None for text in told["rationale"]):
        for i in np.flatnonzero(choice != answers.choice).tolist():
            justified = told["justifications"][i]
            told["rationale"][i] = justified[choice[i]] if justified and choice[i] >= 0 else None
        table = table.set_column(place.index("rationale"), "rationale", pa.array(told["rationale"], pa.string()))
    return AnswerSet(table.set_column(place.index("parse"), "parse", parse), answers.key)


def conditioned(answers: AnswerSet) -> AnswerSet:
    """Settled answers whose distributions agree with their choices, so that they can be learnt from as soft labels.

    An option that is more probable than the choice was lost to another query: its probability is taken away and the rest
    scaled up to sum to 1, which is the distribution given that these options are excluded. A choice of probability 0 gets
    all of it.
    """
    begins = ragged.option_offsets(answers.offsets)
    whose = ragged.owner(begins)
    known = answers.choice >= 0
    chosen = np.where(known, begins[:-1] + answers.choice, begins[:-1])
    kept = np.where(
        known[whose] & (answers.distribution > answers.distribution[chosen][whose]), 0.0, answers.distribution
    )
    empty = known & (answers.distribution[chosen] <= 0)
    kept[chosen[empty]] = 1.0
    kept /= ragged.segment_sum(kept, begins)[whose]
    lists = pa.ListArray.from_arrays(pa.array(begins, pa.int32()), pa.array(kept, pa.float32()))
    column = pc.if_else(pa.array(answers.soft), lists, pa.nulls(len(known), lists.type))
    place = answers.table.column_names.index("distribution")
    return AnswerSet(answers.table.set_column(place, "distribution", column), answers.key)
