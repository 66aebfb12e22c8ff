"""Score the recorded answers of the paper's fine-tuned students with our metrics, beside the published figures.

    DISTILLER_DATA=<folder> python benchmarks/recorded_students.py [--published FILE]

Each student answered the test queries of the `blocking_max` split of the eight datasets; scores are unweighted means
over the datasets. Published figures are those of the DistillER paper (arXiv 2602.05452): the column `log` of
`paper_students.csv` names the folder below `log/matching` of the authors' repository that each row was computed from.
Language-model students choose one candidate per query; encoder students say yes or no to every pair, so that a query
may have several matches. The paper calls the selection score F1 for the former, the pair score F1 for the latter.

Some language-model students name a number beyond the list. The published figures count that as a claim that is wrong,
and so do the columns "ours"; in the suite such a reply is a failed parse, which is wrong too but claims nothing.
"beyond" is how many there are, "own pair F1" the score where they claim nothing.
"""

import argparse
import csv
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from distiller import metrics
from distiller.artifacts import AnswerSet
from distiller.blocker.recorded import Recorded as RecordedBlocker
from distiller.dataset.benchmark import Benchmark
from distiller.metrics import Truth
from distiller.selector.recorded import Recorded as RecordedSelector
from distiller.store import Store
from distiller.task import Task

PUBLISHED = Path(__file__).with_name("paper_students.csv")
DATASETS = (
    "abt-buy",
    "amazon-google",
    "dblp-acm",
    "imdb-tmdb",
    "imdb-tvdb",
    "tmdb-tvdb",
    "walmart-amazon",
    "dblp-scholar",
)
METRICS = ("selection_accuracy", "pair_f1", "match_f1")
NO_CANDIDATE = -1  # what a number beyond the list names


def data_folder() -> Path:
    """The folder of benchmark datasets that DISTILLER_DATA names."""
    folder = os.environ.get("DISTILLER_DATA", "")
    if not (Path(folder) / "recorded_students").is_dir():
        raise SystemExit(f"DISTILLER_DATA={folder!r} has no recorded_students; set it to the folder of benchmark data")
    return Path(folder)


def recorded_task(root: Path, name: str) -> tuple[Task, pa.Table, np.ndarray]:
    """A dataset on its recorded candidates, its gold matches and the training queries of `blocking_max`."""
    records = Benchmark(name=name, root=root, cache=None, url=None).load()
    assert records.matches is not None
    task = Task(records.without_gold(), RecordedBlocker().block(records, 2), Store())
    return task, records.matches, RecordedSelector().select(task, task.candidates.query_ids).selected


@cache
def test_truth(root: Path, name: str) -> Truth:
    """What is right on the test part: all queries that are not training queries."""
    task, gold, train = recorded_task(root, name)
    return Truth.of(task.candidates, gold, np.setdiff1d(task.records.query_ids, train))


def students(root: Path) -> list[str]:
    """Names of the recorded students, as the index lists them."""
    with open(root / "recorded_students" / "index.csv", newline="", encoding="utf-8") as file:
        return [row["student"] for row in csv.DictReader(file)]


def score(root: Path, student: str) -> dict[str, dict[str, Any]]:
    """Metrics of one recorded student by dataset, in the order D2 to D9 of the paper.

    For a language model also `beyond`, how many numbers were beyond the list, and `own`, what `score_answers` gives.
    """
    answers = pv.read_csv(root / "recorded_students" / f"{student}.csv.gz")
    one_number = "answer" in answers.column_names
    scores = {}
    for name in DATASETS:
        given = answers.filter(pc.equal(answers["dataset"], name))
        scores[name] = (_score_numbers if one_number else _score_pairs)(given, test_truth(root, name))
    return scores


def _score_numbers(given: pa.Table, truth: Truth) -> dict[str, Any]:
    given = given.sort_by("query_id")
    ids, number = given["query_id"].to_numpy(), given["answer"].to_numpy()
    rows, offsets = truth.candidates.of(ids)
    beyond = number > np.diff(offsets)
    choice = np.where(beyond, -1, number)
    answers = AnswerSet.make("recorded", ids, truth.candidates.candidate_ids[rows], offsets, choice)
    pairs = np.column_stack([ids, np.where(beyond, NO_CANDIDATE, answers.chosen_ids)])[number != 0]
    own = metrics.score_answers(answers, truth)
    return metrics.score_pairs(pairs, ids[number == 0], truth) | {"beyond": int(beyond.sum()), "own": own}


def _score_pairs(given: pa.Table, truth: Truth) -> dict[str, Any]:
    claims = given.filter(pc.equal(given["match"], 1))
    pairs = np.column_stack([claims["left_id"].to_numpy(), claims["right_id"].to_numpy()])
    return metrics.score_pairs(pairs, np.setdiff1d(truth.evaluated, pairs[:, 0]), truth)


def published(file: Path = PUBLISHED) -> dict[str, dict[str, float]]:
    """Published means by student and metric."""
    with open(file, newline="", encoding="utf-8") as lines:
        return {row["student"]: {m: float(row[m]) for m in METRICS} for row in csv.DictReader(lines)}


def main() -> None:
    """Print one line per student: our mean, the published one and their difference for each metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="CSV with student and the three metrics")
    options = parser.parse_args()
    root = data_folder()
    theirs = published(options.published)
    print(f"{'':34}" + "".join(f"{m.replace('_', ' '):>29}" for m in METRICS))
    print(f"{'recorded student':34}" + "     ours  published    diff." * len(METRICS) + "   beyond  own pair F1")
    worst = 0.0
    for student in students(root):
        scores = list(score(root, student).values())
        mean = {metric: float(np.mean([s[metric] for s in scores])) for metric in METRICS}
        line = f"{student:34}"
        for metric in METRICS:
            line += f"{mean[metric]:9.4f}"
            if student in theirs:
                gap = mean[metric] - theirs[student][metric]
                worst = max(worst, abs(gap))
                line += f"{theirs[student][metric]:11.4f}{gap:+9.4f}"
            else:
                line += f"{'-':>11}{'':9}"
        if "own" in scores[0]:
            own = float(np.mean([s["own"]["pair_f1"] for s in scores]))
            line += f"{sum(s['beyond'] for s in scores):9,}{own:13.4f}"
        print(line)
    print(f"largest difference {worst:.4f}")


if __name__ == "__main__":
    main()
