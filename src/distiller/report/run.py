"""A finished run read back: its folder, and from the store the answers and records behind its scores."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distiller import outcomes
from distiller.artifacts import AnswerSet, Artifact, CandidateSet, Selection
from distiller.config import ConfigurationError, DistillerError, build
from distiller.logger.secrets import without_secrets
from distiller.metrics import Truth, score_answers
from distiller.records import Records
from distiller.store import MANIFEST, Store
from distiller.task import Task
from distiller.teacher.recorded import Recorded


@dataclass
class Part:
    """One dataset of a run. What is not there any more is None, and `missing` says why.

    student, teacher: answers as they came, of all queries answered. scored: outcomes of this dataset, all sources and forms.
    """

    name: str
    card: dict[str, Any]
    scored: pa.Table
    records: Records | None = None
    candidates: CandidateSet | None = None
    selection: Selection | None = None
    student: AnswerSet | None = None
    teacher: AnswerSet | None = None
    missing: list[str] = field(default_factory=list)

    def of(self, source: str, form: str) -> pa.Table:
        """Outcomes of one source in one form, by query id; no rows where it was not scored."""
        wanted = pc.and_(pc.equal(self.scored["source"], source), pc.equal(self.scored["form"], form))
        return self.scored.filter(wanted).sort_by("query_id")

    @property
    def final(self) -> str:
        """The form of the student's answers that counts: after disambiguation where there is one."""
        return "one_to_one" if self.of("student", "one_to_one").num_rows else "plain"


@dataclass
class Run:
    """One run: its configuration and scorecard, how it was started, and its datasets by name.

    words: those after `python run.py`. choices: which choice of each group they made, as far as Hydra kept it.
    """

    folder: Path
    config: dict[str, Any]
    card: dict[str, Any]
    words: list[str]
    choices: dict[str, str]
    parts: dict[str, Part]

    @property
    def name(self) -> str:
        """The datasets, in words."""
        names = list(self.parts)
        return ", ".join(names) if len(names) <= 3 else f"{len(names)} datasets"


def read(folder: Path, store: Path | None = None) -> Run:
    """The run in a folder. store: where its artifacts lie, if not where the run's configuration says.

    Raises:
        DistillerError: the folder holds no finished run, or a file of it cannot be read.
    """
    for name in ("scorecard.json", "config.yaml"):
        if not (folder / name).is_file():
            raise DistillerError(
                f"{folder} holds no {name}, so it is no finished run; name the folder after 'written to' of a run"
            )
    try:
        card = json.loads((folder / "scorecard.json").read_text(encoding="utf-8"))
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=True)
        path = folder / outcomes.FILE
        scored = pq.read_table(path) if path.is_file() else outcomes.SCHEMA.empty_table()
        words, choices, started = _started(folder)
    except (ValueError, OSError, OmegaConfBaseException) as error:
        raise DistillerError(f"{folder} cannot be read ({error}); run it again") from error
    root = store or _store(config, folder, started)
    loaded, fault = _datasets(config)
    parts = {}
    for name, own in card["datasets"].items():
        part = Part(name, own, scored.filter(pc.equal(scored["dataset"], name)))
        _fill(part, root, loaded.get(name), fault)
        parts[name] = part
    return Run(folder, config, card, words, choices, parts)


def teacher_on_test(run: Run, part: Part) -> tuple[pa.Table, dict[str, Any]] | None:
    """Outcomes and scores of the run's recorded teacher on test queries, where recordings of them exist; else None."""
    chosen = run.config.get("teacher", {})
    if part.records is None or part.candidates is None or part.selection is None or part.records.matches is None:
        return None
    if not str(chosen.get("_target_", "")).endswith("recorded.Recorded"):
        return None
    teacher = Recorded(name=chosen["name"], reading=chosen.get("reading", "file"), missing="skip")
    task = Task(part.records.without_gold(), part.candidates, Store())
    asked = np.intersect1d(part.selection.ids("test"), part.candidates.query_ids)
    try:
        answers = teacher.annotate(task, asked)
    except DistillerError:  # nothing of them is recorded, or the recordings are gone: the report then says so
        return None
    truth = Truth.of(part.candidates, part.records.matches, answers.query_ids)
    return outcomes.of_answers(part.name, "teacher", "plain", answers, truth), score_answers(answers, truth)


def student_on_train(part: Part) -> pa.Table | None:
    """Outcomes of the student's plain answers to the queries that the teacher labelled."""
    if part.student is None or part.teacher is None or part.records is None or part.candidates is None:
        return None
    if part.records.matches is None:
        return None
    truth = Truth.of(part.candidates, part.records.matches, part.teacher.query_ids)
    return outcomes.of_answers(part.name, "student", "plain", part.student, truth)


def _started(folder: Path) -> tuple[list[str], dict[str, str], Path | None]:
    """The words on the command line, the choices they made, and the folder they were typed in, as Hydra keeps them."""
    path = folder / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return [], {}, None
    kept: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    hydra = kept["hydra"]
    words = without_secrets([str(word) for word in hydra["overrides"]["task"]])
    return words, dict(hydra["runtime"]["choices"]), Path(hydra["runtime"]["cwd"])


def _store(config: dict[str, Any], folder: Path, started: Path | None) -> Path:
    """The store of a run: a relative folder is looked for where the run was started, then here."""
    root = Path(config["store"]["root"])
    places = [base / root for base in (started, Path.cwd(), *folder.resolve().parents) if base is not None]
    return next((place for place in places if place.is_dir()), places[0])


def _datasets(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The datasets of a configuration by name, or why there are none."""
    try:
        return build(OmegaConf.create(config["dataset"])).parts(), ""
    except (ConfigurationError, DistillerError) as error:
        return {}, " ".join(str(error).split())


def _fill(part: Part, root: Path, dataset: Any, fault: str) -> None:
    keys = part.card.get("keys", {})
    try:
        if dataset is None:
            raise DistillerError(fault or f"the configuration names no dataset {part.name}")
        records = dataset.load()
        if records.key == keys.get("records"):
            part.records = records
        else:
            part.missing.append("its records have changed since the run, so they are not shown")
    except DistillerError as error:
        part.missing.append(f"its records are not shown: {error}")
    for attribute, kind in (
        ("candidates", CandidateSet),
        ("selection", Selection),
        ("student", AnswerSet),
        ("teacher", AnswerSet),
    ):
        if attribute in keys:
            found = _artifact(root, kind, keys[attribute])
            setattr(part, attribute, found)
            if found is None:
                part.missing.append(f"the store {root} has not kept its {attribute} (key {keys[attribute][:12]})")


def _artifact(root: Path, kind: type[Artifact], key: str) -> Any:
    folder = root / kind.__name__ / key
    if not (folder / MANIFEST).is_file():
        folder = next((each for each in (root / kind.__name__).glob("*") if _key_of_incomplete(each) == key), folder)
    if not (folder / MANIFEST).is_file():
        return None
    artifact = kind.read(folder)
    artifact.key = key
    return artifact


def _key_of_incomplete(folder: Path) -> str | None:
    """The key under which a cut-short artifact is named on scorecards: that of its contents; None for a whole one."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not manifest["facts"].get("incomplete"):
        return None
    return hashlib.sha256(json.dumps([folder.name, manifest["files"]], sort_keys=True).encode()).hexdigest()
