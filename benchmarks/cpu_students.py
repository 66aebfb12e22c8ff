"""What helps a student of boosted trees and what does not: one change at a time, beside held-out teacher answers.

    DISTILLER_DATA=<folder> python benchmarks/cpu_students.py [--selections paper coverage] [--seeds 1924 1 2 3 4]
        [--changes NAME ...] [--members 3] [--rounds 300] [--store outputs/store]

The student learns from the recorded answers of qwen2.5-32b to a tenth of the queries of the eight datasets together, and
answers all others. "paper" learns from the paper's selection (`blocking_max`); "coverage" from that of `selector=coverage`,
except on imdb-tvdb and walmart-amazon, whose recorded answers cover the paper's selection alone.

Each line is one change of the student. "agree" and "loss" compare it with teacher answers it has not seen: five folds of the
labelled queries, the change made within the other folds alone, and its answers to the fold set against the teacher's own.
These two columns decide what is kept. The scores on the test queries (selection accuracy, pair F1, match F1; unweighted means
over the datasets; plain, then one-to-one) are read from gold and decide nothing. Means over the seeds come last, with the
standard deviation of the agreement; seeds move the folds and the trees, the selections are the same.

Changes:
  none           the student as it is, with fewer members
  repaired       the teacher's labels settled one-to-one by similarity first (of several queries that claim a candidate one stays)
  doubted        labels that students of three inner folds hold improbable (< 0.05) are left out (confident learning)
  softened       labels mixed with 0.3 of the distribution of students of three inner folds
  intercepts     a readiness to abstain of each dataset's own, fitted on held-out teacher answers
  both           repaired and intercepts
  prior          a readiness to abstain of each dataset's own, by expectation-maximisation on the queries without label
  context        for every feature, also how far it lies below the best candidate's
  self-training  also learns from its own one-to-one answers to 6,000 queries without label, at 0.3 of the weight
  comparator     mean logits of the trees and of `student=comparator`
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from recorded_students import DATASETS, METRICS, data_folder, recorded_task

from distiller import metrics, ragged
from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.metrics import Truth
from distiller.selector.coverage import Coverage
from distiller.store import Store
from distiller.student import listwise
from distiller.student.base import Lesson, pooled
from distiller.student.boosted import Boosted, staged
from distiller.student.calibrated import calibrated_answers
from distiller.student.comparator import Comparator
from distiller.task import Task
from distiller.teacher.recorded import Recorded
from distiller.trainer import Trainer

TEACHER = "qwen2.5-32b"
PARTLY_RECORDED = ("imdb-tvdb", "walmart-amazon")
FOLDS, INNER = 5, 3
UNLABELLED, WEIGHT = 6000, 0.3
Logits = Callable[[int], np.ndarray]  # of all pairs of a dataset, by its number


@dataclass(frozen=True)
class School:
    """Eight datasets with the answers to learn from; gold is for `score` alone."""

    tasks: list[Task]
    gold: list[Any]
    selected: list[np.ndarray]
    answers: list[AnswerSet]
    student: Boosted

    @property
    def n_labelled(self) -> np.ndarray:
        return np.array([int((a.choice >= 0).sum()) for a in self.answers])


def school(root: Path, store: Store, selection: str, student: Boosted) -> School:
    """Tasks and teacher answers under one selection."""
    tasks, gold, chosen, answers = [], [], [], []
    for name in DATASETS:
        task, matches, selected = recorded_task(root, name)
        task = replace(task, store=store, threads=1)
        if selection == "coverage" and name not in PARTLY_RECORDED:
            selected = Coverage(budget=0.1).select(task, task.candidates.query_ids).selected
        tasks.append(task)
        gold.append(matches)
        chosen.append(selected)
        answers.append(Recorded(name=TEACHER).answers(task, selected))
    return School(tasks, gold, chosen, answers, student)


@dataclass(frozen=True)
class Lines:
    """Pairs of labelled queries under one another, as `pooled` gives them, with the dataset of each query."""

    matrix: np.ndarray
    offsets: np.ndarray
    target: np.ndarray
    dataset: np.ndarray

    def part(self, queries: np.ndarray) -> "Lines":
        rows, offsets = ragged.rows_within(self.offsets, queries)
        options, _ = ragged.rows_within(ragged.option_offsets(self.offsets), queries)
        return Lines(self.matrix[rows], offsets, self.target[options], self.dataset[queries])


def lines(made: School, answers: list[AnswerSet]) -> Lines:
    """What is learnt from, features and targets."""
    lessons = [Lesson.of(task, each, soft=False) for task, each in zip(made.tasks, answers, strict=True)]
    _, matrix, offsets, target = pooled(lessons)
    return Lines(matrix, offsets, target, np.repeat(np.arange(len(lessons)), [len(each.query_ids) for each in lessons]))


@dataclass(frozen=True)
class Model:
    """Trees with their number of rounds and the calibration by dataset (the same for all unless a change says otherwise)."""

    boosters: list[Any]
    calibration: list[listwise.Calibration]
    widen: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def logits(self, task: Task, number: int) -> np.ndarray:
        """Calibrated logits of all pairs of a dataset."""
        matrix = self.widen(task.features.matrix, task.candidates.offsets)
        raw = np.mean([b.predict(matrix, raw_score=True, num_threads=1) for b in self.boosters], axis=0)
        return self.calibration[number](raw)


def as_is(matrix: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The features as they are."""
    return matrix


def with_gaps(matrix: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The features, and how far each lies below the largest among the query's candidates."""
    filled = np.nan_to_num(matrix)
    best = np.maximum.reduceat(filled, offsets[:-1], axis=0)
    return np.concatenate([matrix, filled - best[ragged.owner(offsets)]], axis=1)


def folded(student: Boosted, data: Lines, seed: int, count: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Logits of queries by trees that did not see them, after every round, [rounds, n_pairs]."""
    fold = listwise.folds(data.target, data.offsets, count, seed)
    logits = np.zeros((student.rounds, len(data.matrix)))
    for k in range(count):
        rows, _ = ragged.rows_within(data.offsets, np.flatnonzero(fold == k))
        seen = np.flatnonzero(fold != k)
        trees = student.trees(data.matrix, data.offsets, data.target, seen, student.rounds, 1, seed + k, weight)
        logits[:, rows] = staged(trees, data.matrix[rows], student.rounds)
    return logits


def best_round(logits: np.ndarray, data: Lines) -> int:
    """Index of the round whose held-out cross-entropy is smallest."""
    return int(np.argmin([listwise.cross_entropy(each, data.target, data.offsets).mean() for each in logits]))


def cleaned(student: Boosted, data: Lines, change: str, seed: int) -> tuple[Lines, np.ndarray]:
    """Targets and weights after the students of inner folds have judged the labels."""
    logits = folded(student, data, seed + 100, INNER)
    logits = logits[best_round(logits, data)]
    own = listwise.probabilities(listwise.Calibration.fit(logits, data.target, data.offsets)(logits), data.offsets)
    if change == "softened":
        return replace(data, target=0.7 * data.target + 0.3 * own), np.ones(len(data.dataset))
    of_label = ragged.segment_sum(own * data.target, ragged.option_offsets(data.offsets))
    return data, (of_label >= 0.05).astype(float)


def taught(made: School, data: Lines, change: str, seed: int, rounds: int, calibration: Any) -> Model:
    """One change of the student, trained on these lines."""
    student, widen = made.student, with_gaps if change == "context" else as_is
    weight = None
    if change in ("doubted", "softened"):
        data, weight = cleaned(student, data, change, seed)
    if change == "context":
        data = replace(data, matrix=with_gaps(data.matrix, data.offsets))
    if change == "self-training":
        plain = taught(made, data, "none", seed, rounds, calibration)
        data, weight = extended(made, data, plain, seed)
    everything = np.arange(len(data.offsets) - 1)
    boosters = [
        student.trees(data.matrix, data.offsets, data.target, everything, rounds, 1, seed + 5 + m, weight)
        for m in range(student.members)
    ]
    return Model(boosters, calibration, widen)


def extended(made: School, data: Lines, model: Model, seed: int) -> tuple[Lines, np.ndarray]:
    """The lines, with the model's one-to-one answers to some queries without label."""
    own = []
    draw = np.random.default_rng(seed)
    total = sum(len(t.candidates.query_ids) for t in made.tasks)
    for i, (task, selected) in enumerate(zip(made.tasks, made.selected, strict=True)):
        ids = task.candidates.query_ids
        answers = calibrated_answers("student", task, ids, model.logits(task, i))
        rest = np.setdiff1d(ids, selected)
        some = np.sort(draw.choice(rest, min(len(rest), UNLABELLED * len(ids) // total), replace=False))
        own.append(UniqueMapping().resolve(task, answers).of(some))
    more = lines(made, own)
    both = Lines(
        np.concatenate([data.matrix, more.matrix]),
        np.r_[data.offsets, data.offsets[-1] + more.offsets[1:]],
        np.r_[data.target, more.target],
        np.r_[data.dataset, more.dataset],
    )
    return both, np.repeat([1.0, WEIGHT], [len(data.dataset), len(more.dataset)])


def shifts(logits: np.ndarray, data: Lines, common: listwise.Calibration) -> list[listwise.Calibration]:
    """The common calibration with a shift of each dataset's own, drawn towards the common one by a prior of variance 1/4."""
    from scipy.optimize import minimize_scalar

    found = []
    for i in range(len(DATASETS)):
        part = np.flatnonzero(data.dataset == i)
        rows, _ = ragged.rows_within(data.offsets, part)
        own, raw = data.part(part), common(logits[rows])

        def loss(shift: float, raw: np.ndarray = raw, own: Lines = own) -> float:
            return float(listwise.cross_entropy(raw + shift, own.target, own.offsets).sum() + 2 * shift**2)

        shift = float(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)
        found.append(listwise.Calibration(common.scale, common.shift + shift))
    return found


def priors(made: School, model: Model, data: Lines) -> list[listwise.Calibration]:
    """The calibration with each dataset's share of "none" re-estimated on all its queries (Saerens et al. 2002)."""
    found = []
    for i, task in enumerate(made.tasks):
        logits, offsets = model.logits(task, i), task.candidates.offsets
        own = data.part(np.flatnonzero(data.dataset == i))
        first = float(np.clip(own.target[ragged.option_offsets(own.offsets)[:-1]].mean(), 0.01, 0.99))
        none, shift = first, 0.0
        for _ in range(50):
            p = listwise.probabilities(logits + shift, offsets)
            none = float(np.clip(p[ragged.option_offsets(offsets)[:-1]].mean(), 0.01, 0.99))
            shift = float(np.log((1 - none) / (1 - first)) - np.log(none / first))
        found.append(replace(model.calibration[i], shift=model.calibration[i].shift + shift))
    return found


def compared_logits(made: School, answers: list[AnswerSet], seed: int) -> Logits:
    """Logits of a comparator that learnt from the same answers."""
    student = Comparator(seed=seed)
    folder = Path(tempfile.mkdtemp())
    pairs = list(zip(made.tasks, answers, strict=True))
    facts = SFT().distil(student, pairs, Trainer(), 1, folder)
    checkpoint = Checkpoint(folder, facts=facts)

    def of(number: int) -> np.ndarray:
        task = made.tasks[number]
        given = student.answer(checkpoint, task, task.candidates.query_ids, Trainer(), 1)
        log_p = np.log(np.maximum(given.distribution, 1e-9))
        none = log_p[ragged.option_offsets(given.offsets)[:-1]][ragged.owner(given.offsets)]
        return ragged.without_none(log_p, given.offsets) - none

    return of


def held_out(made: School, answers: list[AnswerSet], change: str, seed: int) -> tuple[float, float, Model]:
    """Agreement and cross-entropy with teacher answers of unseen folds, and the student of all answers."""
    raw, data = lines(made, made.answers), lines(made, answers)
    student = made.student
    wide = replace(data, matrix=with_gaps(data.matrix, data.offsets)) if change == "context" else data
    staged_logits = folded(student, wide, seed, FOLDS)
    best = best_round(staged_logits, raw)
    common = listwise.Calibration.fit(staged_logits[best], raw.target, raw.offsets)
    calibration = [common] * len(DATASETS)
    fold = listwise.folds(raw.target, raw.offsets, FOLDS, seed)
    logits = common(staged_logits[best])
    if change in ("doubted", "softened", "self-training", "intercepts", "prior", "comparator"):
        for k in range(FOLDS):
            unseen, seen = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
            rows, _ = ragged.rows_within(raw.offsets, unseen)
            if change == "intercepts":
                seen_rows, _ = ragged.rows_within(raw.offsets, seen)
                own = shifts(staged_logits[best][seen_rows], raw.part(seen), common)
                each = np.array([c.shift for c in own])[raw.dataset[ragged.owner(raw.offsets)[rows]]]
                logits[rows] = common.scale * staged_logits[best][rows] + each
                continue
            model = taught(
                replace(made, student=replace(student, members=1)),
                data.part(seen),
                "none" if change in ("prior", "comparator") else change,
                seed + k,
                best + 1,
                calibration,
            )
            owner = raw.dataset[ragged.owner(raw.offsets)[rows]]
            value = np.mean([b.predict(raw.matrix[rows], raw_score=True) for b in model.boosters], axis=0)
            if change == "comparator":
                logits[rows] = (common(value) + _unseen_comparator(made, answers, fold == k, seed)[rows]) / 2
                continue
            scales = priors(made, model, data.part(seen)) if change == "prior" else calibration
            logits[rows] = (
                np.array([c.scale for c in scales])[owner] * value + np.array([c.shift for c in scales])[owner]
            )
    if change == "intercepts":
        calibration = shifts(staged_logits[best], raw, common)
    model = taught(made, data, change if change not in ("prior", "intercepts") else "none", seed, best + 1, calibration)
    if change == "prior":
        model = replace(model, calibration=priors(made, model, raw))
    loss = float(listwise.cross_entropy(logits, raw.target, raw.offsets).mean())
    return listwise.agreement(logits, raw.target, raw.offsets), loss, model


def _unseen_comparator(made: School, answers: list[AnswerSet], unseen: np.ndarray, seed: int) -> np.ndarray:
    """Logits of the labelled queries' pairs by a comparator that did not see some of these."""
    read = [a.of(a.query_ids[a.choice >= 0]) for a in answers]
    parts = np.split(unseen, np.cumsum(made.n_labelled)[:-1])
    seen = [a.of(a.query_ids[~part]) for a, part in zip(read, parts, strict=True)]
    of = compared_logits(made, seen, seed)
    rows = [task.candidates.of(a.query_ids)[0] for task, a in zip(made.tasks, read, strict=True)]
    return np.concatenate([of(i)[own] for i, own in enumerate(rows)])


def repaired(made: School) -> list[AnswerSet]:
    """The teacher's answers settled one-to-one."""
    return [UniqueMapping().resolve(task, a) for task, a in zip(made.tasks, made.answers, strict=True)]


def scores(made: School, logits: Logits) -> tuple[dict[str, float], dict[str, float]]:
    """Mean test scores, plain and one-to-one."""
    plain, settled = [], []
    for i, (task, gold, selected) in enumerate(zip(made.tasks, made.gold, made.selected, strict=True)):
        answers = calibrated_answers("student", task, task.candidates.query_ids, logits(i))
        truth = Truth.of(task.candidates, gold, np.setdiff1d(task.records.query_ids, selected))
        plain.append(metrics.score_answers(answers, truth))
        settled.append(metrics.score_answers(UniqueMapping().resolve(task, answers), truth))
    return metrics.mean(plain), metrics.mean(settled)


def measured(made: School, change: str, seed: int) -> list[float]:
    """Agreement, loss and the six scores of one change with one seed."""
    answers = repaired(made) if change in ("repaired", "both") else made.answers
    agreement, loss, model = held_out(made, answers, "intercepts" if change == "both" else change, seed)

    def logits(i: int) -> np.ndarray:
        return model.logits(made.tasks[i], i)

    if change == "comparator":
        other = compared_logits(made, answers, seed)
        both = [(logits(i) + other(i)) / 2 for i in range(len(made.tasks))]
        plain, settled = scores(made, both.__getitem__)
    else:
        plain, settled = scores(made, logits)
    return [agreement, loss, *(plain[m] for m in METRICS), *(settled[m] for m in METRICS)]


CHANGES = (
    "none",
    "repaired",
    "doubted",
    "softened",
    "intercepts",
    "both",
    "prior",
    "context",
    "self-training",
    "comparator",
)
ROW = "{:<10}{:<15}{:>8}" + "{:>9}" * 8


def main() -> None:
    """Print one line per selection, change and seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selections", nargs="*", default=["paper", "coverage"], choices=["paper", "coverage"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1924, 1, 2, 3, 4])
    parser.add_argument("--changes", nargs="*", default=list(CHANGES), choices=CHANGES)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--store", type=Path, default=Path("outputs/store"))
    options = parser.parse_args()
    store, student = Store(root=options.store), Boosted(members=options.members, rounds=options.rounds)
    print(ROW.format("selection", "change", "seed", "agree", "loss", *(["accuracy", "pair", "match"] * 2)))
    means = []
    for selection in options.selections:
        made = school(data_folder(), store, selection, student)
        found: dict[str, list[list[float]]] = {change: [] for change in options.changes}
        for seed, change in itertools.product(options.seeds, options.changes):
            found[change].append(measured(made, change, seed))
            print(ROW.format(selection, change, seed, *(f"{v:.4f}" for v in found[change][-1])), flush=True)
        for change, rows in found.items():
            spread = np.std([row[0] for row in rows], ddof=1) if len(rows) > 1 else 0.0
            means.append(
                ROW.format(selection, change, "mean", *(f"{v:.4f}" for v in np.mean(rows, axis=0)))
                + f"  ± {spread:.4f}"
            )
    print("\n".join(means))


if __name__ == "__main__":
    main()
