"""Leaderboard, ablation and answers on small real runs: a sweep on synthetic records, made once."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from command import QUIET, succeeded
from matching_instances import benchmark
from scripts import script

SMALL = ["dataset.queries=90", "dataset.candidates=110", "dataset.seed=3", "student.rounds=10", "student.members=1"]
SELECTORS, BUDGETS, SEEDS = ("random", "uncertainty"), (0.1, 0.4), (1, 2)


@pytest.fixture(scope="session")
def sweep(command, tmp_path_factory):
    """Eight runs under protocol=fixed, two selectors, two budgets, two seeds; and two runs under protocol=paper."""
    folder = tmp_path_factory.mktemp("sweep")
    runs = folder / "runs"
    for selector in SELECTORS:
        for budget in BUDGETS:
            for seed in SEEDS:
                words = [f"selector={selector}", f"selector.budget={budget}", f"seed={seed}", "protocol=fixed"]
                words += [f"hydra.run.dir={runs}/{selector}-{budget}-{seed}", f"store.root={folder}/store"]
                succeeded(command(*SMALL, *words, QUIET, folder=folder))
        words = [
            f"selector={selector}",
            "seed=1",
            f"hydra.run.dir={runs}/paper-{selector}",
            f"store.root={folder}/store",
        ]
        succeeded(command(*SMALL, *words, QUIET, folder=folder))
    return runs


def cards(folder):
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/scorecard.json"))}


def final_pair_f1(card):
    return card["datasets"]["synthetic"]["student"]["one_to_one"]["pair_f1"]


def board_rows(folder, **wanted):
    with open(folder / "leaderboard.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[k] == v for k, v in wanted.items())]


@pytest.fixture(scope="session")
def leaderboard(sweep, tmp_path_factory):
    """What leaderboard.py writes about the sweep, and what it says."""
    folder = tmp_path_factory.mktemp("board")
    return folder, script("leaderboard", sweep, "--to", folder, "--draws", 300, "--alone")


def test_a_board_has_one_row_per_recipe_with_mean_and_spread_over_its_seeds(sweep, leaderboard):
    rows = board_rows(leaderboard[0], metric="pair_f1", source="student", protocol="fixed", dataset="mean")
    assert len(rows) == len(SELECTORS) * len(BUDGETS)
    found = cards(sweep)
    for row in rows:
        selector = "random" if "random" in row["recipe"] else "uncertainty"
        (budget,) = [b for b in BUDGETS if f"budget={b}" in row["recipe"]]
        values = [final_pair_f1(found[f"{selector}-{budget}-{seed}"]) for seed in SEEDS]
        assert float(row["value"]) == pytest.approx(np.mean(values), abs=1e-6)
        assert float(row["spread"]) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
        assert row["seeds"] == "2"
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        assert row["ties"]
    values = [float(row["value"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]


def test_protocols_metrics_and_queries_are_never_on_one_board(leaderboard):
    rows = board_rows(leaderboard[0])
    boards = {(r["metric"], r["source"], r["protocol"]) for r in rows}
    assert {b[0] for b in boards} == {"pair_f1", "selection_accuracy", "match_f1"}
    assert {b[2] for b in boards} == {"fixed", "paper"}
    # Under the paper's protocol each selector leaves other queries to score: each has a board of its own.
    paper = [r for r in rows if r["protocol"] == "paper" and r["metric"] == "pair_f1" and r["source"] == "student"]
    assert [r["rank"] for r in paper if r["dataset"] == "mean"] == ["1", "1"]


def test_the_smallest_detectable_gap_is_printed(leaderboard):
    text = (leaderboard[0] / "LEADERBOARD.md").read_text()
    found = re.search(r"5% over all 6 comparisons\): (0\.\d+|more than 1) in the middle", text)
    assert found


def test_a_recipe_that_nothing_can_be_compared_with_is_a_remark_unless_asked_for(sweep, tmp_path):
    script("leaderboard", sweep, "--to", tmp_path, "--draws", 100)
    assert {row["protocol"] for row in board_rows(tmp_path)} == {"fixed"}
    assert (
        "has no board, as no other recipe was scored on the same queries" in (tmp_path / "LEADERBOARD.md").read_text()
    )


def test_the_same_runs_give_the_same_bytes(sweep, leaderboard, tmp_path):
    shutil.copytree(sweep, tmp_path / "runs")
    script("leaderboard", tmp_path / "runs", "--to", tmp_path, "--draws", 300, "--alone")
    for name in ("LEADERBOARD.md", "leaderboard.csv", "leaderboard.html"):
        assert (tmp_path / name).read_bytes() == (leaderboard[0] / name).read_bytes(), name


class Page(HTMLParser):
    """Elements, texts and addresses of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.addresses, self.ids = [], 0, [], set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.addresses += [v for k, v in given.items() if k in ("src", "href")]
        self.ids |= {given["id"]} if "id" in given else set()
        self.rows += tag == "tr"
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(leaderboard):
    text = (leaderboard[0] / "leaderboard.html").read_text()
    page = Page()
    page.feed(text)
    assert not page.open
    assert page.addresses == ["data:,"]
    assert "http" not in text
    assert page.rows > 8
    assert {"metric", "source", "protocol", "datasets", "words", "gold"} <= page.ids
    assert "prefers-color-scheme:dark" in text


def test_what_cannot_be_used_is_named_with_the_reason(sweep, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(sweep / "random-0.1-1", runs / "good")
    shutil.copytree(sweep / "random-0.1-1", runs / "good-again")
    (runs / "unfinished").mkdir()
    shutil.copy(sweep / "random-0.1-1" / "config.yaml", runs / "unfinished")
    (runs / "failed").mkdir()
    (runs / "failed" / "failure.json").write_text(json.dumps({"error": "DistillerError: no such model"}))
    shutil.copytree(sweep / "random-0.1-1", runs / "cut")
    (runs / "cut" / "scorecard.json").write_text('{"datasets": ')
    shutil.copytree(sweep / "random-0.1-2", runs / "without")
    (runs / "without" / "outcomes.parquet").unlink()
    shutil.copytree(sweep / "random-0.1-2", runs / "another")
    shutil.copy(sweep / "random-0.4-2" / "outcomes.parquet", runs / "another")
    changed = json.loads((runs / "good-again" / "scorecard.json").read_text()) | {"commit": "f" * 40}
    (runs / "good-again" / "scorecard.json").write_text(json.dumps(changed))
    script("leaderboard", runs, "--to", tmp_path, "--draws", 100)
    text = (tmp_path / "LEADERBOARD.md").read_text()
    for line in (
        "runs/unfinished: not finished, it has no scorecard.json",
        "runs/failed: failed: DistillerError: no such model",
        "runs/cut: cannot be read:",
        "runs/without: has scores but no outcomes.parquet",
        "runs/another: its outcomes give",
        "runs/good: same recipe, seed and data as runs/good-again, which is counted; their student scores agree",
        "DIFFERENT COMMITS",
    ):
        assert line in text, line
    rows = board_rows(tmp_path, metric="pair_f1", source="student", dataset="mean")
    assert [row["seeds"] for row in rows] == ["1"]


def test_a_folder_without_runs_is_said_in_one_sentence(tmp_path):
    assert "no finished run below" in script("leaderboard", tmp_path, code=1)
    assert "is no folder" in script("leaderboard", tmp_path / "absent", code=1)


def test_ablation_gives_mean_differences_of_runs_that_differ_in_one_factor(sweep, tmp_path):
    said = script("ablation", sweep, "--factor", "selector", "--x", "selector.budget", "--to", tmp_path, "--draws", 300)
    found = cards(sweep)
    gaps = [
        final_pair_f1(found[f"random-{budget}-{seed}"]) - final_pair_f1(found[f"uncertainty-{budget}-{seed}"])
        for budget in BUDGETS
        for seed in SEEDS
    ]
    with open(tmp_path / "ablation-selector.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["first"], row["second"], row["blocks"]) == ("random", "uncertainty", "2")
    assert float(row["difference"]) == pytest.approx(np.mean(gaps), abs=1e-5)
    assert float(row["low"]) < float(row["difference"]) < float(row["high"])
    assert "were scored on different queries" in said, "the runs under protocol=paper"
    for name in ("differences", "curve", "pareto"):
        figure = (tmp_path / f"ablation-selector-{name}.svg").read_text()
        assert figure.rstrip().endswith("</svg>")
        assert "random" in figure
        assert "uncertainty" in figure


def test_ablation_of_a_field_and_its_figures_are_the_same_every_time(sweep, tmp_path):
    for name in ("one", "two"):
        words = ["--factor", "selector.budget", "--baseline", "0.1", "--to", tmp_path / name, "--draws", 100]
        script("ablation", sweep, *words)
    made = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "ablation-selector.budget-differences.svg" in made
    for name in made:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_ablation_says_what_it_cannot_compare(sweep):
    assert "no run has this part; known:" in script("ablation", sweep, "--factor", "selectr", code=1)
    assert "no two runs differ in teacher alone" in script("ablation", sweep, "--factor", "teacher", code=1)


def test_the_pareto_front_holds_what_no_other_beats():
    figures = benchmark("figures")
    rng = np.random.default_rng(0)
    costs, scores = rng.integers(0, 20, 60).tolist(), rng.integers(0, 20, 60).tolist()
    points = list(zip(costs, scores, strict=True))
    best = {
        (c, s) for c, s in points if not any((a <= c and b > s) or (a < c and b >= s) for a, b in points)
    }  # fmt: skip
    assert {points[i] for i in figures.front(costs, scores)} == best


def test_answers_are_given_with_intervals_or_with_the_command_that_is_missing(sweep):
    said = script("answers", sweep, "--budget", 0.4, "--draws", 300)
    assert "Which selector should one use with 40% of the queries of budget?" in said
    assert re.search(r"random - uncertainty: [+-]0\.\d+ \[|uncertainty - random: [+-]0\.\d+ \[", said)
    assert re.search(r"budget 0\.1: [+-]0\.\d+ \[", said)
    assert "experiment=q2-teachers" in said
    assert "recorded_rows.py" in said


@pytest.mark.parametrize("name", ["leaderboard", "ablation", "compare", "answers", "recorded_rows"])
def test_every_script_explains_itself(name):
    assert "usage:" in script(name, "--help")
