"""A small world for encoder students: products of three words, whose match has the same words in another order."""

import numpy as np
import pyarrow as pa

from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.records import checked
from distiller.store import Store
from distiller.student.encoder import Encoder
from distiller.task import Task
from distiller.trainer import Trainer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ARCHITECTURES = ("bert", "roberta")
WORDS = [a + b for a in ("ka", "lo", "mi", "nu", "re") for b in ("dor", "fel", "gim", "hux", "pal", "sot")]


class World:
    """Queries with two to four candidates; 60 in 100 have a match among them."""

    def __init__(self, folder, n=220):
        draw = np.random.default_rng(3)
        queries, candidates, pairs, self.right = [], [], [], {}
        for query in range(n):
            words = draw.choice(WORDS, 3, replace=False).tolist()
            queries.append({"id": query, "name": " ".join(words), "note": "new" if query % 3 else None})
            k = int(draw.integers(2, 5))
            self.right[query] = int(draw.integers(1, k + 1)) if draw.random() < 0.6 else 0
            for place in range(1, k + 1):
                own = draw.permutation(words) if place == self.right[query] else draw.choice(WORDS, 3, replace=False)
                candidates.append({"id": len(candidates), "name": " ".join(own), "note": str(place)})
                pairs.append((query, candidates[-1]["id"], 0.5, place))
        schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("note", pa.string())])
        tables = [pa.Table.from_pylist(rows, schema) for rows in (queries, candidates)]
        self.texts = [row["name"] for row in queries]
        columns = dict(zip(CandidateSet.SCHEMA.names, zip(*pairs, strict=True), strict=True))
        blocked = CandidateSet(pa.table({name: list(values) for name, values in columns.items()}))
        self.task = Task(checked("world", *tables, None), blocked, Store(root=folder / "store"), 1)
        self.taught = np.arange(150)
        self.unseen = np.arange(150, n)

    def answers(self, queries):
        """Right answers to these queries."""
        rows, offsets = self.task.candidates.of(queries)
        choice = np.array([self.right[q] for q in queries.tolist()])
        return AnswerSet.make("known", queries, self.task.candidates.candidate_ids[rows], offsets, choice)


def tiny(model, **fields):
    small = {
        "pooling": "compare",
        "form": "plain",
        "longest": 48,
        "learning_rate": 0.01,
        "epochs": 15,
        "batch_size": 16,
    }
    return Encoder(model=model, **{**small, "attributes": ("name",), "inference": "float32", "seed": 1, **fields})


class School:
    """Students taught once for all tests of a process."""

    def __init__(self, folder, world):
        self.folder, self.world, self.taught = folder, world, {}

    def teach(self, student, trainer=None):
        if student not in self.taught:
            folder = self.folder / str(len(self.taught))
            folder.mkdir()
            answered = [(self.world.task, self.world.answers(self.world.taught))]
            facts = SFT().distil(student, answered, trainer or Trainer(), 2, folder)
            self.taught[student] = Checkpoint(folder, facts=facts)
        return self.taught[student]

    def ask(self, student, checkpoint=None, task=None, queries=None):
        task = task or self.world.task
        queries = task.candidates.query_ids if queries is None else queries
        return student.answer(checkpoint or self.teach(student), task, queries, Trainer(), 2)
