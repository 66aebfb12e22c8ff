"""What is disturbed: every place where the package writes something that a later run reads. Each scene is a repetition, too."""

import gzip
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.acero
import torch

from distiller import saved, student_folder
from distiller.algorithm import pauses
from distiller.artifacts import CandidateSet, Checkpoint, Selection
from distiller.blocker.tfidf import Tfidf
from distiller.command import main as distiller
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.engine.base import Reply, Request
from distiller.engine.reply_cache import Asker, ReplyCache
from distiller.store import Store
from distiller.student.boosted import Boosted
from distiller.sweep import job
from distiller.trainer import Trainer

Told = Callable[[Any], None]
PAIRS = 40
ASKER = Asker("small", None, {"class": "engine"})


def candidates() -> CandidateSet:
    n = range(PAIRS)
    table = {
        "query_id": list(n),
        "candidate_id": list(n),
        "similarity": [i / PAIRS for i in n],
        "position": [1] * PAIRS,
    }
    return CandidateSet(pa.table(table))


def artifact(folder: Path, told: Told) -> Any:
    """One artifact, made of another that is made while it is being made."""
    store = Store(root=folder / "store")

    def make() -> Selection:
        inner = store.produce(CandidateSet, [Tfidf()], ["records"], candidates)
        part = ["train" if i % 2 else "test" for i in range(PAIRS)]
        return Selection(pa.table({"query_id": inner.query_ids, "part": part, "score": inner.similarity}))

    made = store.produce(Selection, [Boosted()], ["records"], make)
    return [made.key, made.facts, made.table.to_pylist()]


def checkpoint(folder: Path, told: Told) -> Any:
    """Weights in files and folders."""

    def train(place: Path) -> dict[str, Any]:
        (place / "deep").mkdir()
        (place / "deep" / "weights.bin").write_bytes(bytes(range(256)) * 50)
        (place / "settings.json").write_text('{"rate": 0.1}')
        return {"loss": 0.25}

    made = Store(root=folder / "store").train([Boosted()], ["answers"], train)
    return [made.key, made.facts, contents(made.folder)]


def contents(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "manifest.json"]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def question(i: int) -> Request:
    return Request((("user", f"question {i} " + "of many words " * 40),))


def replies(folder: Path, told: Told) -> Any:
    """Claims, replies that are kept, and all that is known at the end; tells of every reply that was promised to be kept."""
    with ReplyCache(folder / "store" / "replies.sqlite") as cache:
        for i in range(3):
            key = ASKER.key(question(i))
            assert cache.claim(key), "another process asks, although all have ended"
            if cache.get(key) is None:
                cache.put(ASKER, question(i), Reply(f"[{i}] " + "because " * 30))
            told(i)
            cache.release(key)
        return known(cache)


def known(cache: ReplyCache) -> list[Any]:
    found = [cache.get(ASKER.key(question(i))) for i in range(6)]
    return [reply and reply.text for reply in found]


def kept_replies(folder: Path, told: Told) -> Any:
    with ReplyCache(folder / "store" / "replies.sqlite") as cache:
        return known(cache)


def imported(folder: Path, told: Told) -> Any:
    """Replies of another cache, of which all come in or none."""
    lines = [
        {"model": "small", "revision": None, "engine": {"class": "engine"}, "made": 1.0}
        | {"request": question(i).as_json(), "reply": Reply(f"[{i}]").as_json()}
        for i in range(6)
    ]
    with ReplyCache(folder / "store" / "replies.sqlite") as cache:
        cache.add_lines([json.dumps(line) for line in lines], "lines")
        found = known(cache)
    assert None not in found
    return found


def exported(folder: Path, told: Told) -> Any:
    """The file that `distiller cache export` writes."""
    if not (folder.parent / "store").exists():
        imported(folder.parent, told)
    distiller(["cache", "export", str(folder / "replies.jsonl.gz"), "--store", str(folder.parent / "store")])
    with gzip.open(folder / "replies.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


def pause(folder: Path, told: Told) -> Any:
    """Where a training stands, over where it stood before."""
    for position in (1, 2):
        pauses.keep(folder / "Training", pauses.PAUSE, {"position": [position], "weights": torch.arange(900.0)})
        told(position)
    found = pauses.kept(folder / "Training", pauses.PAUSE)
    assert found is not None
    return [found["position"], found["weights"].tolist()]


def kept_pause(folder: Path, told: Told) -> Any:
    found = pauses.kept(folder / "Training", pauses.PAUSE)
    return found and [found["position"], found["weights"].tolist()]


def jobs(folder: Path, told: Told) -> Any:
    """A job of a sweep that fails, then is done, then is met again."""
    place = folder / "job"
    job.fail(place, ["seed=1"], ValueError("it fails"), time.perf_counter())
    told("failed")
    job.begin(place)
    (place / job.SCORECARD).write_text("{}")
    job.end(place, ["seed=1"], 0.5, time.perf_counter(), "signature", True)
    finished = job.kept(place, "signature")
    assert finished is not None
    job.keep(finished)
    return job_left(folder, told)


def job_left(folder: Path, told: Told) -> Any:
    found = job.Job.read(folder / "job")
    return found and [found.state, found.overrides, found.objective, found.error]


PARTS = {"blocker": Tfidf(), "student": Boosted(), "disambiguation": UniqueMapping(), "trainer": Trainer()}
ABOUT = {
    "teacher": "zeroer",
    "algorithm": "sft",
    "protocol": "paper",
    "recorded_candidates": False,
    "datasets": {"own": {"queries": 3, "candidates": 3, "labels": 2, "records": "0"}},
    "scores": {},
    "training": {"rounds": 3},
    "seed": 1,
    "uses_gold": [],
    "recipe": {},
    "versions": {},
    "commit": None,
}


def student(folder: Path, told: Told) -> Any:
    """A saved student, over the one of an earlier run of the same name."""
    for number in (1, 2):
        weights = folder.parent / f"checkpoint-{number}"  # not where anything is disturbed
        (weights / "deep").mkdir(parents=True, exist_ok=True)
        (weights / "deep" / "weights.txt").write_bytes(bytes([number]) * 5000)
        student_folder.write(folder / "student", PARTS, Checkpoint(weights), ABOUT | {"seed": number})
        told(number)
    return loaded(folder, told)


def loaded(folder: Path, told: Told) -> Any:
    found = saved.load(folder / "student")
    weights = (found.folder / "deep" / "weights.txt").read_bytes()
    return [found.about["seed"], hashlib.sha256(weights).hexdigest(), repr(found.student)]


SCENES: dict[str, Callable[[Path, Told], Any]] = {
    each.__name__: each
    for each in (
        *(artifact, checkpoint, replies, kept_replies, imported, exported, pause, kept_pause),
        *(jobs, job_left, student, loaded),
    )
}
