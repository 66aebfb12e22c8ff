"""A small model taught on a share of a language model's answers as teacher, beside the paper's small-model teachers.

    DISTILLER_DATA=<folder> python benchmarks/trained_teachers.py [--source qwen2.5-32b] [--share 0.2] [--seeds 3]

Training queries of the `blocking_max` split of the eight datasets. `teacher=trained` asks the source about a share of the
queries of each dataset and lets `student=boosted`, taught on these alone, answer the others; scores are means over the seeds
of that draw. "all" is the accuracy over all queries, the source's own answers among them; "others" that over the queries
that the student answered, and "source there" the source's own accuracy on the same. "asked" is the share of queries that
needed a prompt.

The paper's small models are trained on a share of the pairs, pooled over the datasets: the prompts of 62 % of the queries
are needed for 20 % of the pairs, and the language model's own answers are then not used. Their F1 (`paper_teachers.csv`) is
over the queries of which the model was asked any pair.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from recorded_students import DATASETS, data_folder, recorded_task
from teachers import line, published_table, read_anew, with_mean

from distiller import metrics
from distiller.algorithm.sft import SFT
from distiller.metrics import Truth
from distiller.store import Store
from distiller.student.boosted import Boosted
from distiller.teacher.trained import Trained
from distiller.trainer import Trainer


def scores(root: Path, teacher: Trained, seeds: list[int], store: Store) -> dict[str, dict[str, float]]:
    """Means over the seeds: what -> dataset -> score."""
    found: dict[str, dict[str, float]] = {}
    for name in DATASETS:
        task, gold, train = recorded_task(root, name)
        task = replace(task, store=store)
        each = []
        for seed in seeds:
            seeded = replace(teacher, seed=seed)
            answers, source = seeded.answers(task, train), teacher.source.answers(task, train)
            others = np.setdiff1d(train, seeded.drawn(train))
            everywhere, there = (Truth.of(task.candidates, gold, asked) for asked in (train, others))
            whole = metrics.score_answers(answers, everywhere)
            each.append(
                {
                    "all": whole["selection_accuracy"],
                    "all, pair F1": whole["pair_f1"],
                    "others": metrics.score_answers(answers, there)["selection_accuracy"],
                    "source there": metrics.score_answers(source, there)["selection_accuracy"],
                    "asked": 1 - len(others) / len(train),
                    "training seconds": answers.facts["training_seconds"],
                }
            )
        for what, value in metrics.mean(each).items():
            found.setdefault(what, {})[name] = value
    return found


def main() -> None:
    """Print ours, then theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="qwen2.5-32b")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    teacher = Trained(
        source=read_anew(options.source), student=Boosted(), algorithm=SFT(), trainer=Trainer(), share=options.share
    )
    print(f"{'':47}" + "".join(f"{name[:8]:>9}" for name in (*DATASETS, "mean")))
    with tempfile.TemporaryDirectory(prefix="trained-") as folder:
        seeds = [1924 + i for i in range(options.seeds)]
        for what, values in scores(data_folder(), teacher, seeds, Store(root=Path(folder))).items():
            line(teacher.label(), what, with_mean(values))
    for (name, measure), values in published_table().items():
        if name == options.source or name.endswith(f"-of-{options.source}"):
            line(name, f"{measure}, published", values)


if __name__ == "__main__":
    main()
