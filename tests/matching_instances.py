"""Random and real instances of matching for the tests of metrics, teachers, students and disambiguation."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from distiller.artifacts import AnswerSet, CandidateSet
from distiller.blocker.recorded import Recorded as RecordedBlocker
from distiller.dataset.benchmark import Benchmark
from distiller.records import checked
from distiller.selector.recorded import Recorded as RecordedSelector
from distiller.store import Store
from distiller.task import Task

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ["DISTILLER_DATA"])
needs_data = pytest.mark.needs_data
relaxed = settings(deadline=None, derandomize=True, max_examples=40)


def benchmark(name):
    """A script of `benchmarks/` as a module."""
    folder = REPOSITORY / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


@dataclass
class Instance:
    """Plain Python: the candidates of each query as shown, gold pairs, the queries scored and what each answered.

    choices: query -> 0 (none), 1..k, or None (unread). shares: query -> probabilities of none and all options, or None.
    """

    options: dict
    similarities: dict
    gold: set
    scored: list
    choices: dict
    shares: dict | None

    @property
    def evaluated(self):
        """Scored queries that have candidates."""
        return sorted(q for q in self.scored if q in self.options)

    def candidate_set(self, order=None):
        """The candidate set; `order` rearranges the rows before they are handed over."""
        rows = [
            {"query_id": q, "candidate_id": c, "similarity": self.similarities[q, c], "position": i + 1}
            for q, own in self.options.items()
            for i, c in enumerate(own)
        ]
        return CandidateSet(pa.Table.from_pylist([rows[i] for i in order or range(len(rows))], CandidateSet.SCHEMA))

    def gold_table(self):
        """Gold matches as components get them."""
        pairs = sorted(self.gold)
        return pa.table(
            {
                "query_id": pa.array([q for q, _ in pairs], pa.int64()),
                "candidate_id": pa.array([c for _, c in pairs], pa.int64()),
            }
        )

    def answers(self, queries=None):
        """Answers of these queries (all that are evaluated)."""
        queries = self.evaluated if queries is None else queries
        return answers_of({q: self.options[q] for q in queries}, self.choices, self.shares)

    def task(self):
        """A task on these candidates whose records say nothing."""
        queries = sorted({*self.options, *self.scored, *(q for q, _ in self.gold)})
        candidates = sorted({c for own in self.options.values() for c in own} | {c for _, c in self.gold})
        tables = [
            pa.table({"id": pa.array(ids, pa.int64()), "name": [f"name {i}" for i in ids]})
            for ids in (queries, candidates)
        ]
        return Task(checked("random", *tables, None), self.candidate_set(), Store(root=Path("never-written")), 1)


def answers_of(options, choices, shares=None, seconds=0.0):
    """An answer set from {query: candidate ids shown}, {query: choice or None} and {query: probabilities}."""
    queries = sorted(options)
    return AnswerSet.make(
        "test",
        np.array(queries, dtype=np.int64),
        np.array([c for q in queries for c in options[q]], dtype=np.int64),
        np.cumsum([0, *(len(options[q]) for q in queries)]),
        np.array([-1 if choices[q] is None else choices[q] for q in queries], dtype=np.int64),
        None if shares is None else np.array([p for q in queries for p in shares[q]]),
        seconds,
    )


def choices_by_query(answers):
    """{query: choice, None if unread} of an answer set."""
    return dict(zip(answers.query_ids.tolist(), answers.table["choice"].to_pylist(), strict=True))


@st.composite
def instances(draw, several_gold=True, soft=None, unread=True, most_queries=8, candidates=8):
    """A random instance: few candidates wanted by many queries, ties, queries without candidates or without gold.

    soft: whether answers carry probabilities; None leaves it open. Then the choice is a most probable option.
    """
    ids = st.integers(0, candidates - 1)
    queries = draw(st.lists(st.integers(0, 40), min_size=1, max_size=most_queries, unique=True))
    options = {q: draw(st.lists(ids, min_size=1, max_size=4, unique=True)) for q in queries}
    similarities = {(q, c): draw(st.integers(0, 8)) / 8 for q, own in options.items() for c in own}
    without = draw(st.lists(st.integers(41, 50), max_size=3, unique=True))
    gold = set()
    for q in [*queries, *without]:
        likely = st.sampled_from([*options.get(q, []), draw(ids)])
        gold |= {(q, c) for c in draw(st.lists(likely, max_size=3 if several_gold else 1, unique=True))}
    scored = sorted(draw(st.sets(st.sampled_from([*queries, *without]), min_size=1)))
    soft = draw(st.booleans()) if soft is None else soft
    shares, choices = {}, {}
    for q, own in options.items():
        weights = [draw(st.integers(0, 6)) for _ in range(len(own) + 1)]
        weights[draw(st.integers(0, len(own)))] += 1
        shares[q] = [w / sum(weights) for w in weights]
        best = [i for i, w in enumerate(weights) if w == max(weights)]
        choices[q] = draw(st.sampled_from(best)) if soft else draw(st.integers(0, len(own)))
        if unread and draw(st.integers(0, 5)) == 0:
            choices[q] = None
    return Instance(options, similarities, gold, scored, choices, shares if soft else None)


def real_task(name, store=Path("never-written")):
    """A benchmark dataset on its recorded candidates, its gold matches and the training queries of `blocking_max`."""
    records = Benchmark(name=name, root=DATA).load()
    candidates = RecordedBlocker().block(records, 2)
    candidates.key = "recorded"  # features in the store are found by it
    task = Task(records.without_gold(), candidates, Store(root=store), 2)
    return task, records.matches, RecordedSelector().select(task, task.candidates.query_ids).selected
