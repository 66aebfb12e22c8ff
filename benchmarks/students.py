"""Students taught by the paper's labels, beside the paper's own small students: three metrics, seconds, queries per second.

    DISTILLER_DATA=<folder> python benchmarks/students.py [student ...] [--set KEY=VALUE ...] [--datasets NAME ...]

A student is a choice of `conf/student/`, `boosted`, `comparator` and `minilm` unless told. It learns from the recorded answers
of qwen2.5-32b to the training queries of the `blocking_max` split of the eight datasets, 2,181 in all, and answers all
queries; scored are the test queries, 19,686 in all, as they were answered ("plain") and after unique mapping ("one-to-one").
Scores are unweighted means over the datasets. Gold matches are used for the scores alone.

Encoders are slow on a processor, so they run with settings that bring one run to the order of half an hour on two cores:
names and titles only, 32 tokens a pair, two epochs, training in mixed bfloat16. `--set` changes any of it:
`--set student.longest=128 student.attributes=null`. What was trained and answered is kept in `--store`: a run that was cut
off goes on with the dataset it was at. Seconds are those measured when it was made, on whatever else the machine did then.

The paper's rows are its recorded answers (MiniLM and RoBERTa, every pair judged alone, so that a query may have several
matches), scored in the same way; their seconds are those of its index, on one RTX 4090. Its log has no training seconds.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from recorded_students import DATASETS, METRICS, data_folder, recorded_task, score

from distiller import metrics
from distiller.artifacts import AnswerSet
from distiller.config import build, declares
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.experiment import Experiment
from distiller.metrics import Truth
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.recorded import Recorded

CONF = Path(__file__).parents[1] / "conf"
TEACHER = "qwen2.5-32b"
PAPER = {"MiniLM of the paper": "sft-slm-sminilm", "RoBERTa of the paper": "sft-slm-roberta"}
FAST = [
    "student.attributes=[name,title]",
    "student.form=plain",
    "student.longest=32",
    "student.epochs=2",
    "student.batch_size=8",
    "student.learning_rate=1e-4",
    "trainer.precision=bf16-mixed",
]
ROW = "{:<24}" + "{:>10}" * 6 + "{:>12}{:>11}{:>12}"


def experiment(student: str, settings: list[str], store: Path) -> Experiment:
    """A run's components with this student; encoders get the settings that make them fast, `settings` come after these."""
    words = ["logger=none", "dataset=paper", f"store.root={store}", f"student={student}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        encoder = "encoder" in compose("config", words).student._target_
        built = build(compose("config", [*words, *(FAST if encoder else []), *settings]))
    assert isinstance(built, Experiment)
    return built


def run(root: Path, student: str, settings: list[str], datasets: list[str], store: Store) -> dict[str, Any]:
    """Mean metrics, plain and one-to-one, with the seconds of training and answering and the number of queries."""
    parts = experiment(student, settings, store.root)
    lines = []
    for name in datasets:
        task, gold, train = recorded_task(root, name)
        task = replace(task, store=store, threads=parts.threads)
        lines.append((task, gold, train, Recorded(name=TEACHER).answers(task, train)))
    taught = [(task, answers) for task, _, _, answers in lines]
    keys = [key for task, answers in taught for key in (_key(task, parts.student), answers.key)]
    checkpoint = store.train(
        [parts.algorithm, parts.student, parts.trainer],
        keys,
        lambda folder: parts.algorithm.distil(parts.student, taught, parts.trainer, parts.threads, folder),
    )
    agreement = checkpoint.facts.get("held_out_agreement", checkpoint.facts.get("cv_agreement"))
    print(f"# {student} learnt from {checkpoint.facts['queries']:,} queries in {checkpoint.seconds:,.0f} s", flush=True)
    if agreement is not None:
        print(f"# {student} agrees with {agreement:.3f} of the teacher's held-out answers", flush=True)
    plain, settled, seconds, queries = [], [], 0.0, 0
    for task, gold, train, _ in lines:
        answers = answer(parts, checkpoint, task)
        seconds, queries = seconds + answers.seconds, queries + len(answers.choice)
        truth = Truth.of(task.candidates, gold, np.setdiff1d(task.records.query_ids, train))
        plain.append(metrics.score_answers(answers, truth))
        settled.append(metrics.score_answers(UniqueMapping().resolve(task, answers), truth))
        shown = "  ".join(f"{m} {plain[-1][m]:.3f}, {settled[-1][m]:.3f}" for m in METRICS)
        print(f"# {student} {task.name:15} {shown}  {answers.seconds:,.0f} s", flush=True)
    return {
        "plain": metrics.mean(plain),
        "one-to-one": metrics.mean(settled),
        "training": checkpoint.seconds,
        "answering": seconds,
        "queries": queries,
    }


def answer(parts: Experiment, checkpoint: Any, task: Task) -> AnswerSet:
    """The student's answers to all queries of a dataset, read from the store where they are there."""
    student = parts.student
    return task.store.produce(
        AnswerSet,
        [student],
        [checkpoint.key, _key(task, student)],
        lambda: student.answer(checkpoint, task, task.candidates.query_ids, parts.trainer, parts.threads),
    )


def _key(task: Task, student: Any) -> str:
    return task.features_key if declares(student, "USES_FEATURES") else task.key


def paper(root: Path, student: str, datasets: list[str]) -> dict[str, Any]:
    """The same of a student of the paper, from its recorded answers; it has no one-to-one scores."""
    name = f"{student}__{TEACHER}"
    scores = score(root, name)
    with open(root / "recorded_students" / "index.csv", newline="", encoding="utf-8") as file:
        seconds = next(float(row["test_seconds"] or "nan") for row in csv.DictReader(file) if row["student"] == name)
    return {
        "plain": metrics.mean([scores[each] for each in datasets]),
        "answering": seconds,
        "queries": sum(scores[each]["queries"] for each in DATASETS),
    }


def row(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    cells = [f"{found[k][m]:.4f}" if k in found else "-" for k in ("plain", "one-to-one") for m in METRICS]
    training = f"{found['training']:,.0f}" if "training" in found else "-"
    rate = found["queries"] / found["answering"]
    return ROW.format(name, *cells, training, f"{found['answering']:,.0f}", f"{rate:,.0f}")


def main() -> None:
    """Print one line per student."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("students", nargs="*", default=["boosted", "comparator", "minilm"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides, as of run.py")
    parser.add_argument("--datasets", nargs="*", default=list(DATASETS), choices=DATASETS, metavar="NAME")
    parser.add_argument("--store", type=Path, default=Path("outputs/store"))
    options = parser.parse_args()
    root, store = data_folder(), Store(root=options.store)
    lines = {name: run(root, name, options.set, options.datasets, store) for name in options.students}
    lines |= {name: paper(root, student, options.datasets) for name, student in PAPER.items()}
    print(f"{'':24}{'plain':>30}{'one-to-one':>30}")
    short = ("selection", "pair F1", "match F1")
    print(ROW.format("student", *short, *short, "training s", "answer s", "queries/s"))
    for name, found in lines.items():
        print(row(name, found))


if __name__ == "__main__":
    main()
