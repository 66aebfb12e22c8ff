"""What a log gets of a run besides its numbers: errors with their texts, calibration, training, keys."""

from typing import Any

import numpy as np
import pyarrow as pa

from distiller import outcomes
from distiller.disambiguation.base import Disambiguation
from distiller.logger.base import OpenLog
from distiller.pipeline import Line
from distiller.records import rows_of
from distiller.report.page import curves
from distiller.report.reliability import reliability
from distiller.report.slices import texts

ROWS, LONGEST = 100, 500
ERRORS = ["dataset", "query_id", "query", "student said", "chosen candidate", "right candidate", "probability"]


def log_findings(log: OpenLog, card: dict[str, Any], lines: list[Line], resolver: Disambiguation) -> None:
    """Tables, plots and facts of a finished run.

    `errors/<dataset>`: the student's wrong answers, at most 100, those it was surest of first. `calibration`: share right over
    probability of its answers, all datasets together. `training`: its losses step by step. Facts: keys, commit, versions.
    """
    scored = outcomes.of_run(lines, card["datasets"], resolver)
    for line in lines:
        if rows := errors(line, scored):
            log.table(f"errors/{line.task.name}", ERRORS, rows)
    plain = _of(scored, "student", "plain")
    bins = reliability(plain["confidence"].to_numpy(), plain["right"].to_numpy()) if plain.num_rows else []
    if bins:
        rows = [[each.confidence, each.right, each.count, each.low, each.high] for each in bins]
        log.plot(
            "calibration", ["probability", "share right", "answers", "low", "high"], rows, "Are probabilities true?"
        )
    trained = next((line.checkpoint.facts for line in lines if line.checkpoint is not None), {})
    for name, points in curves(trained).items():
        log.plot(f"training/{name}", ["step", "loss"], [list(point) for point in points], f"Loss on {name}")
        for step, loss in points:
            log.numbers({f"loss/{name}": loss}, step=int(step))
    log.facts(
        {
            "keys": {name: dataset.get("keys", {}) for name, dataset in card["datasets"].items()},
            **{name: card[name] for name in ("commit", "versions", "uses_gold") if name in card},
        }
    )


def errors(line: Line, scored: pa.Table) -> list[list[Any]]:
    """Rows of `ERRORS` for one dataset, from outcomes of a run: final answers of the student that are wrong."""
    own = scored.filter(pa.array([name == line.task.name for name in scored["dataset"].to_pylist()], pa.bool_()))
    final = (
        _of(own, "student", "one_to_one")
        if _of(own, "student", "one_to_one").num_rows
        else _of(own, "student", "plain")
    )
    wrong = final.filter(pa.array(~final["right"].to_numpy()))
    sure = np.nan_to_num(wrong["confidence"].to_numpy().astype(float), nan=-1.0)
    shown = wrong.take(pa.array(np.lexsort((wrong["query_id"].to_numpy(), -sure))[:ROWS])).to_pylist()
    records, matches = line.records, line.records.matches
    if not shown or matches is None:
        return []
    right: dict[int, list[int]] = {}
    for query, candidate in zip(matches["query_id"].to_pylist(), matches["candidate_id"].to_pylist(), strict=True):
        right.setdefault(query, []).append(candidate)
    said = {0: "none", -1: "unread", outcomes.SEVERAL: "several"}
    queries = _texts(records.queries, [row["query_id"] for row in shown])
    wanted = [*(row["chosen_id"] for row in shown), *(c for row in shown for c in right.get(row["query_id"], []))]
    candidates = _texts(records.candidates, [each for each in wanted if each >= 0])
    return [
        [
            row["dataset"],
            row["query_id"],
            queries[row["query_id"]],
            said.get(row["choice"], "a candidate"),
            candidates.get(row["chosen_id"], ""),
            " | ".join(candidates[each] for each in right.get(row["query_id"], [])),
            float(row["confidence"]),
        ]
        for row in shown
    ]


def _of(scored: pa.Table, source: str, form: str) -> pa.Table:
    keep = [
        s == source and f == form for s, f in zip(scored["source"].to_pylist(), scored["form"].to_pylist(), strict=True)
    ]
    return scored.filter(pa.array(keep, pa.bool_()))


def _texts(table: pa.Table, ids: list[int]) -> dict[int, str]:
    """Text of records by id, cut to 500 characters."""
    wanted = np.unique(np.array(ids, dtype=np.int64))
    rows = table.take(pa.array(rows_of(table["id"].to_numpy(), wanted, "records")))
    return {int(i): each[:LONGEST] for i, each in zip(wanted, texts(rows), strict=True)}
