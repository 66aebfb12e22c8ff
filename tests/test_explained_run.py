"""A whole run whose student explains, and one whose teacher would tell what is to be scored."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conformance import TINY, built
from engine.tiny_model import tiny_checkpoint
from rich.console import Console

from distiller import pipeline, scorecard
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, component
from distiller.logger.none import NoLogger
from distiller.rationale.scores import score_rationales, summary
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.gold import Gold
from distiller.tracking import Tracker

pytestmark = pytest.mark.filterwarnings("ignore")


@component
class Saying(Gold):
    """Gold with a reason for every answer."""

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        answers = super().annotate(task, query_ids, gold)
        said = [f"[{choice}] has the same name." if choice else "None is alike." for choice in answers.choice.tolist()]
        place = answers.table.column_names.index("rationale")
        return AnswerSet(answers.table.set_column(place, "rationale", pa.array(said)))


@component
class Telling(Gold):
    """Gold that answers also what it was not asked."""

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        return super().annotate(task, task.candidates.query_ids, gold)


def experiment(folder: Path, teacher: Gold, *overrides: str):
    whole = built(
        "selector=random", "selector.budget=12", *TINY, "dataset.queries=40", "dataset.candidates=50", *overrides
    )
    return replace(whole, teacher=teacher, store=Store(root=folder / "store"))


def tracker(folder: Path) -> Tracker:
    return Tracker(folder, NoLogger().open(folder, {}, None), Console(quiet=True))


def test_a_student_that_would_learn_from_a_test_query_is_stopped_before_it_is_taught(tmp_path):
    run = experiment(tmp_path, Telling(), "until=distil", "student.rounds=5")
    with pytest.raises(DistillerError, match=r"would learn from \d+ of the queries of synthetic that it is scored on"):
        pipeline.run(run, tracker(tmp_path))
    assert not (tmp_path / "store" / "Checkpoint").exists()


def test_explanations_of_a_student_are_scored_and_written_beside_its_matches(tmp_path):
    model = tiny_checkpoint(tmp_path / "tiny", hidden=32, layers=1)
    overrides = (
        "student=qwen2.5-0.5b",
        "elicitation@student.elicitation=explain",
        f"student.model={model}",
        "student.dtype=float32",
        "student.rank=2",
        "student.epochs=1",
        "student.elicitation.serialization=plain",
        "blocker.k=3",
        "student.elicitation.reply_tokens=16",
        "trainer.max_steps=1",
    )
    silent = pipeline.run(experiment(tmp_path, Saying(), *overrides), tracker(tmp_path))
    run, follows = experiment(tmp_path, Saying(), *overrides, "student.rationales=true"), tracker(tmp_path)
    (line,) = lines = pipeline.run(run, follows)
    assert line.checkpoint.key == silent[0].checkpoint.key
    assert line.checkpoint.reused
    assert line.student.key != silent[0].student.key
    card = scorecard.scorecard(run, lines, follows)
    (found,) = card["datasets"].values()
    test = line.selection.ids("test")
    assert found["student_explanations"] == summary(score_rationales(line.task, line.student.of(test)))
    assert found["student_explanations"]["rationale_answers"] == len(line.student.of(test).choice)
    assert found["explanations"]["rationale_explained"] == 12
    scorecard.write(tmp_path, card, lines, run.disambiguation)
    assert json.loads((tmp_path / "scorecard.json").read_text())["datasets"]
    with open(tmp_path / "matches.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    written = {int(q): r for q, r in zip(*(line.student_matches.table[c].to_pylist() for c in ("query_id", "rationale")), strict=True)}  # fmt: skip # noqa: E501
    assert rows
    assert [row["rationale"] for row in rows] == [written[int(row["query_id"])] or "" for row in rows]
    card = scorecard.scorecard(run, silent, follows)
    assert "student_explanations" not in card["datasets"]["synthetic"]
    assert "rationale" not in scorecard.matches(silent[0], run.disambiguation).column_names
