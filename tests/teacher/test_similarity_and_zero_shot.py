"""Baselines that no label teaches: blocking similarity alone, and a teacher asked about everything."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Commands, card, succeeded
from hypothesis import assume, given
from matching_instances import instances, needs_data, real_task, relaxed

from distiller.student.zero_shot import ZeroShot
from distiller.teacher.gold import Gold
from distiller.teacher.recorded import Recorded
from distiller.teacher.similarity import Similarity, otsu


@given(instances())
@relaxed
def test_unique_mapping_takes_the_most_similar_free_pair_each_time(case):
    task = case.task()
    everyone = task.candidates.query_ids
    found = Similarity(threshold=0.3).annotate(task, everyone)
    ranked = sorted(
        (-similarity, q, case.options[q].index(c), c)
        for (q, c), similarity in case.similarities.items()
        if similarity >= 0.3
    )
    expected: dict[int, int] = {}
    for _, query, place, candidate in ranked:
        if query not in expected and candidate not in {case.options[q][i - 1] for q, i in expected.items()}:
            expected[query] = place + 1
    assert found.choice.tolist() == [expected.get(q, 0) for q in everyone.tolist()]


@given(instances())
@relaxed
def test_without_unique_mapping_each_query_takes_its_most_similar_candidate(case):
    assume(case.evaluated)
    asked = np.array(case.evaluated)
    found = Similarity(threshold=0.5, unique=False).annotate(case.task(), asked)
    for query, choice in zip(case.evaluated, found.choice.tolist(), strict=True):
        own = [case.similarities[query, c] for c in case.options[query]]
        assert choice == (own.index(max(own)) + 1 if max(own) >= 0.5 else 0)


def test_the_border_of_otsu_is_the_one_found_by_trying_all():
    random = np.random.default_rng(8)
    values = np.r_[random.normal(0.3, 0.06, 300), random.normal(0.8, 0.05, 150)].clip(0, 1)

    def between(border):
        low, high = values[values < border], values[values >= border]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0

    tried = np.linspace(0.01, 0.99, 197)
    best = max(between(border) for border in tried)
    assert between(otsu(values)) >= 0.995 * best
    assert 0.4 < otsu(values) < 0.75


@needs_data
def test_a_zero_shot_student_gives_the_very_answers_of_its_teacher(tmp_path):
    task, _, _ = real_task("abt-buy", tmp_path)
    teacher = Recorded(name="qwen2.5-32b")
    student = ZeroShot(teacher=teacher)
    made = student.answer(None, task, task.candidates.query_ids, None, 1)
    assert made.table.equals(teacher.annotate(task, task.candidates.query_ids).table)
    assert student.reads(task.records.folder) == teacher.reads(task.records.folder)
    assert student.label() == "zero-shot qwen2.5-32b"


def test_a_zero_shot_student_refuses_gold():
    with pytest.raises(ValueError, match="reads gold matches"):
        ZeroShot(teacher=Gold())


@needs_data
def test_baselines_and_a_cascade_are_runs_like_any_other(command: Commands, tmp_path: Path):
    words = ["dataset=abt-buy", "selector=recorded", "teacher=recorded", "teacher.name=qwen2.5-32b", "logger=none"]

    def ran(name: str, *more: str) -> dict[str, Any]:
        succeeded(
            command(*words, *more, f"hydra.run.dir={tmp_path / name}", f"store.root={tmp_path}/s", folder=tmp_path)
        )
        return card(tmp_path / name)

    shot = ran("shot", "student=zero-shot", "teacher@student.teacher=recorded", "student.teacher.name=qwen2.5-32b")
    own = shot["datasets"]["abt-buy"]
    assert own["student"]["plain"]["selection_accuracy"] == pytest.approx(0.9194, abs=5e-5)
    assert own["seconds"]["predict"] > 100  # the model's own, not those of reading its answers
    assert "escalation" not in shot["recipe"]
    asked = ["escalation=cascade", "teacher@escalation.teacher=recorded", "escalation.teacher.name=qwen2.5-32b"]
    cascade = ran("cascade", *asked, "student.rounds=40", "student.members=1", "escalation.share=0.45")
    own = cascade["datasets"]["abt-buy"]
    assert own["escalation"]["asked"] <= 0.45 * 943
    assert own["escalation"]["teacher"] == "qwen2.5-32b"
    assert own["seconds"]["escalate"] > 0
    assert cascade["uses_gold"] == []
    assert cascade["recipe"]["escalation"]["share"] == 0.45
