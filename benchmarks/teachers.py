"""Replay the recorded teachers through the whole line, recorded -> parse -> vote -> score, beside the published tables.

    DISTILLER_DATA=<folder> python benchmarks/teachers.py

The queries are the training part of the `blocking_max` split of the eight datasets (D2 to D9). Published figures: precision
and recall from the two-decimal teacher table in the supplement of the DistillER paper (arXiv 2602.05452), F1 as computed
from the logs in the authors' repository (`paper_teachers.csv`; teachers by selection strategy in `paper_selections.csv`).
All three are over the set of (query, candidate or "none") answers; for a teacher with one answer per query they are one
number, the selection accuracy. Small-model teachers say yes or no to pairs, so a query may have several answers; queries
of which no pair was asked take no part.

Replies are read anew by our parser. One that cannot be read counts as "none" in the published figures and in "ours"; in
the suite it is wrong, which is the line "unread = wrong". The published majority is that of four teachers, and the answers
of one of them, qwen2.5-14b, are not in the data. What the other three leave open is shown as the lowest and the highest
score that any answers of the fourth could give; the majority of the three is given besides. For "any", the answers of all
teachers together, three of four give a lowest recall. The selections are compared where their answers are in the data.
"""

import csv
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
from recorded_students import DATASETS, data_folder, recorded_task

from distiller import metrics, ragged
from distiller.artifacts import AnswerSet
from distiller.metrics import Truth
from distiller.selector.recorded import Recorded as RecordedSelector
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.aggregation import Ballots
from distiller.teacher.base import Teacher
from distiller.teacher.recorded import Recorded
from distiller.teacher.vote import Vote

PUBLISHED = Path(__file__).with_name("paper_teachers.csv")
SELECTIONS = Path(__file__).with_name("paper_selections.csv")
#: In the order in which the reference counts votes.
SINGLE = ("llama3.1-8b", "llama3.1-70b", "qwen2.5-32b")
SMALL = tuple(f"{small}-of-{taught_by}" for taught_by in SINGLE[:0:-1] for small in ("roberta", "sminilm"))
MEASURES = ("precision", "recall", "f1")
#: (query, candidate or "none") claims and what is right, by dataset: a table of ours or of theirs.
Scores = dict[str, float]
_store = tempfile.TemporaryDirectory(prefix="teachers-")  # removed at exit


@cache
def task_of(root: Path, name: str) -> tuple[Task, pa.Table, np.ndarray]:
    task, gold, train = recorded_task(root, name)
    return replace(task, store=Store(root=Path(_store.name))), gold, train


def read_anew(name: str) -> Recorded:
    """A recorded teacher whose replies are read by our parser."""
    return Recorded(name=name, reading="text")


def majority() -> Vote:
    """The majority of the three recorded teachers by the reference's rule."""
    return Vote(members={name: read_anew(name) for name in SINGLE}, ties="smallest")


def accuracy(root: Path, teacher: Teacher, unread_is_none: bool = False) -> Scores:
    """Selection accuracy of a teacher by dataset, in the order D2 to D9 of the paper."""
    return {name: _accuracy(root, name, teacher, task_of(root, name)[2], unread_is_none) for name in DATASETS}


def _accuracy(root: Path, name: str, teacher: Teacher, asked: np.ndarray, unread_is_none: bool) -> float:
    task, gold, _ = task_of(root, name)
    answers, truth = teacher.answers(task, asked), Truth.of(task.candidates, gold, asked)
    if not unread_is_none:
        return metrics.score_answers(answers, truth)["selection_accuracy"]
    claims = answers.choice > 0
    pairs = np.column_stack([answers.query_ids, answers.chosen_ids])[claims]
    return metrics.score_pairs(pairs, answers.query_ids[~claims], truth)["selection_accuracy"]


def score(root: Path, teacher: str) -> Scores:
    """Accuracy of a recorded teacher by dataset, as published: its replies read anew, unreadable ones counted as "none"."""
    return accuracy(root, read_anew(teacher), unread_is_none=True)


def small(root: Path, teacher: str) -> dict[str, Scores]:
    """Precision, recall and F1 of a recorded small-model teacher by dataset: measure -> dataset -> score."""
    scores: dict[str, Scores] = {measure: {} for measure in MEASURES}
    for name in DATASETS:
        task, gold, _ = task_of(root, name)
        pairs = pv.read_csv(root / name / "annotations_pairwise" / f"{teacher}.csv.gz")
        asked = np.unique(pairs["left_id"].to_numpy())
        claims = pairs.filter(pc.equal(pairs["match"], 1))
        claimed = np.column_stack([claims["left_id"].to_numpy(), claims["right_id"].to_numpy()])
        truth = Truth.of(task.candidates, gold, asked)
        got = metrics.score_pairs(claimed, np.setdiff1d(asked, claimed[:, 0]), truth)
        keys = ("selection_precision", "selection_recall", "selection_accuracy")
        for measure, key in zip(MEASURES, keys, strict=True):
            scores[measure][name] = got[key]
    return scores


def left_open(root: Path) -> tuple[Scores, Scores]:
    """Lowest and highest accuracy by dataset that a majority of four has if these three are among them."""
    low, high = {}, {}
    for name in DATASETS:
        ballots, right = _ballots_and_right(root, name)
        lowest, highest = [], []
        for query, size in enumerate(np.diff(ballots.offsets)):
            count = np.bincount(np.maximum(ballots.choice[:, query], 0), minlength=size + 1)
            outcomes = [bool(right[query][int(np.argmax(count + vote))]) for vote in np.eye(size + 1, dtype=int)]
            lowest.append(min(outcomes))
            highest.append(max(outcomes))
        low[name], high[name] = float(np.mean(lowest)), float(np.mean(highest))
    return low, high


def any_right(root: Path) -> Scores:
    """Share of queries that at least one of the three answers rightly, by dataset: the least recall of "any of four"."""
    found = {}
    for name in DATASETS:
        ballots, right = _ballots_and_right(root, name)
        choices = np.maximum(ballots.choice, 0).T
        found[name] = float(np.mean([right[query][own].any() for query, own in enumerate(choices)]))
    return found


def _ballots_and_right(root: Path, name: str) -> tuple[Ballots, list[np.ndarray]]:
    """The votes of the three, and for each query which of its options are right; unreadable replies count as "none"."""
    task, gold, train = task_of(root, name)
    answers: dict[str, AnswerSet] = {each: read_anew(each).answers(task, train) for each in SINGLE}
    ballots = Ballots.of(task, train, answers)
    match = Truth.of(task.candidates, gold, train).gold_pairs()
    none = ragged.segment_sum(match, ballots.offsets) == 0
    right = ragged.with_none(match, none, ballots.offsets) > 0
    return ballots, np.split(right, ballots.begins[1:-1])


def selections(root: Path) -> dict[str, Scores]:
    """Accuracy of llama3.1-8b, as published, on the queries that each strategy selects, by strategy and dataset."""
    found: dict[str, Scores] = {}
    for strategy in published_selections():
        own = "" if strategy == "blocking_max" else f"../annotations_other_selections/{strategy}/"
        there = [n for n in DATASETS if (root / n / "annotations" / f"{own}llama3.1-8b.jsonl.gz").is_file()]
        found[strategy] = {}
        for name in there:
            task = task_of(root, name)[0]
            asked = RecordedSelector(name=strategy).select(task, task.candidates.query_ids).selected
            found[strategy][name] = _accuracy(root, name, read_anew(f"{own}llama3.1-8b"), asked, True)
    return found


def published_table(file: Path = PUBLISHED) -> dict[tuple[str, str], Scores]:
    """Published scores by (teacher, measure), then dataset, `mean` included."""
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {(r["teacher"], r["measure"]): {name: float(r[name]) for name in (*DATASETS, "mean")} for r in rows}


def published(file: Path = PUBLISHED) -> dict[str, Scores]:
    """Published accuracy, two decimals, of the recorded teachers by dataset."""
    table = published_table(file)
    return {each: {name: table[each, "precision"][name] for name in DATASETS} for each in SINGLE}


def published_selections(file: Path = SELECTIONS) -> dict[str, Scores]:
    """Published accuracy of llama3.1-8b by selection strategy, then dataset, `mean` included."""
    with open(file, newline="", encoding="utf-8") as lines:
        return {r["selector"]: {name: float(r[name]) for name in (*DATASETS, "mean")} for r in csv.DictReader(lines)}


def with_mean(scores: Scores) -> Scores:
    """Scores by dataset and, where there are all, their unweighted mean."""
    return scores | ({"mean": float(np.mean(list(scores.values())))} if set(scores) == set(DATASETS) else {})


def line(teacher: str, what: str, scores: Scores, sign: str = "") -> None:
    """Print one line of scores."""
    cells = (f"{scores[n]:{sign}.4f}" if n in scores else "-" for n in (*DATASETS, "mean"))
    print(f"{teacher:25}{what:22}" + "".join(f"{cell:>9}" for cell in cells))


class Comparison:
    """Prints ours beside theirs and keeps account of the cells that agree."""

    def __init__(self) -> None:
        self.gaps: dict[str, float] = {}

    def add(self, teacher: str, what: str, ours: Scores, theirs: Scores) -> None:
        """Three lines: ours, theirs, difference."""
        ours = with_mean(ours)
        gap = {name: ours[name] - theirs[name] for name in ours}
        line(teacher, f"{what}, ours", ours)
        line("", "published", theirs)
        line("", "difference", gap, "+")
        self.gaps |= {f"{teacher} {what} {name}": value for name, value in gap.items()}

    def report(self) -> None:
        """How many cells agree."""
        beyond = [cell for cell, gap in self.gaps.items() if abs(gap) > 0.01]
        worst = max(map(abs, self.gaps.values()))
        print(f"{len(self.gaps) - len(beyond)} of {len(self.gaps)} cells agree to 0.01, largest difference {worst:.4f}")
        print("".join(f"  beyond: {cell}: {self.gaps[cell]:+.4f}\n" for cell in beyond), end="")


def main() -> None:
    """Print a table of ours beside theirs."""
    root = data_folder()
    theirs = published_table()
    print(f"{'':47}" + "".join(f"{name[:8]:>9}" for name in (*DATASETS, "mean")))
    table = Comparison()
    for teacher in SINGLE:
        ours = score(root, teacher)
        for measure in MEASURES:
            table.add(teacher, measure, ours, theirs[teacher, measure])
        line("", "unread = wrong", with_mean(accuracy(root, read_anew(teacher))))
    for teacher in SMALL:
        for measure, ours in small(root, teacher).items():
            table.add(teacher, measure, ours, theirs[teacher, measure])
    table.report()
    print("\nmajority (qwen2.5-14b, the fourth, is not in the data)")
    low, high = (with_mean(scores) for scores in left_open(root))
    four = theirs["majority-of-4", "f1"]
    for what, scores in (("lowest possible", low), ("published", four), ("highest possible", high)):
        line("majority-of-4", what, scores)
    inside = [name for name in four if low[name] - 1e-4 <= four[name] <= high[name] + 1e-4]
    print(f"{len(inside)} of {len(four)} published cells lie between")
    line("majority-of-3", "ours", with_mean(accuracy(root, majority())))
    line("any-of-3", "recall, ours", with_mean(any_right(root)))
    line("any-of-4", "recall, published", theirs["any-of-4", "recall"])
    print("\nllama3.1-8b on the queries that each strategy selects")
    table = Comparison()
    strategies = published_selections()
    for strategy, ours in selections(root).items():
        table.add(strategy, "accuracy", ours, strategies[strategy])
    table.report()


if __name__ == "__main__":
    main()
