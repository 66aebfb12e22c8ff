"""Score the recorded teachers on the queries they labelled, beside the published teacher table.

    DISTILLER_DATA=<folder> python benchmarks/teachers.py

The queries are the training part of the `blocking_max` split of the eight datasets (D2 to D9). The score is selection
accuracy, which the paper calls F1. Published figures (`paper_teachers.csv`) are the two-decimal teacher table in the
supplement of the DistillER paper (arXiv 2602.05452).
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
from recorded_students import DATASETS, data_folder, recorded_task

from distiller import metrics
from distiller.metrics import Truth
from distiller.teacher.recorded import Recorded

PUBLISHED = Path(__file__).with_name("paper_teachers.csv")
_task = cache(recorded_task)


def score(root: Path, teacher: str) -> dict[str, float]:
    """Selection accuracy of a recorded teacher by dataset, in the order D2 to D9 of the paper."""
    accuracy = {}
    for name in DATASETS:
        task, gold, train = _task(root, name)
        answers = Recorded(name=teacher).annotate(task, train)
        scores = metrics.score_answers(answers, Truth.of(task.candidates, gold, train))
        accuracy[name] = scores["selection_accuracy"]
    return accuracy


def published(file: Path = PUBLISHED) -> dict[str, dict[str, float]]:
    """Published scores by teacher and dataset."""
    with open(file, newline="", encoding="utf-8") as lines:
        return {row["teacher"]: {name: float(row[name]) for name in DATASETS} for row in csv.DictReader(lines)}


def main() -> None:
    """Print three lines per teacher: ours, theirs, difference."""
    root = data_folder()
    print(f"{'':26}" + "".join(f"{name:>15}" for name in (*DATASETS, "mean")))
    worst = 0.0
    for teacher, theirs in published().items():
        ours = score(root, teacher)
        rows = {"ours": ours, "published": theirs, "difference": {n: ours[n] - theirs[n] for n in DATASETS}}
        for row, values in rows.items():
            numbers = [*values.values(), float(np.mean(list(values.values())))]
            shown = "".join(f"{v:>+15.4f}" if row == "difference" else f"{v:>15.4f}" for v in numbers)
            print(f"{teacher:14}{row:12}{shown}")
        worst = max(worst, *(abs(gap) for gap in rows["difference"].values()))
    print(f"largest difference {worst:.4f}")


if __name__ == "__main__":
    main()
