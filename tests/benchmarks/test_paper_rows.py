"""The paper's recorded answers and published figures as rows, and comparisons with them."""

import csv
import json

import pytest
from matching_instances import benchmark
from scripts import SCRIPTS, script

pytestmark = pytest.mark.needs_data


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    script("recorded_rows", folder)
    return folder


def figures(metric, split="test"):
    with open(SCRIPTS / "paper.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["metric"] == metric and r["split"] == split]
    return {(r["method"], r["dataset"]): float(r["value"]) for r in rows}


def test_recorded_students_and_teachers_have_the_published_scores(recorded):
    checked = 0
    for metric, source, split in (
        ("selection_accuracy", "student", "test"),
        ("selection_accuracy", "teacher", "train"),
    ):
        for (method, dataset), value in figures(metric, split).items():
            path = recorded / (method if source == "student" else f"teacher-{method}") / "scorecard.json"
            if path.is_file() and dataset != "mean":
                card = json.loads(path.read_text())
                if dataset in card["datasets"]:
                    ours = card["datasets"][dataset][source]["plain"]["selection_accuracy"]
                    # A reply that cannot be read is wrong with us and "none" in the paper; a number beyond the list likewise.
                    assert ours == pytest.approx(value, abs=0.011), (method, dataset)
                    checked += 1
    assert checked == 8 * 8 + 2 * 6 + 3 * 8


def test_recorded_encoders_have_the_published_pair_f1(recorded):
    for (method, dataset), value in figures("pair_f1").items():
        path = recorded / method / "scorecard.json"
        if method.startswith("sft-slm") and path.is_file() and dataset != "mean":
            card = json.loads(path.read_text())
            assert card["datasets"][dataset]["student"]["plain"]["pair_f1"] == pytest.approx(value, abs=1e-3)


def test_recorded_and_published_rows_stand_on_one_board_and_only_recorded_ones_are_ranked(recorded, tmp_path):
    script("leaderboard", recorded, "--to", tmp_path, "--draws", 200)
    with open(tmp_path / "leaderboard.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["dataset"] == "mean" and r["source"] == "student"]
    eight = [r for r in rows if len(r["datasets"].split()) == 8 and r["metric"] == "pair_f1"]
    kinds = {r["recipe"]: r["kind"] for r in eight}
    assert sum(kind == "recorded" for kind in kinds.values()) == 11
    assert kinds["published: unicorn"] == "published"
    assert all(bool(r["ties"]) == bool(r["low"]) == (r["kind"] == "recorded") for r in rows)
    gold = {r["recipe"] for r in eight if r["gold"]}
    assert {"paper: sft-llm__gold", "paper: sft-slm-roberta__gold"} <= gold
    assert "paper: sft-llm__qwen2.5-32b" not in gold
    accuracy = {r["recipe"] for r in rows if r["metric"] == "selection_accuracy"}
    assert "paper: sft-slm-roberta__qwen2.5-32b" not in accuracy, "encoders claim several candidates of a query"
    six = {r["recipe"] for r in rows if len(r["datasets"].split()) == 6 and r["metric"] == "pair_f1"}
    assert {"paper: zero-shot__qwen2.5-32b", "paper: sft-llm__qwen2.5-32b"} <= six
    assert "zeroer" not in " ".join(kinds), "ZeroER's figures are of other candidate sets"


def test_ours_is_printed_beside_theirs_with_the_difference(recorded):
    said = script("compare", recorded, "--metric", "pair_f1", "--methods", "sft-slm-roberta__gold")
    lines = said.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("ours: paper: sft-slm-roberta__gold"))
    ours, theirs, gap = ([float(v) for v in line[58:].split()] for line in lines[place : place + 3])
    assert len(ours) == 9
    assert gap == pytest.approx([a - b for a, b in zip(ours, theirs, strict=True)], abs=1.1e-4)
    assert max(map(abs, gap)) < 1e-3


def test_comparisons_across_metrics_are_refused_in_a_sentence(recorded):
    said = script("compare", recorded, "--metric", "selection_accuracy", "--methods", "unicorn", code=1)
    assert "unicorn is not compared by selection_accuracy: its F1 in the paper is pair_f1" in said
    assert "the paper calls two metrics F1" in script("compare", recorded, "--metric", "f1", code=1)
    said = script("compare", recorded, "--metric", "pair_f1", "--methods", "zeroer", code=1)
    assert "its F1 in the paper is pair_f1_other_candidates" in said


def test_the_figures_agree_with_those_of_the_other_tables():
    students, teachers = benchmark("recorded_students"), benchmark("teachers")
    for metric in students.METRICS:
        known = figures(metric)
        for student, values in students.published().items():
            if (student, "mean") in known:
                assert known[student, "mean"] == pytest.approx(values[metric], abs=1e-4)
    known = figures("selection_accuracy", "train")
    for teacher in ("llama3.1-8b", "llama3.1-70b", "qwen2.5-14b", "qwen2.5-32b", "majority-of-4"):
        for dataset, value in teachers.published_table()[teacher, "f1"].items():
            assert known[teacher, dataset] == pytest.approx(value, abs=1e-4)
