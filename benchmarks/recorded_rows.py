"""Write the paper's recorded students and teachers as runs, so that boards and comparisons have them beside our own.

    DISTILLER_DATA=<folder> python benchmarks/recorded_rows.py outputs/recorded

Each row is a folder with scorecard.json and outcomes.parquet, as a run writes them, scored by our metrics from the recorded
answers: the fine-tuned students and the two zero-shot language models on the test queries of the `blocking_max` split (source
"student"), the teachers on its training queries (source "teacher"). The zero-shot models' answers to imdb-tvdb and
walmart-amazon are not in the data, so they have six datasets. A number beyond the list of candidates is a reply that could
not be read: wrong, but it claims no pair. Encoders judge each pair alone and may claim several candidates of a query.

What the paper publishes without answers to single queries (`paper.csv`: other students, state of the art) becomes a row of
figures, marked "published", which no significance can be computed for. Figures by a metric of their own (ZeroER on other
candidates, ComEM without the queries that it filtered) are left out here and told by `compare.py`.

Seconds are the paper's own: answering and asking summed over single queries, training from its log, on its machines.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from recorded_students import DATASETS, data_folder, students, test_truth
from teachers import SINGLE, majority, read_anew, task_of

from distiller import metrics, outcomes
from distiller.artifacts import AnswerSet
from distiller.blocker.recorded import Recorded as RecordedBlocker
from distiller.board.runs import OUTCOMES, SCORECARD, signature
from distiller.config import identity
from distiller.dataset.paper import Paper as PaperDatasets
from distiller.metrics import Truth
from distiller.protocol.paper import Paper as PaperProtocol
from distiller.selector.recorded import Recorded as RecordedSelector
from distiller.teacher.base import Teacher
from distiller.teacher.recorded import Recorded

FIGURES = Path(__file__).with_name("paper.csv")
ZERO_SHOT = {"zero-shot__llama3.1-8b": "llama3.1-8b", "zero-shot__qwen2.5-32b": "qwen2.5-32b"}
SHARED = ("selection_accuracy", "pair_f1", "match_f1")


def card(root: Path, name: str, part: str, published: bool = False) -> dict[str, Any]:
    """A scorecard without any dataset yet. part: whose answers these are, student or teacher."""
    recipe: dict[str, Any] = {
        "dataset": identity(PaperDatasets(names=list(DATASETS), root=None, cache=None, url=None)),
        "blocker": identity(RecordedBlocker()),
        "selector": identity(RecordedSelector()),
        "protocol": identity(PaperProtocol()),
    }
    labels = name.split("+")[0].partition("__")[2]
    recipe[part] = {"class": f"paper.{name}"}
    if part == "student" and labels and name not in ZERO_SHOT:
        recipe["teacher"] = {"class": "recorded", "name": labels}
    return {
        "name": f"{'published' if published else 'paper'}: {name}",
        "datasets": {},
        "mean": {},
        "recipe": recipe,
        "seed": 0,
        "uses_gold": ["teacher"] if labels == "gold" else [],
        "commit": None,
    }


def dataset_card(root: Path, name: str) -> dict[str, Any]:
    """The part of a scorecard that is about one dataset, without scores."""
    task, _, train = task_of(root, name)
    everyone = len(task.records.query_ids)
    return {
        "records": {"queries": everyone, "candidates": len(task.records.candidate_ids)},
        "keys": {"records": task.records.key, "candidates": task.candidates.key},
        "seconds": {},
        "selection": {"train": len(train), "test": everyone - len(train), "unused": 0},
    }


def recorded_student(root: Path, student: str) -> tuple[dict[str, Any], list[pa.Table]]:
    """Scorecard and outcomes of a fine-tuned student of the paper."""
    made, found = card(root, student, "student"), []
    with open(root / "recorded_students" / "index.csv", newline="", encoding="utf-8") as file:
        index = next(row for row in csv.DictReader(file) if row["student"] == student)
    answers = pv.read_csv(root / "recorded_students" / f"{student}.csv.gz")
    labels = student.partition("__")[2]
    sizes = {name: len(task_of(root, name)[2]) for name in DATASETS}
    for name in DATASETS:
        truth, own = test_truth(root, name), dataset_card(root, name)
        given = answers.filter(pc.equal(answers["dataset"], name))
        if "answer" in given.column_names:
            given = given.sort_by("query_id")
            ids, number = given["query_id"].to_numpy(), given["answer"].to_numpy()
            rows, offsets = truth.candidates.of(ids)
            choice = np.where(number > np.diff(offsets), -1, number)
            said = AnswerSet.make("recorded", ids, truth.candidates.candidate_ids[rows], offsets, choice)
            scores, table = (
                metrics.score_answers(said, truth),
                outcomes.of_answers(name, "student", "plain", said, truth),
            )
            own["seconds"]["predict"] = float(np.sum(given["seconds"].to_numpy()))
        else:
            claims = given.filter(pc.equal(given["match"], 1))
            pairs = np.column_stack([claims["left_id"].to_numpy(), claims["right_id"].to_numpy()])
            scores = metrics.score_pairs(pairs, np.setdiff1d(truth.evaluated, pairs[:, 0]), truth)
            table = outcomes.of_pairs(name, "student", "plain", pairs, truth)
            own["seconds"]["predict"] = float(index["test_seconds"]) * scores["queries"] / _tested(root)
        if labels in SINGLE:
            own["seconds"]["elicit"] = float(np.sum(_asked(root, name, labels).table["seconds"].to_numpy()))
        if index["training_seconds"]:
            own["seconds"]["distil"] = float(index["training_seconds"]) * sizes[name] / sum(sizes.values())
        made["datasets"][name] = own | {"student": {"plain": scores}}
        found.append(table)
    return made, found


def _tested(root: Path) -> int:
    return sum(len(test_truth(root, name).evaluated) for name in DATASETS)


def _asked(root: Path, name: str, teacher: str) -> AnswerSet:
    task, _, train = task_of(root, name)
    return Recorded(name=teacher).answers(task, train)


def zero_shot(root: Path, row: str) -> tuple[dict[str, Any], list[pa.Table]]:
    """Scorecard and outcomes of a language model that answered the test queries untaught, on the datasets it is recorded on."""
    made, found = card(root, row, "student"), []
    for name in DATASETS:
        truth, (task, _, _) = test_truth(root, name), task_of(root, name)
        said = Recorded(name=ZERO_SHOT[row], missing="skip", reading="text").answers(
            task, np.union1d(truth.evaluated, task_of(root, name)[2])
        )
        if not np.isin(truth.evaluated, said.query_ids).all():
            continue
        said = said.of(truth.evaluated)
        own = dataset_card(root, name)
        own["seconds"]["predict"] = float(np.sum(said.table["seconds"].to_numpy()))
        made["datasets"][name] = own | {"student": {"plain": metrics.score_answers(said, truth)}}
        found.append(outcomes.of_answers(name, "student", "plain", said, truth))
    return made, found


def recorded_teacher(root: Path, name: str, teacher: Teacher) -> tuple[dict[str, Any], list[pa.Table]]:
    """Scorecard and outcomes of a teacher on the training queries."""
    made, found = card(root, name, "teacher"), []
    for each in DATASETS:
        task, gold, train = task_of(root, each)
        said, truth = teacher.answers(task, train), Truth.of(task.candidates, gold, train)
        own = dataset_card(root, each)
        own["seconds"]["elicit"] = float(np.sum(said.table["seconds"].to_numpy()))
        made["datasets"][each] = own | {"teacher": {"plain": metrics.score_answers(said, truth)}}
        found.append(outcomes.of_answers(each, "teacher", "plain", said, truth))
    return made, found


def published_rows(root: Path, recorded: set[str], signatures: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Scorecards of what the paper publishes on the test queries without answers to single ones, by method."""
    with open(FIGURES, newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "test" and r["metric"] in SHARED]
    made: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["method"] in recorded or row["dataset"] == "mean":
            continue
        own = made.setdefault(row["method"], card(root, row["method"], "student", published=True))
        own["published"] = {"table": row["table"], "origin": row["origin"]}
        part = own["datasets"].setdefault(row["dataset"], dataset_card(root, row["dataset"]))
        part["scored"] = signatures[row["dataset"]]
        part.setdefault("student", {}).setdefault("plain", {})[row["metric"]] = float(row["value"])
    return made


def write(folder: Path, made: dict[str, Any], found: list[pa.Table]) -> None:
    """Write the files of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    for who in ("student", "teacher"):
        forms = [each[who] for each in made["datasets"].values() if who in each]
        made["mean"] |= {who: {"plain": metrics.mean([f["plain"] for f in forms])}} if forms else {}
    if found:
        pq.write_table(pa.concat_tables(found), folder / OUTCOMES, compression="zstd")
    (folder / SCORECARD).write_text(json.dumps(made, indent=1), encoding="utf-8")


def main() -> None:
    """Write one folder per row and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the rows, one folder each")
    out = parser.parse_args().out
    root = data_folder()
    made = {name: recorded_student(root, name) for name in students(root)}
    signatures = {str(t["dataset"][0]): signature(_columns(t)) for t in made["sft-llm__qwen2.5-32b"][1]}
    untaught = {name: zero_shot(root, name) for name in ZERO_SHOT}
    figures = published_rows(root, set(made), signatures)
    taught = {f"teacher-{name}": recorded_teacher(root, name, read_anew(name)) for name in SINGLE}
    taught["teacher-majority-of-3"] = recorded_teacher(root, "majority-of-3", majority())
    for name, (own, found) in {**made, **untaught, **taught}.items():
        write(out / name, own, found)
    for name, own in figures.items():
        write(out / f"published-{name}", own, [])
    print(
        f"{len(made)} recorded students, {len(untaught)} zero-shot models, {len(taught)} teachers and {len(figures)} rows of "
        f"published figures written to {out}"
    )


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in table.column_names}


if __name__ == "__main__":
    main()
