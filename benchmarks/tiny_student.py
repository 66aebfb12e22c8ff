"""Make a small language model that runs on a processor, for experiments with algorithms that need one.

    python benchmarks/tiny_student.py FOLDER [--school 3000] [--seed 0]

A Llama of some million parameters with random weights and a tokenizer trained on prompts. As a real student comes from
pretraining, this one first learns to compare in a school of synthetic products and publications with their true matches.
`FOLDER` then serves as `student.model=FOLDER` (`python run.py experiment=q4-rl`). The seconds are printed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from engine.tiny_model import tiny_checkpoint

from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet
from distiller.blocker.tfidf import Tfidf
from distiller.dataset.synthetic import Synthetic
from distiller.elicitation.label import Label
from distiller.records import Records
from distiller.store import Store
from distiller.student.language import Language
from distiller.task import Task
from distiller.teacher.gold import Gold
from distiller.trainer import Trainer

ASK = Label(serialization="plain", reply="score", prompt_tokens=512)


def school(
    store: Store, queries: int, seed: int, k: int = 6, shown: Callable[[Records], Records] = lambda records: records
) -> list[tuple[Task, AnswerSet]]:
    """Synthetic products and publications with their true matches as answers; k: candidates, shown: what is kept of records."""
    made = []
    for domain in ("products", "publications"):
        half = queries // 2
        records = shown(Synthetic(name=domain, domain=domain, queries=half, candidates=half * 3 // 2, seed=seed).load())
        blind = records.without_gold()
        task = Task(blind, Tfidf(k=k).block(blind, 2), store)
        made.append((task, Gold().answers(task, task.candidates.query_ids, records.matches)))
    return made


def blank(folder: Path, tasks: list[Task], seed: int) -> None:
    """Write a Llama with random weights whose tokenizer was trained on prompts about these tasks."""
    texts = [p.request.messages[-1][1] for task in tasks for p in ASK.prompts(task, task.candidates.query_ids[:600])]
    tiny_checkpoint(folder, hidden=128, layers=4, vocabulary=2048, texts=texts, seed=seed, spread=0.02)


def main() -> None:
    """Write the model into the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--school", type=int, default=3000, help="synthetic queries to learn comparing with; 0: none")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.folder.exists():
        parser.exit(1, f"error: {options.folder} exists; name another folder\n")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(root=Path(scratch, "store"))
        practice = school(store, max(options.school, 8), options.seed)
        made = Path(scratch, "blank")
        blank(made, [task for task, _ in practice], options.seed)
        told = "random weights"
        if options.school:
            pupil = Language(
                model=str(made),
                elicitation=ASK,
                dtype="float32",
                rank=0,
                epochs=options.epochs,
                batch_tokens=4096,
                learning_rate=1e-3,
                gradient_checkpointing=False,
                seed=options.seed,
            )
            checkpoint = SFT().taught(pupil, practice, Trainer(accelerator="cpu"), options.threads)
            told = f"agreement on unseen synthetic queries {checkpoint.facts['agreement']:.3f}"
            made = Path(checkpoint.folder)
        options.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, options.folder)
    print(f"{options.folder}: {told}, {time.perf_counter() - start:,.0f} s")


if __name__ == "__main__":
    main()
