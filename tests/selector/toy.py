"""Small matching tasks for tests of selectors, and loading the real ones."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from distiller.artifacts import CandidateSet
from distiller.blocker.recorded import Recorded
from distiller.dataset.benchmark import Benchmark
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task

DATA = Path(os.environ.get("DISTILLER_DATA", Path(__file__).parents[3] / "shared" / "data"))
DATASETS = [
    "abt-buy",
    "amazon-google",
    "dblp-acm",
    "imdb-tmdb",
    "imdb-tvdb",
    "tmdb-tvdb",
    "walmart-amazon",
    "dblp-scholar",
]
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="DISTILLER_DATA names no folder of benchmark datasets")
relaxed = settings(deadline=None, derandomize=True, max_examples=60)

# Similarities on a coarse grid, so that ties are common; float32 holds them exactly.
similarities = st.integers(0, 16).map(lambda n: n / 16)
candidate_lists = st.dictionaries(
    st.integers(0, 300), st.lists(similarities, min_size=1, max_size=6), min_size=4, max_size=25
)


_SCRATCH = tempfile.TemporaryDirectory(prefix="toy-")  # removed at exit


def fresh():
    """A folder for a store that nothing else has written to."""
    return Path(tempfile.mkdtemp(dir=_SCRATCH.name))


def task_of(lists, folder=None, random=None, store=None):
    """A task from {query id: similarities of its candidates in the order shown}; `random` shuffles the rows given."""
    queries = sorted(lists)
    longest = max(len(own) for own in lists.values())
    rows = [
        {"query_id": q, "candidate_id": 1000 + (7 * q + i) % (longest + 5), "similarity": s, "position": i + 1}
        for q in queries
        for i, s in enumerate(lists[q])
    ]
    tables = []
    for ids in (queries, range(1000, 1000 + longest + 5)):
        ids = list(ids)
        if random:
            random.shuffle(ids)
        tables.append(pa.table({"id": pa.array(ids, pa.int64()), "name": [f"name {i}" for i in ids]}))
    if random:
        random.shuffle(rows)
    table = pa.Table.from_pylist(rows, schema=CandidateSet.SCHEMA)
    return Task(
        checked("toy", *tables, None, folder=folder), CandidateSet(table, key="toy"), Store(root=store or fresh()), 1
    )


def pool_of(task):
    """All queries of a task that have candidates."""
    return task.candidates.query_ids


def real_task(name, store=None):
    """A benchmark dataset on its recorded candidates, and its gold matches."""
    records = Benchmark(name=name, root=DATA).load()
    return Task(records.without_gold(), Recorded().block(records, 2), Store(root=store or fresh()), 2), records.matches


def split(name, strategy):
    """Training queries of a recorded split, read without our code."""
    lines = (DATA / name / "splits" / f"{strategy}.csv").read_text().splitlines()[1:]
    return sorted(int(line.split(",")[0]) for line in lines if line.endswith(",train"))


def ids(ranking):
    """The selected queries of a ranking as a plain list, checked to be ascending and distinct."""
    selected = ranking.selected.tolist()
    assert selected == sorted(set(selected))
    return selected


def scores_by_id(task, ranking):
    """{query id: score} of a ranking."""
    return dict(zip(pool_of(task).tolist(), np.asarray(ranking.scores).tolist(), strict=True))
