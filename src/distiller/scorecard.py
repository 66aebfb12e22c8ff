"""What a run was worth: scores of teacher and student, seconds, use of gold, and what it was made from."""

import csv
import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from distiller import metrics, outcomes
from distiller.artifacts import AnswerSet, CandidateSet
from distiller.budget import total_spent
from distiller.config import DistillerError, identity, nearest, uses_gold
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.matches import claimed
from distiller.disambiguation.matches import matches as disambiguated
from distiller.experiment import Experiment
from distiller.metrics import Truth
from distiller.pipeline import Line
from distiller.rationale.scores import score_rationales, summary
from distiller.task import Task
from distiller.tracking import Tracker

PACKAGES = (
    "lightgbm",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "rapidfuzz",
    "torch",
    "pytorch-lightning",
    "hydra-core",
)
SOURCES = ("teacher", "student")
ESCALATED = (
    *("teacher", "asked", "sample", "open_queries", "share_asked", "level", "confidence", "met", "bound", "threshold"),
    *("recalibrated", "recalibration_p_value", "scale", "shift", "stopped"),
)


def scorecard(experiment: Experiment, lines: list[Line], tracker: Tracker) -> dict[str, Any]:
    """Everything measured, as plain JSON.

    `datasets` holds per dataset the forms of `teacher` (on the queries it labelled) and `student` (on the queries to be
    scored): `plain`, and `one_to_one` after disambiguation; `mean` their unweighted means. Seconds are those that the
    work took when it was done, also where this run found it in the store; a pooled student's training is divided among
    the datasets by the queries they gave. Teacher seconds are the sum of its answers' own.
    """
    datasets = {line.task.name: _dataset(experiment, line, lines, tracker) for line in lines}
    means: dict[str, Any] = {}
    for who in SOURCES:
        cards = [d[who] for d in datasets.values() if who in d]
        forms = set.intersection(*(set(c) for c in cards)) if len(cards) == len(datasets) and cards else set()
        means |= (
            {who: {form: metrics.mean([c[form] for c in cards]) for form in sorted(forms, reverse=True)}}
            if forms
            else {}
        )
    if spent := total_spent([d[part] for d in datasets.values() for part in ("spent", "spent_answering") if part in d]):
        means["spent"] = spent
    stages = [stage for stage in tracker.seconds if any(stage in d["seconds"] for d in datasets.values())]
    means["seconds"] = {s: float(np.mean([d["seconds"].get(s, 0.0) for d in datasets.values()])) for s in stages}
    return {
        "datasets": datasets,
        "mean": means,
        "recipe": {
            name: identity(getattr(experiment, name))
            for name in ("dataset", "blocker", "selector", "protocol", "teacher", "repair")
        }
        | {name: identity(getattr(experiment, name)) for name in ("student", "algorithm", "disambiguation", "trainer")}
        | ({"escalation": identity(experiment.escalation)} if experiment.escalation.ASKS else {}),
        "seed": experiment.seed,
        "uses_gold": [n for n in ("blocker", "selector", "teacher", "student") if uses_gold(getattr(experiment, n))],
        "until": experiment.until,
        "peak_memory_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
        ),
        **environment(),
    }


def _dataset(experiment: Experiment, line: Line, lines: list[Line], tracker: Tracker) -> dict[str, Any]:
    name, gold = line.task.name, line.records.matches
    seconds = {stage: per[name] for stage, per in tracker.seconds.items() if name in per}
    card: dict[str, Any] = {
        "blocking": line.blocking,
        "records": {"queries": len(line.records.query_ids), "candidates": len(line.records.candidate_ids)},
        "keys": {"records": line.records.key, "candidates": line.task.candidates.key},
        "seconds": seconds,
    }
    if line.selection is not None:
        card["keys"]["selection"] = line.selection.key
        card["selection"] = {part: len(line.selection.ids(part)) for part in ("train", "test", "unused")}
    if line.forecast is not None:
        card["forecast"] = line.forecast.as_facts()
    if line.teacher is not None:
        card["keys"]["teacher"] = line.teacher.key
        if spent := _spent(line.teacher):
            card["spent"] = spent
        if _explained(line.teacher):
            card["explanations"] = summary(score_rationales(line.task, line.teacher))
        seconds["elicit"] = float(np.sum(line.teacher.table["seconds"].to_numpy())) or seconds.get("elicit", 0.0)
        if gold is not None:
            truth = Truth.of(line.task.candidates, gold, line.teacher.query_ids)
            card["teacher"] = _forms(experiment, line.task, line.teacher, line.teacher_matches, truth)
    if line.checkpoint is not None:
        card["keys"]["checkpoint"] = line.checkpoint.key
        card["training"] = line.checkpoint.facts
        shares = {each.task.name: len(each.teacher.query_ids) for each in lines if each.teacher is not None}
        seconds["distil"] = line.checkpoint.seconds * shares[name] / sum(shares.values())
    if line.student is not None and line.selection is not None:
        card["keys"]["student"] = line.student.key
        if spent := _spent(line.student):
            card["spent_answering"] = spent
        if experiment.escalation.ASKS:
            card["escalation"] = {name: line.student.facts[name] for name in ESCALATED if name in line.student.facts}
        asking = "escalate" if experiment.escalation.ASKS else "predict"
        seconds[asking] = float(np.sum(line.student.table["seconds"].to_numpy())) or seconds.get(asking, 0.0)
        scored = line.selection.ids("test")
        if _explained(given := line.student.of(scored)):
            card["student_explanations"] = summary(score_rationales(line.task, given))
        if gold is not None and len(scored):
            truth = Truth.of(line.task.candidates, gold, scored)
            card["student"] = _forms(experiment, line.task, line.student, line.student_matches, truth)
    return card


def _explained(answers: AnswerSet) -> bool:
    """Whether any of the answers has a rationale."""
    return answers.table["rationale"].null_count < answers.table.num_rows


def _forms(
    experiment: Experiment, task: Task, plain: AnswerSet, settled: AnswerSet | None, truth: Truth
) -> dict[str, Any]:
    forms, resolver = {"plain": metrics.score_answers(plain, truth)}, experiment.disambiguation
    if resolver.FORM and settled is not None:
        several = resolver.SEVERAL
        forms[resolver.FORM] = (
            _several(task, settled, resolver, truth) if several else metrics.score_answers(settled, truth)
        )
    return forms


def _several(task: Task, answers: AnswerSet, resolver: Disambiguation, truth: Truth) -> dict[str, Any]:
    """Scores of answers that may claim several candidates each."""
    answers = answers.of(truth.evaluated)
    row, candidate, _ = claimed(task, answers, resolver)
    pairs = np.column_stack([answers.query_ids[row], candidate])
    return metrics.score_pairs(pairs, answers.query_ids[answers.choice == 0], truth)


def _spent(answers: AnswerSet) -> dict[str, Any]:
    """What the teacher's answers cost, whenever they were asked for, and what was forecast; empty if nothing was asked."""
    facts = answers.facts
    return {} if "requests" not in facts else {name: value for name, value in facts.items() if name != "incomplete"}


def objective(experiment: Experiment, card: dict[str, Any]) -> float:
    """The number a sweeper optimises: `objective` looked up in the scorecard's mean; NaN where it was not scored.

    Where a run does not disambiguate, its plain score stands for the one-to-one score.

    Raises:
        DistillerError: the path leads nowhere.
    """
    node: Any = card["mean"]
    for depth, word in enumerate(experiment.objective.split(".")):
        if word == "one_to_one" and word not in node and "plain" in node:
            word = "plain"
        if not depth and word in SOURCES and word not in node:
            return float("nan")
        node = _step(experiment.objective, node, word)
    if not isinstance(node, float):
        raise DistillerError(f"objective={experiment.objective}: is no number{nearest('', list(node))}")
    return node


def check_objective(path: str) -> None:
    """Raise DistillerError if `path` can be no number of a scorecard's mean; needs no scorecard, so it comes first."""
    source, *words = path.split(".")
    node: Any = _step(path, {**dict.fromkeys(SOURCES), "seconds": None}, source)
    if source == "seconds":
        return  # which stages a run has is known when it is done
    any_answer = AnswerSet.make("", np.array([0]), np.array([0]), np.array([0, 1]), np.array([1]), np.array([0.0, 1.0]))
    pairs = pa.table({"query_id": [0], "candidate_id": [0], "similarity": [1.0], "position": [1]})
    truth = Truth(np.array([0]), CandidateSet(pairs), np.array([[0, 0]]))
    node = dict.fromkeys(("plain", "one_to_one", "many_to_many"), metrics.score_answers(any_answer, truth))
    for word in words:
        node = _step(path, node, word)
    if isinstance(node, dict):
        raise DistillerError(f"objective={path}: is no number{nearest('', list(node))}")


def _step(path: str, node: Any, word: str) -> Any:
    if not isinstance(node, dict) or word not in node:
        known = list(node) if isinstance(node, dict) else []
        raise DistillerError(f"objective={path}: there is no score {word!r}{nearest(word, known)}")
    return node[word]


def environment() -> dict[str, Any]:
    """What the run was made with: versions, commit (with `+` if changed since), processor, cores."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": versions, "commit": _commit(), "platform": platform.platform(), "cores": os.cpu_count()}


def _commit() -> str | None:
    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def write(folder: Path, card: dict[str, Any], lines: list[Line], resolver: Disambiguation) -> None:
    """Write scorecard.json, scorecard.csv, matches.csv and outcomes.parquet into the run's folder."""
    rows = [
        [name, who, form, metric, value]
        for name, dataset in [*card["datasets"].items(), ("mean", card["mean"])]
        for who in SOURCES
        for form, scores in dataset.get(who, {}).items()
        for metric, value in scores.items()
    ]
    with open(folder / "scorecard.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["dataset", "source", "form", "metric", "value"], *rows])
    found = [matches(line, resolver) for line in lines if line.student_matches is not None]
    if found:
        pyarrow.csv.write_csv(pa.concat_tables(found, promote_options="default"), folder / "matches.csv")
    if (answered := outcomes.of_run(lines, card["datasets"], resolver)).num_rows:
        pq.write_table(answered, folder / outcomes.FILE, compression="zstd")
    partial = folder / "scorecard.json.part"
    partial.write_text(json.dumps(card, indent=1), encoding="utf-8")
    partial.rename(folder / "scorecard.json")


def matches(line: Line, resolver: Disambiguation) -> pa.Table:
    """The pairs the student holds for matches, see `disambiguation.matches.matches`, with dataset and part of the query."""
    assert line.student_matches is not None
    assert line.selection is not None
    found = disambiguated(line.task, line.student_matches, resolver)
    records, parts = line.records, line.selection.table
    names = records.query_names if records.query_names is not None else pa.array(records.query_ids)
    row = pc.index_in(found["query_id"], value_set=names.cast(pa.string()))
    found = found.add_column(0, "dataset", pa.array([records.name] * found.num_rows, pa.string()))
    return found.add_column(4, "part", parts["part"].take(row))
