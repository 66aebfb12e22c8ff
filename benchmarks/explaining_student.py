"""A tiny Llama, begun with random weights, learns answers with their reasons from recorded explanations of a dataset.

    DISTILLER_DATA=<folder> python benchmarks/explaining_student.py [--dataset abt-buy] [--taught 400] [--epochs 6] [-o FILE]

Prompts show names alone and at most `--candidates` candidates, the teacher's choice among them. What is learnt are the answers
and explanations that qwen2.5-32b gave to these queries; scored are the answers and rationales to queries that were not
learnt from, beside those of the teacher to the same queries. A model of this size learns how an explanation is written and to
quote, not to judge: the figures show that the path works, not what a pretrained student would reach.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from recorded_students import data_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from engine.tiny_model import tiny_checkpoint

from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.blocker.recorded import Recorded as RecordedBlocker
from distiller.dataset.benchmark import Benchmark
from distiller.elicitation.explain import Explain
from distiller.rationale.scores import score_rationales, summary
from distiller.scorecard import environment
from distiller.store import Store
from distiller.student.language import Language
from distiller.task import Task
from distiller.teacher.recorded import Recorded
from distiller.trainer import Trainer

TEACHER = "qwen2.5-32b"
ASK = Explain(serialization="plain", prompt_tokens=384, reply_tokens=96)
RATES = ("grounded", "invented", "consistent", "specific")


def lists(whole: CandidateSet, answers: AnswerSet, most: int) -> tuple[CandidateSet, AnswerSet]:
    """Shorter lists: the first candidates of each query, the last of them replaced by the one that the teacher chose."""
    from distiller.rationale.reasons import Reasons

    rows, pairs = [], []
    for row, chosen in zip(answers.table.to_pylist(), answers.chosen_ids.tolist(), strict=True):
        own = row["options"][:most]
        if chosen >= 0 and chosen not in own:
            own = [*own[:-1], chosen]
        numbers = {None: 0, **{c: i for i, c in enumerate(own, 1)}}
        said = Reasons(tuple(row["options"]), tuple([row["rationale"]] * (len(row["options"]) + 1)))
        order = [*own, *(c for c in row["options"] if c not in own)]
        rows.append(
            row
            | {
                "options": own,
                "choice": None if row["choice"] is None else numbers[chosen if chosen >= 0 else None],
                "rationale": said.shown(order)[0],
            }
        )
        pairs += [
            {"query_id": row["query_id"], "candidate_id": c, "similarity": 0.5, "position": i}
            for i, c in enumerate(own, 1)
        ]
    candidates = CandidateSet(pa.Table.from_pylist(pairs, schema=CandidateSet.SCHEMA), key=f"{whole.key}-{most}")
    return candidates, AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA), key=f"{answers.key}-{most}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="abt-buy")
    parser.add_argument("--taught", type=int, default=400)
    parser.add_argument("--scored", type=int, default=60)
    parser.add_argument("--candidates", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        records = Benchmark(name=told.dataset, root=data_folder()).load().without_gold()
        names = [column for column in ("id", "name", "title") if column in records.queries.column_names]
        records = replace(records, queries=records.queries.select(names), candidates=records.candidates.select(names))
        whole = RecordedBlocker().block(records, 1)
        all_of_it = Task(records, whole, Store(root=Path(scratch) / "store"), 1)
        asked = np.random.default_rng(0).permutation(whole.query_ids)[: told.taught + told.scored]
        answers = Recorded(name=TEACHER, missing="skip").annotate(all_of_it, np.sort(asked))
        candidates, answers = lists(whole, answers, told.candidates)
        task = replace(all_of_it, candidates=candidates)
        taught, unseen = answers.of(asked[: told.taught]), answers.of(asked[told.taught :])
        prompts = ASK.prompts(task, taught.query_ids)
        texts = [p.request.messages[-1][1] for p in prompts] + [
            t for t in taught.table["rationale"].to_pylist() if t
        ] * 3
        folder = tiny_checkpoint(Path(scratch) / "tiny", hidden=96, layers=2, vocabulary=3000, texts=texts, spread=0.02)
        student = Language(
            model=str(folder),
            elicitation=ASK,
            dtype="float32",
            rank=0,
            epochs=told.epochs,
            batch_tokens=4096,
            learning_rate=3e-3,
            gradient_checkpointing=False,
            rationales=True,
        )
        kept = Path(scratch) / "student"
        kept.mkdir()
        facts = SFT().distil(student, [(task, taught)], Trainer(), 1, kept)
        learnt = time.process_time() - began
        given = student.answer(Checkpoint(kept, facts=facts), task, unseen.query_ids, Trainer(), 1)
    print(f"{told.dataset}: {len(taught.choice)} explained answers of {TEACHER}, {facts['trained_weights']:,} weights")
    print("epoch  loss  loss on unseen answers (answer + mean of the rationale's tokens)")
    for epoch, loss, held in facts["curve"]:
        print(f"{epoch + 1:>5}{loss:>6.2f}{held:>6.2f}")
    card = {}
    for who, own in (("teacher", unseen), ("student", given)):
        card[who] = summary(score_rationales(task, own))
        rates = "  ".join(f"{name} {card[who]['rationale_' + name]:.3f}" for name in RATES)
        count = f"{card[who]['rationale_explained']:.0f} of {card[who]['rationale_answers']:.0f} explained"
        print(f"{who}: {count}  {rates}")
    agreement = float((given.chosen_ids == unseen.chosen_ids).mean())
    ended = float(np.mean([text.endswith('"}') for text in given.table["text"].to_pylist()]))
    print(f"agreement with the teacher {agreement:.3f}, ended by itself {ended:.3f}")
    queries = dict(zip(*(records.queries[n].to_pylist() for n in names[:2]), strict=True))
    for row in given.table.to_pylist()[: told.samples]:
        print(f"\n{queries[row['query_id']]}\n  {row['text']}")
    seconds = {"training_cpu_seconds": learnt, "cpu_seconds": time.process_time() - began}
    print(f"\nprocessor seconds: {learnt:.0f} until taught, {seconds['cpu_seconds']:.0f} in all")
    if told.output:
        samples = given.table.select(["query_id", "choice", "rationale", "text"]).to_pylist()
        facts = {
            "explanations": card,
            "agreement": agreement,
            "ended": ended,
            "curve": facts["curve"],
            "samples": samples,
        }
        told.output.write_text(json.dumps({**facts, **seconds, **environment()}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
