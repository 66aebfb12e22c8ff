"""What became of each scored query: one row per query, from which every score can be computed again."""

from typing import Any

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.matches import claimed
from distiller.metrics import Truth
from distiller.pipeline import Line

#: dataset, source (teacher, student) and form (plain, one_to_one) say whose answer it is, query_id which query (internal id).
#: choice: option chosen, 0 none, -1 a reply that could not be read, -2 several candidates claimed at once (pair-wise matchers).
#: chosen_id: the candidate chosen, -1 where there is not exactly one. right: as selection accuracy counts it.
#: claimed: pairs claimed. hits: those of them that are gold. gold_candidates: gold pairs among the query's candidates.
#: gold: all gold pairs of the query. confidence: probability of the choice, NaN where unknown. options: candidates shown.
SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("source", pa.string()),
        ("form", pa.string()),
        ("query_id", pa.int64()),
        ("choice", pa.int32()),
        ("chosen_id", pa.int64()),
        ("right", pa.bool_()),
        ("claimed", pa.int8()),
        ("hits", pa.int8()),
        ("gold_candidates", pa.int16()),
        ("gold", pa.int16()),
        ("confidence", pa.float32()),
        ("options", pa.int16()),
    ]
)
FILE = "outcomes.parquet"
SEVERAL = -2


def of_run(lines: list[Line], datasets: dict[str, Any], resolver: Disambiguation) -> pa.Table:
    """The outcomes of all answers that a scorecard's `datasets` has scores of; no rows where gold is not known.

    Rows are in the order of the scorecard, then of query ids. Queries without candidates have no row: only end-to-end
    scores count their matches, which are `matches` of the scorecard less the sum of `gold`.
    """
    found = []
    for line in lines:
        card, gold = datasets[line.task.name], line.records.matches
        answered = {"teacher": (line.teacher, line.teacher_matches), "student": (line.student, line.student_matches)}
        for source, (plain, settled) in answered.items():
            for form in card.get(source, {}):
                answers = plain if form == "plain" else settled
                assert answers is not None
                assert gold is not None
                assert line.selection is not None
                scored = plain.query_ids if source == "teacher" and plain else line.selection.ids("test")
                truth = Truth.of(line.task.candidates, gold, scored)
                if form == "plain" or not resolver.SEVERAL:
                    found.append(of_answers(line.task.name, source, form, answers, truth))
                    continue
                row, candidate, _ = claimed(line.task, answers, resolver)
                pairs = np.column_stack([answers.query_ids[row], candidate])
                found.append(of_pairs(line.task.name, source, form, pairs, truth))
    return pa.concat_tables(found) if found else SCHEMA.empty_table()


def of_answers(dataset: str, source: str, form: str, answers: AnswerSet, truth: Truth) -> pa.Table:
    """The outcomes of answers to the evaluated queries of `truth`, one choice per query."""
    answers = answers.of(truth.evaluated)
    wanted, gold = _wanted(truth)
    claimed = answers.choice > 0
    hits = _hits(np.column_stack([answers.query_ids, answers.chosen_ids])[claimed], truth)
    begins = ragged.option_offsets(answers.offsets)
    known = answers.soft & (answers.choice >= 0)
    confidence = np.full(len(claimed), np.nan)
    confidence[known] = answers.distribution[begins[:-1][known] + answers.choice[known]]
    return _table(
        dataset,
        source,
        form,
        query_id=answers.query_ids,
        choice=answers.choice,
        chosen_id=answers.chosen_ids,
        right=(hits > 0) | ((answers.choice == 0) & (wanted == 0)),
        claimed=claimed,
        hits=hits,
        gold_candidates=wanted,
        gold=gold,
        confidence=confidence,
        options=np.diff(answers.offsets),
    )


def of_pairs(dataset: str, source: str, form: str, pairs: np.ndarray, truth: Truth) -> pa.Table:
    """The outcomes of a matcher that judges each pair alone: pairs (query id, candidate id), [n_claims, 2], are claimed.

    A query is right if its claims are its gold pairs among the candidates, all and only these.
    """
    pairs = pairs[np.isin(pairs[:, 0], truth.evaluated)]
    wanted, gold = _wanted(truth)
    claimed = _count(pairs, truth.evaluated)
    hits = _hits(pairs, truth)
    rows, offsets = truth.rows()
    chosen = np.full(len(truth.evaluated), -1, dtype=np.int64)
    chosen[np.searchsorted(truth.evaluated, pairs[:, 0])] = pairs[:, 1]
    chosen[claimed != 1] = -1
    shown = truth.candidates.candidate_ids[rows] == np.repeat(chosen, np.diff(offsets))
    option = ragged.first_maximum(shown, offsets) - offsets[:-1] + 1
    return _table(
        dataset,
        source,
        form,
        query_id=truth.evaluated,
        choice=np.where(claimed == 1, option, np.where(claimed == 0, 0, SEVERAL)),
        chosen_id=chosen,
        right=(hits == claimed) & (hits == wanted),
        claimed=claimed,
        hits=hits,
        gold_candidates=wanted,
        gold=gold,
        confidence=np.full(len(chosen), np.nan),
        options=np.diff(offsets),
    )


def _table(dataset: str, source: str, form: str, **columns: np.ndarray) -> pa.Table:
    whose = {"dataset": dataset, "source": source, "form": form}
    n = len(columns["query_id"])
    arrays = {**{name: [value] * n for name, value in whose.items()}, **columns}
    return pa.table({field.name: pa.array(arrays[field.name]).cast(field.type) for field in SCHEMA}, schema=SCHEMA)


def _wanted(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Gold pairs of each evaluated query among its candidates, and all of its gold pairs, both [n_queries]."""
    _, offsets = truth.rows()
    return ragged.segment_sum(truth.gold_pairs(), offsets).astype(np.int64), _count(truth.matches, truth.evaluated)


def _hits(pairs: np.ndarray, truth: Truth) -> np.ndarray:
    """How many of the claimed pairs of each evaluated query are gold, [n_queries]."""
    gold = {tuple(pair) for pair in truth.matches.tolist()}
    right = np.array([tuple(pair) in gold for pair in pairs.tolist()], dtype=bool)
    return _count(pairs[right], truth.evaluated)


def _count(pairs: np.ndarray, query_ids: np.ndarray) -> np.ndarray:
    """How many of the pairs belong to each of the ascending query ids, [n_queries]."""
    inside = pairs[np.isin(pairs[:, 0], query_ids), 0]
    return np.bincount(np.searchsorted(query_ids, inside), minlength=len(query_ids))
