"""Errors by slice: what queries have in common that are answered wrongly more often than others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import CandidateSet
from distiller.records import Records, rows_of
from distiller.report.reliability import interval

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LISTS = {"1 candidate": 1, "2 or 3 candidates": 3, "4 to 6 candidates": 6, "7 to 9 candidates": 9}
MARGINS = {"two candidates about equally similar (within .05)": 0.05, "a clear best candidate (.05 to .2)": 0.2}


@dataclass(frozen=True)
class Slice:
    """Queries with something in common, by a view on them.

    count, wrong: queries, and how many of them were answered wrongly. low, high: 95 % interval of their share (Wilson).
    """

    view: str
    name: str
    count: int
    wrong: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Share answered wrongly, in [0, 1]."""
        return self.wrong / self.count


def memberships(records: Records, candidates: CandidateSet, query_ids: np.ndarray) -> dict[str, np.ndarray]:
    """Which slice each query belongs to, view by view; names, [n_queries]. Gold is not looked at.

    Views: values missing in the query, length of its candidate list, whether numbers of the query stand in the most similar
    candidate, and how far the most similar candidate is ahead of the next.
    """
    rows, offsets = candidates.of(query_ids)
    similarity = candidates.similarity[rows].astype(float)
    best = candidates.candidate_ids[rows[ragged.first_maximum(similarity, offsets)]]
    queries = records.queries.take(pa.array(rows_of(records.query_ids, query_ids, "queries")))
    nearest = records.candidates.take(pa.array(rows_of(records.candidate_ids, best, "candidates")))
    two = ragged.top_two(similarity, offsets)
    return {
        "values missing in the query": _missing(records.queries, queries),
        "length of the candidate list": _named(np.diff(offsets), LISTS, "10 candidates or more"),
        "numbers of the query and its most similar candidate": np.array(
            [_numbers(a, b) for a, b in zip(texts(queries), texts(nearest), strict=True)], dtype=object
        ),
        "lead of the most similar candidate": np.where(
            np.diff(offsets) == 1, "no other candidate", _named(two[:, 0] - two[:, 1], MARGINS, "far ahead (over .2)")
        ),
    }


def truths(gold_candidates: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """What is true of each query: names, [n_queries]."""
    return np.where(
        gold_candidates > 0,
        "its match is among the candidates",
        np.where(gold > 0, "its match was lost by blocking", "it has no match"),
    ).astype(object)


def slices(views: dict[str, np.ndarray], wrong: np.ndarray) -> list[Slice]:
    """Every slice that holds queries, views in their order, the worst slice of each first.

    views: view -> name of the slice of each query, [n_queries]. wrong: whether each was answered wrongly, [n_queries].
    """
    found = []
    for view, names in views.items():
        own = []
        for name in dict.fromkeys(names.tolist()):
            inside = names == name
            n, errors = int(inside.sum()), int(wrong[inside].sum())
            own.append(Slice(view, str(name), n, errors, *interval(errors, n)))
        found += sorted(own, key=lambda each: (-each.rate, each.name))
    return found


def texts(table: pa.Table) -> list[str]:
    """All values of each record, joined by blanks."""
    columns = [table[name].to_pylist() for name in table.column_names if name != "id"]
    return [" ".join(value for value in row if value) for row in zip(*columns, strict=True)]


def _missing(everyone: pa.Table, queries: pa.Table) -> np.ndarray:
    """Attributes that no record has a value of are not missed."""
    used = [n for n in everyone.column_names if n != "id" and everyone[n].null_count < everyone.num_rows]
    count = sum((queries[name].is_null().to_numpy().astype(int) for name in used), np.zeros(queries.num_rows, int))
    return _named(count, {"none": 0, "one": 1, "two": 2}, "three or more")


def _named(values: np.ndarray, limits: Mapping[str, float], rest: str) -> np.ndarray:
    """The first name whose limit a value does not exceed, else `rest`."""
    return np.select([values <= limit for limit in limits.values()], list(limits), rest).astype(object)


def _numbers(query: str, candidate: str) -> str:
    own, other = set(NUMBER.findall(query)), set(NUMBER.findall(candidate))
    if not own or not other:
        return "one of them has no number"
    if own == other:
        return "the same numbers"
    return "some numbers shared" if own & other else "numbers differ, none shared"
