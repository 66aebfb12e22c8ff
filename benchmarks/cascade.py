"""When does it pay to ask a stronger teacher? Quality against the share of queries escalated, and whether the guarantee holds.

    DISTILLER_DATA=<folder> python benchmarks/cascade.py [--datasets NAME ...] [--level L] [--confidence C] [--share S]
                                                         [--seeds N] [--plot FILE] [--csv FILE] [--store FOLDER]

Three students answer the test queries of the `blocking_max` split and may ask the recorded answers of qwen2.5-32b:

* `boosted<-llama3.1-8b`, trees taught by the weakest recorded teacher (weak to strong);
* `zeroer`, which no teacher has taught;
* `boosted<-qwen2.5-32b`, taught by the very teacher that is asked: the student is above it, so asking can also harm.

Per student and seed of the sample: "alone", "all asked", and the point that `escalation=cascade` chooses, as selection
accuracy and as pair F1, with the share asked. "alone and otherwise" is the true share of test queries that the student
answered without the teacher being asked and otherwise than it would have: where the guarantee is met, it must not exceed the
level more often than 1 - confidence of the time. Gold is used for accuracy and F1 alone. Datasets are the six whose test
queries the teacher has answered; scores are unweighted means over them, the first seed's are shown per dataset.

The plotted curve asks the least sure queries first, after calibration on the sample; the sample, at its left end, is asked in
any case. Points are what was chosen. A verdict says whether the chosen point is at least as good as the better end.
"""

import argparse
import csv
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from recorded_students import data_folder, recorded_task
from students import experiment

from distiller import metrics
from distiller.artifacts import AnswerSet
from distiller.escalation.cascade import Cascade
from distiller.metrics import Truth
from distiller.source import Source
from distiller.store import Store
from distiller.student.base import Student
from distiller.task import Task
from distiller.teacher.recorded import Recorded
from distiller.teacher.zeroer import ZeroER

DATASETS = ("abt-buy", "amazon-google", "dblp-acm", "imdb-tmdb", "tmdb-tvdb", "dblp-scholar")
ASKED = "qwen2.5-32b"
STUDENTS = {"boosted<-llama3.1-8b": "llama3.1-8b", "zeroer": "", "boosted<-qwen2.5-32b": ASKED}
SCORES = ("selection_accuracy", "pair_f1")
SHARES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
CERTAIN = 1e-9  # a level so strict that only the share ends the asking


class Told(Source):
    """A teacher whose answers are at hand, so that asking costs no time."""

    def __init__(self, known: AnswerSet):
        self.known = known

    def label(self) -> str:
        return ASKED

    def answers(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        return self.known.of(query_ids)


@dataclass(frozen=True)
class Case:
    """One dataset with its student's answers to the test queries and all that the teacher says to them."""

    task: Task
    truth: Truth
    student: AnswerSet
    teacher: AnswerSet

    def scores(self, answers: AnswerSet) -> dict[str, float]:
        """Both scores of answers to all test queries."""
        found = metrics.score_answers(answers, self.truth)
        return {name: found[name] for name in SCORES}

    def alone_and_otherwise(self, answers: AnswerSet) -> float:
        """Share of the test queries that the student answered alone and otherwise than the teacher would have."""
        alone = answers.table["source"].to_numpy(zero_copy_only=False) != ASKED
        unread = self.teacher.choice < 0
        return float((alone & ~unread & (answers.chosen_ids != self.teacher.chosen_ids)).mean())


def case(root: Path, name: str, taught_by: str, store: Store) -> Case:
    """A dataset and a student that has learnt from the training queries."""
    task, gold, train = recorded_task(root, name)
    task = replace(task, store=store)
    task.candidates.key = f"recorded-{name}"  # features in the store are found by it
    test = np.setdiff1d(task.candidates.query_ids, train)
    truth = Truth.of(task.candidates, gold, np.setdiff1d(task.records.query_ids, train))
    teacher = Recorded(name=ASKED).answers(task, test)
    if not taught_by:
        return Case(task, truth, ZeroER().answers(task, test), teacher)
    parts = experiment("boosted", [], store.root)
    assert isinstance(parts.student, Student)
    checkpoint = parts.algorithm.taught(
        parts.student, [(task, Recorded(name=taught_by).answers(task, train))], parts.trainer, parts.threads
    )
    student = parts.student.answer(checkpoint, task, test, parts.trainer, parts.threads)
    return Case(task, truth, student, teacher)


def point(own: Case, cascade: Cascade) -> dict[str, Any]:
    """What a cascade makes of a case: scores, share asked, guarantee."""
    made = replace(cascade, teacher=Told(own.teacher)).escalate(own.task, own.student, np.zeros(0, dtype=np.int64))
    facts = {name: made.facts[name] for name in ("share_asked", "met", "bound", "recalibrated")}
    return {**own.scores(made), **facts, "alone_and_otherwise": own.alone_and_otherwise(made)}


def report(cases: dict[str, Case], student: str, cascade: Cascade, seeds: int) -> tuple[list[dict[str, Any]], bool]:
    """Print what was found of one student; returns a row per dataset and seed, and whether escalation pays."""
    rows: list[dict[str, Any]] = []
    print(f"\n{student} asks {ASKED}")
    line = "{:<15}" + "{:>10}" * 6 + "{:>8}" + "{:>11}" * 2 + "{:>8}"
    heads = (
        "acc alone",
        "all asked",
        "chosen",
        "F1 alone",
        "all asked",
        "chosen",
        "asked",
        "otherwise",
        "bound",
        "met",
    )
    print(line.format("dataset", *heads))
    for name, own in cases.items():
        alone, asked = own.scores(own.student), own.scores(own.teacher)
        for seed in range(seeds):
            found = point(own, replace(cascade, seed=seed))
            ends = {f"{end}_{s}": v[s] for end, v in (("alone", alone), ("all_asked", asked)) for s in SCORES}
            rows.append({"student": student, "dataset": name, "seed": seed, **ends, **found})
        print(line.format(name, *_cells([row for row in rows if row["dataset"] == name][:1])))
    print(line.format(f"mean, {seeds} seeds", *_cells(rows)))
    claims = [row for row in rows if row["met"]]
    broken = sum(row["alone_and_otherwise"] > cascade.level for row in claims)
    print(
        f"level {cascade.level:g} claimed {len(claims)} times of {len(rows)}, exceeded on the test part {broken} times "
        f"(expected at most {len(claims) * (1 - cascade.confidence):.1f})"
    )
    pays = True
    for score in SCORES:
        mean = {
            key: float(np.mean([row[key] for row in rows])) for key in (f"alone_{score}", f"all_asked_{score}", score)
        }
        better = max(mean[f"alone_{score}"], mean[f"all_asked_{score}"])
        gain = mean[score] - better
        pays = pays and gain >= 0
        word = "escalation pays" if gain >= 0 else "escalation does NOT pay: leave the better end alone"
        print(f"{score}: chosen {mean[score]:.4f}, better end {better:.4f}, difference {gain:+.4f}: {word}")
    return rows, pays


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    keys = [k for score in SCORES for k in (f"alone_{score}", f"all_asked_{score}", score)]
    means = [f"{np.mean([row[key] for row in rows]):.3f}" for key in [*keys, "share_asked"]]
    means += [f"{np.mean([row[key] for row in rows]):.3f}" for key in ("alone_and_otherwise", "bound")]
    met = sum(row["met"] for row in rows)
    return [*means, ("yes" if met else "no") if len(rows) == 1 else f"{met}/{len(rows)}"]


def curve(cases: dict[str, Case], cascade: Cascade, seeds: int) -> list[dict[str, float]]:
    """Mean scores for each share asked, the least sure first, whatever the level."""
    found = []
    for share in SHARES:
        each = []
        for own in cases.values():
            for seed in range(seeds):
                bold = replace(cascade, level=CERTAIN, share=share, seed=seed)
                if int(share * len(own.student.choice)) >= 80:
                    each.append(point(own, bold))
        if len(each) == len(cases) * seeds:
            found.append({key: float(np.mean([p[key] for p in each])) for key in (*SCORES, "share_asked")})
    return found


def plot(path: Path, curves: dict[str, Any]) -> None:
    """One panel per score: curves, ends, chosen points."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    for axis, score in zip(axes, SCORES, strict=True):
        for colour, (student, (points, rows)) in zip(("#1b6ca8", "#c0392b", "#2e8b57"), curves.items(), strict=False):
            alone = np.mean([row[f"alone_{score}"] for row in rows])
            shares = [0.0, *(p["share_asked"] for p in points)]
            axis.plot(shares, [alone, *(p[score] for p in points)], color=colour, label=student, marker=".", lw=1.5)
            chosen = np.mean([row["share_asked"] for row in rows]), np.mean([row[score] for row in rows])
            axis.plot(*chosen, marker="*", ms=14, color=colour, mec="black", mew=0.6, ls="none")
        axis.axhline(
            np.mean([row[f"all_asked_{score}"] for row in rows]), color="grey", ls=":", lw=1, label=f"{ASKED} asked all"
        )
        axis.set_xlabel("share of queries asked")
        axis.set_ylabel(score.replace("_", " ").replace("f1", "F1"))
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False, loc="lower right")
    figure.suptitle("Quality against share escalated; stars: chosen by the cascade")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=150)
    plt.close(figure)


def main() -> None:
    """Print the table of each student, write curves and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="*", default=list(DATASETS), choices=DATASETS, metavar="NAME")
    parser.add_argument("--level", type=float, default=0.1)
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="SVG or PNG file of the curves")
    parser.add_argument("--csv", type=Path, help="file for one row per student, dataset and seed")
    parser.add_argument("--store", type=Path, default=Path("outputs/store"))
    options = parser.parse_args()
    root, store = data_folder(), Store(root=options.store)
    cascade = Cascade(
        teacher=Recorded(name=ASKED),
        level=options.level,
        confidence=options.confidence,
        share=options.share,
        sample=options.sample,
        seed=0,
    )
    everything: list[dict[str, Any]] = []
    curves: dict[str, Any] = {}
    for student, taught_by in STUDENTS.items():
        cases = {name: case(root, name, taught_by, store) for name in options.datasets}
        rows, _ = report(cases, student, cascade, options.seeds)
        everything += rows
        if options.plot:
            curves[student] = (curve(cases, cascade, options.seeds), rows)
            for each in curves[student][0]:
                print(
                    "  asked {share_asked:.2f}: accuracy {selection_accuracy:.4f}, pair F1 {pair_f1:.4f}".format(**each)
                )
    if options.plot:
        plot(options.plot, curves)
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(everything[0]))
            writer.writeheader()
            writer.writerows(everything)
    print(f"\n# {os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
