"""One job of a sweep: whether what it left is still what it would make, and what became of it."""

import functools
import hashlib
import json
import math
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distiller.config import Component, DistillerError, identity, nested
from distiller.dataset.base import Dataset
from distiller.experiment import Experiment
from distiller.logger.secrets import without_secrets
from distiller.records import Records
from distiller.store import file_sum

RECORD, FAILURE, SCORECARD = "job.json", "failure.json", "scorecard.json"
#: Parts of an experiment that decide neither scores nor how far a run goes.
ASIDE = {"store", "data", "logger", "sweep", "threads"}


@dataclass(frozen=True)
class Job:
    """What a job left in its folder. state: done, kept (found finished) or failed; seconds: of the job when it was done."""

    folder: Path
    state: str
    overrides: list[str]
    objective: float | None
    seconds: float
    error: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "Job | None":
        """The job of a folder, or None where none has ended."""
        try:
            told = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            return cls(folder, told["state"], told["overrides"], told["objective"], told["seconds"], told.get("error"))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def signature(experiment: Experiment) -> str:
    """SHA-256 of all that decides a job's scorecard: its components, our code, the records and files it reads.

    Raises:
        DistillerError: the records or files cannot be read.
    """
    recipe = {name: getattr(experiment, name) for name in experiment.__dataclass_fields__ if name not in ASIDE}
    parts = [part for part in recipe.values() if isinstance(part, Component)]
    inputs: list[Any] = []
    for dataset in experiment.dataset.parts().values() if experiment.reaches("block") else ():
        records = records_of(dataset)
        inputs.append(records.key)
        inputs += [file_sum(path) for part in parts for path in part.reads(records.folder)]
    inputs += [found for each in nested(recipe) for found in each.fingerprints()]
    whole = {"code": code(), "recipe": {name: identity(part) for name, part in recipe.items()}, "inputs": inputs}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@functools.cache
def code() -> str:
    """SHA-256 of the program's own sources, so that a scorecard is kept only as long as they are the same."""
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0{file_sum(path)}\n".encode())
    return digest.hexdigest()


def records_of(dataset: Dataset) -> Records:
    """The records of a dataset, loaded once for all jobs that one process works on."""
    key = repr(dataset)
    if key not in _loaded:
        _loaded[key] = dataset.load()
    return _loaded[key]


_loaded: dict[str, Records] = {}


def kept(folder: Path, signed: str) -> Job | None:
    """The finished job of this folder if the same work would be done again; it then counts as kept."""
    job = Job.read(folder)
    if job is None or job.state == "failed" or not (folder / SCORECARD).is_file():
        return None
    told = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return job if told.get("signature") == signed and told.get("complete") else None


def begin(folder: Path) -> None:
    """Take away what an earlier job left, so that its scorecard is not taken for this one's."""
    for name in (RECORD, FAILURE, SCORECARD):
        (folder / name).unlink(missing_ok=True)


def end(folder: Path, overrides: list[str], objective: float, start: float, signed: str, complete: bool) -> None:
    """Record that the scorecard is written. complete: whether the teacher was asked everything; else it is asked again."""
    _write(
        folder / RECORD,
        {
            "state": "done",
            "overrides": overrides,
            "objective": None if math.isnan(objective) else objective,
            "seconds": time.perf_counter() - start,
            "signature": signed,
            "complete": complete,
        },
    )


def keep(job: Job) -> None:
    """Record that a finished job was met again."""
    told = json.loads((job.folder / RECORD).read_text(encoding="utf-8"))
    _write(job.folder / RECORD, told | {"state": "kept"})


def fail(folder: Path, overrides: list[str], error: Exception, start: float) -> str:
    """Write `failure.json` and say in one sentence what went wrong.

    A fault that the user cannot mend by a word of the command has its traceback there, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = isinstance(error, DistillerError)
    said = sentence(error)
    told = {"error": said, "kind": type(error).__name__, "overrides": overrides}
    _write(folder / FAILURE, told | {"traceback": None if known else "".join(traceback.format_exception(error))})
    failed = {"state": "failed", "objective": None, "seconds": time.perf_counter() - start}
    _write(folder / RECORD, {**failed, "overrides": overrides, "error": said})
    return said


def sentence(error: Exception) -> str:
    """What went wrong, on one line, without keys and passwords."""
    text = str(error) if isinstance(error, DistillerError) else f"{type(error).__name__}: {error}"
    return without_secrets(" ".join(text.removeprefix("invalid configuration").split()))


def _write(path: Path, told: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(json.dumps(without_secrets(told), indent=1), encoding="utf-8")
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
