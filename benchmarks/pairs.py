"""Students on the pair sets of DeepMatcher, Magellan and WDC, beside the published matchers: F1 over the test pairs, seconds.

    DISTILLER_DATA=<folder> python benchmarks/pairs.py [--datasets NAME ...] [--students NAME ...] [--csv FILE] [--store FOLDER]

Each pair is a query of its own with one candidate and is judged alone (`distiller.dataset.pair_set`). A student learns from
all pairs of the part train, once from their gold labels (the comparison with matchers that are trained so) and once from
the answers of `zeroer`, which sees no label; `zeroer` has a row of its own. The part valid is not used. F1 is the binary F1
of the test pairs that the field reports. Seconds are processor seconds of learning and of answering all pairs, features
excluded; these have a column of their own. What is in the store counts with the seconds it once took (there: wall clock).

Published: DeepMatcher, Mudgal et al. 2018 (SIGMOD), its best model; Ditto, Li et al. 2020 (PVLDB 14(1)), with all its
optimisations and, for WDC, the medium training sets. Both choose their epoch by the gold labels of the part valid. Their
figures are as cited since; they were not checked against the printed tables.
"""

import argparse
import csv
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from recorded_students import data_folder

from distiller import metrics
from distiller.artifacts import AnswerSet
from distiller.budget import Ledger
from distiller.config import build, uses_gold
from distiller.experiment import Experiment
from distiller.metrics import Truth
from distiller.pipeline import task_of

HERE = Path(__file__).parent
SETS = (
    "abt-buy-textual",
    "amazon-google-structured",
    "beer-structured",
    "dblp-acm-structured",
    "dblp-acm-dirty",
    "dblp-scholar-structured",
    "fodors-zagats-structured",
    "walmart-amazon-structured",
    "walmart-amazon-dirty",
    "wdc-computers",
    "wdc-watches",
)
TEACHERS = ("gold", "zeroer")


def experiment(words: list[str]) -> Experiment:
    """The components of a run."""
    with initialize_config_dir(str(HERE.parent / "conf"), version_base="1.3"):
        built = build(compose("config", ["logger=none", *words]))
    assert isinstance(built, Experiment)
    return built


def rows(name: str, students: list[str], store: Path, root: Path) -> list[dict[str, Any]]:
    """One row per student and teacher, and one for the teacher that needs no label."""
    words = [f"dataset={name}", f"data.root={root}", f"store.root={store}", "selector=random", "selector.budget=1.0"]
    first = experiment(words)
    records = first.dataset.load()
    assert records.matches is not None
    task = task_of(first, records, Ledger.without_limit())
    start = time.process_time()
    features = task.features
    spent = features.seconds if features.reused else time.process_time() - start
    everyone = task.candidates.query_ids
    pool = first.protocol.pool(everyone, task.records)
    test = first.protocol.test(everyone, pool, task.records)
    truth = Truth.of(task.candidates, records.matches, test)
    found = []
    for teacher_name in TEACHERS:
        for student_name in students:
            parts = experiment([*words, f"teacher={teacher_name}", f"student={student_name}"])
            teacher, student = parts.teacher, parts.student
            start = time.process_time()
            labels = teacher.answers(task, pool, records.matches if uses_gold(teacher) else None)
            checkpoint = parts.algorithm.taught(student, [(task, labels)], parts.trainer, parts.threads)
            learning = checkpoint.seconds if checkpoint.reused else time.process_time() - start
            start = time.process_time()
            answers = student.answer(checkpoint, task, test, parts.trainer, parts.threads)
            row = {"dataset": records.name, "matcher": student_name, "labels": teacher_name, "features_s": spent}
            row |= {"learning_s": learning, "answering_s": time.process_time() - start}
            found.append(row | scored(answers, truth, len(pool)))
        if not uses_gold(teacher):
            start = time.process_time()
            answers = teacher.annotate(task, test)
            row = {"dataset": records.name, "matcher": teacher_name, "labels": "none", "features_s": spent}
            row |= {"learning_s": 0.0, "answering_s": time.process_time() - start}
            found.append(row | scored(answers, truth, 0))
    return found


def scored(answers: AnswerSet, truth: Truth, labelled: int) -> dict[str, Any]:
    """Binary precision, recall and F1 over the test pairs."""
    scores = metrics.score_answers(answers, truth)
    own = {name: scores[name] for name in ("pair_precision", "pair_recall", "pair_f1")}
    return {"train_pairs": labelled, "test_pairs": scores["queries"], **own}


def published() -> list[dict[str, str]]:
    """Rows of the published matchers."""
    with open(HERE / "pairs_published.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Print one line per pair set and one for the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="*", default=list(SETS), choices=SETS, metavar="NAME")
    parser.add_argument("--students", nargs="*", default=["boosted", "comparator"], metavar="NAME")
    parser.add_argument("--csv", type=Path, help="file to write all rows into")
    parser.add_argument("--store", type=Path, default=Path("outputs/store"))
    options = parser.parse_args()
    root = data_folder()
    kinds = [(student, "gold") for student in options.students]
    kinds += [(student, "zeroer") for student in options.students] + [("zeroer", "none")]
    others = published()
    titles = [f"{matcher}<-{labels}" if labels != "none" else matcher for matcher, labels in kinds]
    names = ["DeepMatcher", "Ditto"]
    line = "{:<26}" + "{:>19}" * len(titles) + "{:>13}" * len(names) + "{:>12}" * 2
    print(line.format("pair F1", *titles, *names, "features s", "learning s"))
    everything: list[dict[str, Any]] = []
    table: list[list[float]] = []
    for name in options.datasets:
        own = rows(name, options.students, options.store, root)
        everything += own
        by_kind = {(row["matcher"], row["labels"]): row["pair_f1"] for row in own}
        known = {r["matcher"]: float(r["pair_f1"]) for r in others if r["dataset"] == own[0]["dataset"]}
        table.append([by_kind[kind] for kind in kinds] + [known.get(other, np.nan) for other in names])
        learning = sum(row["learning_s"] for row in own)
        print(line.format(own[0]["dataset"], *map(_cell, table[-1]), f"{own[0]['features_s']:.1f}", f"{learning:.1f}"))
    whole = [row for row in table if not np.isnan(row).any()]
    print(line.format(f"mean of {len(whole)} with all", *map(_cell, np.mean(whole, axis=0)), "", "") if whole else "")
    print(f"# {os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(everything[0]))
            writer.writeheader()
            writer.writerows(everything)


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
