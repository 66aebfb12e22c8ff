"""SFT, KD, DPO and GRPO on one tiny Llama trained from scratch, on real prompts with recorded labels: curves and accuracy.

    DISTILLER_DATA=<folder> python benchmarks/language_algorithms.py [--seeds 0 1 2] [-o FILE]

Prompts are queries of abt-buy and dblp-acm with the paper's candidates, names and titles alone, long values shortened. Labels
are recorded answers of qwen2.5-32b; `kd` learns the shares of three recorded teachers. The model has random weights and a
tokenizer trained on these prompts. It first learns to compare in a school of synthetic records, of which there are as many as
one likes, with their true matches, as a real student comes from pretraining; `--school 0` goes without. Then each algorithm
teaches it; DPO and GRPO begin once at the school's end, once where `sft` ended.

Scored are queries that no algorithm saw: accuracy by gold, which is read for scoring alone, and agreement with the teacher.
Losses are those of each algorithm in its first and last epoch, on what it learns from and on unseen labels; "reward" is
GRPO's, of its own drawn replies. DPO's first loss is log 2 by definition. The file (JSON) has the whole curves.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from recorded_students import data_folder
from tiny_student import school

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from engine.tiny_model import tiny_checkpoint

from distiller.algorithm.base import Algorithm
from distiller.algorithm.dpo import DPO
from distiller.algorithm.grpo import GRPO
from distiller.algorithm.kd import KD
from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet
from distiller.blocker.recorded import Recorded as RecordedBlocker
from distiller.dataset.benchmark import Benchmark
from distiller.elicitation.label import Label
from distiller.metrics import Truth, score_answers
from distiller.records import Records
from distiller.scorecard import environment
from distiller.store import Store
from distiller.student.language import Language
from distiller.task import Task
from distiller.teacher.recorded import Recorded
from distiller.teacher.vote import Vote
from distiller.trainer import Trainer

NAMES = ("name", "title")
TEACHERS = ("qwen2.5-32b", "llama3.1-70b", "llama3.1-8b")
ASK = Label(serialization="plain", reply="score", prompt_tokens=320, order="shuffled")
ROW = "{:<22}{:>6}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>11}{:>9}"


def named(records: Records) -> Records:
    """The records with their ids and names alone."""

    def kept(table: pa.Table) -> pa.Table:
        return table.select(["id", *(name for name in NAMES if name in table.column_names)])

    return replace(records, queries=kept(records.queries), candidates=kept(records.candidates))


def real(root: Path, name: str, store: Store, train: int, test: int) -> tuple[Task, pa.Table, np.ndarray, np.ndarray]:
    """A dataset by names alone, its gold matches, and queries to learn from and to be scored, drawn at random."""
    records = Benchmark(name=name, root=root).load()
    assert records.matches is not None
    candidates = RecordedBlocker().block(records, 2)
    task = Task(named(records).without_gold(), candidates, store)
    known = Recorded(name=TEACHERS[0], missing="skip").answers(task, candidates.query_ids)
    drawn = np.random.default_rng(1924).permutation(known.query_ids)
    return task, records.matches, np.sort(drawn[:train]), np.sort(drawn[train : train + test])


def blank(folder: Path, tasks: Sequence[Task], hidden: int, layers: int, seed: int) -> Path:
    """A Llama with random weights whose tokenizer was trained on prompts about these tasks."""
    texts = [p.request.messages[-1][1] for task in tasks for p in ASK.prompts(task, task.candidates.query_ids[:600])]
    return tiny_checkpoint(folder, hidden=hidden, layers=layers, vocabulary=2048, texts=texts, seed=seed, spread=0.02)


@dataclass(frozen=True)
class Lessons:
    """What is learnt and scored on one dataset. hard, soft: the teacher's answers and the shares of three teachers."""

    task: Task
    gold: pa.Table
    test: np.ndarray
    hard: AnswerSet
    soft: AnswerSet
    wanted: AnswerSet

    @classmethod
    def of(cls, task: Task, gold: pa.Table, train: np.ndarray, test: np.ndarray) -> "Lessons":
        one = Recorded(name=TEACHERS[0])
        vote = Vote(members={name: Recorded(name=name, missing="skip") for name in TEACHERS})
        return cls(task, gold, test, one.answers(task, train), vote.answers(task, train), one.answers(task, test))


@dataclass(frozen=True)
class Bench:
    """One seed's model and what it may be taught with."""

    lessons: list[Lessons]
    model: str
    seed: int
    threads: int
    epochs: int

    def student(self, model: str) -> Language:
        return Language(
            model=model,
            elicitation=ASK,
            dtype="float32",
            rank=0,
            epochs=self.epochs,
            batch_tokens=4096,
            learning_rate=5e-4,
            gradient_checkpointing=False,
            seed=self.seed,
        )

    def taught(self, algorithm: Algorithm, model: str, soft: bool = False) -> tuple[str, dict[str, Any], float]:
        """Folder of the weights, facts about the training, and its seconds."""
        answered = [(each.task, each.soft if soft else each.hard) for each in self.lessons]
        made = algorithm.taught(self.student(model), answered, Trainer(accelerator="cpu"), self.threads)
        return str(made.folder), made.facts, made.seconds

    def scored(self, model: str) -> dict[str, float]:
        """Accuracy by gold and agreement with the teacher on the unseen queries, means over the datasets."""
        from distiller.artifacts import Checkpoint

        accuracies, agreements = [], []
        for each in self.lessons:
            checkpoint = Checkpoint(folder=Path(model), facts={})
            answers = self.student(model).answer(
                checkpoint, each.task, each.test, Trainer(accelerator="cpu"), self.threads
            )
            truth = Truth.of(each.task.candidates, each.gold, each.test)
            accuracies.append(score_answers(answers, truth)["selection_accuracy"])
            agreements.append(float(np.mean(answers.chosen_ids == each.wanted.chosen_ids)))
        return {"accuracy": float(np.mean(accuracies)), "agreement": float(np.mean(agreements))}


def baselines(lessons: list[Lessons]) -> dict[str, float]:
    """Accuracy, means over the datasets, of answers that need no model; the random one is the expected value."""
    found: dict[str, list[float]] = {"always none": [], "random candidate": [], "most similar": [], TEACHERS[0]: []}
    for each in lessons:
        truth = Truth.of(each.task.candidates, each.gold, each.test)
        rows, offsets = each.task.candidates.of(each.test)
        shown, counts = each.task.candidates.candidate_ids[rows], np.diff(offsets)
        best = 1 + np.array([each.task.candidates.similarity[rows[a:b]].argmax() for a, b in _cuts(offsets)])
        drawn = [np.random.default_rng(draw).integers(1, counts + 1) for draw in range(20)]
        ways = {"always none": [np.zeros_like(counts)], "random candidate": drawn, "most similar": [best]}
        for name, choices in ways.items():
            made = [AnswerSet.make(name, each.test, shown, offsets, choice) for choice in choices]
            found[name].append(float(np.mean([score_answers(a, truth)["selection_accuracy"] for a in made])))
        found[TEACHERS[0]].append(score_answers(each.wanted, truth)["selection_accuracy"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def _cuts(offsets: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def algorithms(options: argparse.Namespace) -> dict[str, tuple[Algorithm, str, bool]]:
    """name -> (algorithm, the run whose weights it starts from, whether it learns shares)."""
    grpo = GRPO(epochs=options.moves, learning_rate=options.rate, samples=8, reply_tokens=6)
    dpo = DPO(epochs=options.moves, learning_rate=options.rate)
    anchored = replace(dpo, anchor=1.0)
    return {
        "sft": (SFT(), "school", False),
        "kd": (KD(), "school", True),
        "dpo": (dpo, "school", False),
        "dpo, anchor=1": (anchored, "school", False),
        "grpo": (grpo, "school", False),
        "sft, then dpo": (dpo, "sft", False),
        "sft, then dpo anchor=1": (anchored, "sft", False),
        "sft, then grpo": (grpo, "sft", False),
    }


def one_seed(options: argparse.Namespace, seed: int, root: Path, scratch: Path) -> list[dict[str, Any]]:
    """Results of all algorithms for one seed; prints a row for each as it comes."""
    store = Store(root=options.store)
    sets = [real(root, name, store, options.train, options.test) for name in ("abt-buy", "dblp-acm")]
    lessons = [Lessons.of(*each) for each in sets]
    practice = school(store, max(options.school, 8), seed, k=8, shown=named)
    folder = blank(
        scratch / f"blank-{seed}", [task for task, _ in practice] + [each.task for each in lessons], 128, 4, seed
    )
    bench = Bench(lessons, str(folder), seed, options.threads, options.epochs)
    ends = {"school": str(folder)}
    if options.school:
        pupil = replace(bench.student(str(folder)), epochs=options.school_epochs, learning_rate=1e-3)
        made = SFT().taught(pupil, practice, Trainer(accelerator="cpu"), options.threads)
        ends["school"] = str(made.folder)
        print(
            f"# seed {seed}: school {made.seconds:,.0f} s, agreement on its unseen queries {made.facts['agreement']:.3f}"
        )
    if seed == options.seeds[0]:
        print("# " + ", ".join(f"{name} {value:.3f}" for name, value in baselines(lessons).items()))
        print(
            ROW.format(
                "",
                "seed",
                "loss 1",
                "loss n",
                "unseen 1",
                "unseen n",
                "reward 1",
                "reward n",
                "accuracy",
                "agreement",
                "s",
            )
        )
    start = bench.scored(ends["school"])
    results = [{"algorithm": "before", "seed": seed, **start, "facts": {}, "seconds": 0.0}]
    print(
        ROW.format("before", seed, *[""] * 6, f"{start['accuracy']:.3f}", f"{start['agreement']:.3f}", ""), flush=True
    )
    for name, (algorithm, begins, soft) in algorithms(options).items():
        if begins not in ends:
            continue
        ends[name], facts, seconds = bench.taught(algorithm, ends[begins], soft)
        found = {"algorithm": name, "seed": seed, **bench.scored(ends[name]), "facts": facts, "seconds": seconds}
        print(line(found), flush=True)
        results.append(found)
    return results


def line(found: dict[str, Any]) -> str:
    """One row of the table."""
    curve, rewards = found["facts"]["curve"], found["facts"].get("rewards", [])
    (_, first, unseen_first), (_, last, unseen_last) = curve[0], curve[-1]
    losses = [f"{x:.3f}" for x in (first, last, unseen_first, unseen_last)]
    earned = [f"{float(np.mean(part)):.3f}" for part in (rewards[:10], rewards[-10:])] if rewards else ["", ""]
    scores = f"{found['accuracy']:.3f}", f"{found['agreement']:.3f}", f"{found['seconds']:,.0f}"
    return ROW.format(found["algorithm"], found["seed"], *losses, *earned, *scores)


def main() -> None:
    """Print one row per algorithm and seed, then means with standard deviations over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=600, help="queries of each dataset to learn from")
    parser.add_argument("--test", type=int, default=300, help="queries of each dataset to score")
    parser.add_argument("--school", type=int, default=6000, help="synthetic queries to learn comparing with")
    parser.add_argument("--school-epochs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="of sft and kd")
    parser.add_argument("--moves", type=int, default=2, help="epochs of dpo and grpo")
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate of dpo and grpo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("outputs/store"))
    parser.add_argument("-o", "--out", type=Path, help="file (JSON) for the curves")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        results = [r for seed in options.seeds for r in one_seed(options, seed, data_folder(), Path(scratch))]
    print(f"\n{'mean ± sd over seeds':<22}{'accuracy':>16}{'agreement':>16}")
    for name in dict.fromkeys(found["algorithm"] for found in results):
        own = [found for found in results if found["algorithm"] == name]
        cells = [
            f"{np.mean(v):.3f} ± {np.std(v, ddof=1) if len(v) > 1 else 0:.3f}"
            for v in ([found[key] for found in own] for key in ("accuracy", "agreement"))
        ]
        print(f"{name:<22}{cells[0]:>16}{cells[1]:>16}")
    if options.out:
        said = {key: str(value) for key, value in vars(options).items() if key not in ("store", "out")}
        body = {"settings": said, "seconds": time.perf_counter() - started, **environment(), "results": results}
        options.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
