"""The pairs that settled answers hold for matches, as a table for people."""

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.claims import Claims
from distiller.records import Records
from distiller.task import Task


def claimed(task: Task, answers: AnswerSet, resolver: Disambiguation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pair that is held for a match: row of its answer, candidate id, probability, [n_matches] each.

    Where a query has one answer the probability is that of its choice. Where it may have several, a pair is a match if its
    option is more probable than "none", and its probability is that against "none" alone, p / (p + p_none).
    """
    if resolver.SEVERAL:
        claims = Claims.of(task, answers)
        places = answers.offsets[:-1][claims.query] + claims.option - 1
        return claims.query, answers.option_ids[places], 1 / (1 + np.exp(-claims.gain))
    chosen = np.flatnonzero(answers.choice > 0)
    begins = ragged.option_offsets(answers.offsets)[:-1]
    return chosen, answers.chosen_ids[chosen], answers.distribution[(begins + answers.choice)[chosen]]


def matches(task: Task, answers: AnswerSet, resolver: Disambiguation) -> pa.Table:
    """query_id, candidate_id (text, as in the user's tables), probability in [0, 1], and rationale where there are any.

    Duplicates within one table are listed once, the record that comes first in the order of ids as the query, with the more
    probable of the two answers.
    """
    row, candidate, probability = claimed(task, answers, resolver)
    query = answers.query_ids[row]
    if task.records.one_table:
        first, second = np.minimum(query, candidate), np.maximum(query, candidate)
        order = np.lexsort((-probability, second, first))
        kept = order[np.r_[True, (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)][: len(order)]]
        row, query, candidate, probability = row[kept], first[kept], second[kept], probability[kept]
    found = pa.table({**_ids(task.records, query, candidate), "probability": probability.round(6)})
    told = answers.table["rationale"]
    if told.null_count == len(told):
        return found
    return found.append_column("rationale", told.take(pa.array(row)))


def _ids(records: Records, query: np.ndarray, candidate: np.ndarray) -> dict[str, pa.Array]:
    return {
        "query_id": _named(query, records.query_ids, records.query_names),
        "candidate_id": _named(candidate, records.candidate_ids, records.candidate_names),
    }


def _named(ids: np.ndarray, all_ids: np.ndarray, names: pa.Array | None) -> pa.Array:
    named = pa.array(ids) if names is None else names.take(pa.array(np.searchsorted(all_ids, ids)))
    return (named.combine_chunks() if isinstance(named, pa.ChunkedArray) else named).cast(pa.string())
