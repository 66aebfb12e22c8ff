"""A trained student as a folder of its own: written by a run, loaded anywhere, applied to other tables.

student = distiller.load("outputs/runs/2026-01-01/12-00-00/student")
matches = student.match(queries, candidates)          # pandas, polars or Arrow tables
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from distiller import features
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.blocker.base import Blocker
from distiller.blocker.tfidf import Tfidf
from distiller.config import ConfigurationError, DistillerError, declares, nearest, rebuilt, written
from distiller.dataset.tables import in_memory
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.matches import matches
from distiller.experiment import Experiment
from distiller.explanation import explanation
from distiller.model_card import text
from distiller.pipeline import Line
from distiller.records import Records, rows_of
from distiller.store import Store
from distiller.student.base import Student
from distiller.task import Task
from distiller.trainer import Trainer

FORMAT = 1
RECIPE = "distiller.json"
PARTS = ("blocker", "student", "disambiguation", "trainer")


def save_run(folder: Path, experiment: Experiment, lines: list[Line], card: dict[str, Any]) -> None:
    """Write the student of a run, with what its scorecard says of it; nothing where the run ended before there was one."""
    checkpoint = lines[0].checkpoint if lines else None
    if checkpoint is None:
        return
    parts = {name: getattr(experiment, name) for name in PARTS}
    datasets = {
        line.task.name: {
            "queries": len(line.records.query_ids),
            "candidates": len(line.records.candidate_ids),
            "labels": 0 if line.teacher is None else len(line.teacher.query_ids),
            "records": line.records.key,
        }
        for line in lines
    }
    about = {
        "teacher": experiment.teacher.label(),
        "algorithm": type(experiment.algorithm).__name__.lower(),
        "protocol": type(experiment.protocol).__name__.lower(),
        "recorded_candidates": not experiment.blocker.ANY_TABLES,
        "datasets": datasets,
        "scores": card["mean"].get("student", {}),
        "training": {k: v for k, v in checkpoint.facts.items() if isinstance(v, (int, float, str))},
        **{name: card[name] for name in ("seed", "uses_gold", "recipe", "versions", "commit")},
    }
    save(folder, parts, checkpoint, about)


def save(folder: Path, parts: dict[str, Any], checkpoint: Checkpoint, about: dict[str, Any]) -> None:
    """Write the student that a checkpoint holds, and everything needed to apply it, into a new folder.

    parts: the components of `PARTS`. about: what else is known, as plain JSON; `model_card.text` makes the card of it. Files
    of the checkpoint are linked where the file system can, so that a folder costs no space; they are never written to again.
    """
    recipe = {
        "format": FORMAT,
        "features": features.VERSION if declares(parts["student"], "USES_FEATURES") else None,
        "student_version": parts["student"].VERSION,
        **{name: written(parts[name]) for name in PARTS},
        "about": about,
    }
    blocker = parts["blocker"]
    if not blocker.ANY_TABLES:
        recipe["blocker"] = written(Tfidf(chunk=20_000))
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shutil.copytree(checkpoint.folder, part, copy_function=_linked, ignore=shutil.ignore_patterns("manifest.json"))
        (part / RECIPE).write_text(json.dumps(recipe, indent=1), encoding="utf-8")
        (part / "README.md").write_text(text(recipe), encoding="utf-8")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def load(path: str | Path) -> "SavedStudent":
    """The student in a folder that a run wrote (`.../student`), or in the folder of that run.

    Only files of data are read: text, JSON and safetensors. Nothing in the folder is executed, and components are built from
    classes of this package alone.

    Raises:
        DistillerError: there is no such folder, it holds no student, or one of another version.
    """
    folder = Path(path).expanduser()
    if not (folder / RECIPE).is_file() and (folder / "student" / RECIPE).is_file():
        folder = folder / "student"
    place = folder / RECIPE
    try:
        recipe = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DistillerError(
            f"{folder} holds no student (it has no {RECIPE}); give the folder `student` of a run"
        ) from error
    except (OSError, ValueError) as error:
        raise DistillerError(f"{place} cannot be read ({error}); make the student again or fetch it anew") from error
    if not isinstance(recipe, dict) or recipe.get("format") != FORMAT:
        raise DistillerError(
            f"{place} is of another format than {FORMAT}; use the version of distiller-er that it was made with"
        )
    built = {name: _built(recipe, name, kind, place) for name, kind in _KINDS.items()}
    student: Student = built["student"]
    used = features.VERSION if declares(student, "USES_FEATURES") else None
    for what, own, its in (
        ("features", used, recipe["features"]),
        ("student", student.VERSION, recipe["student_version"]),
    ):
        if own != its:
            raise DistillerError(
                f"{folder} was made with version {its} of its {what}, this is {own}: train it again, or use the version of "
                "distiller-er that it was made with"
            )
    return SavedStudent(folder=folder, about=recipe.get("about", {}), **built)


_KINDS = {"blocker": Blocker, "student": Student, "disambiguation": Disambiguation, "trainer": Trainer}


def _built(recipe: dict[str, Any], name: str, kind: type, place: Path) -> Any:
    """One component of the recipe, of this package and of the right kind."""
    plain = recipe.get(name)
    foreign = [target for target in _targets(plain) if not target.startswith("distiller.")]
    if foreign:
        raise DistillerError(
            f"{place}: {name} names {foreign[0]}, which is no component of distiller; do not trust this folder"
        )
    try:
        made = rebuilt(plain)
    except ConfigurationError as error:
        raise DistillerError(f"{place}: {name} cannot be built: {'; '.join(error.faults)}") from error
    if not isinstance(made, kind):
        raise DistillerError(f"{place}: {name} is no {kind.__name__.lower()}, but {type(made).__name__}")
    return made


def _targets(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        yield from ([str(plain["_target_"])] if "_target_" in plain else [])
        for value in plain.values():
            yield from _targets(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from _targets(value)


@dataclass(frozen=True)
class SavedStudent:
    """A student ready to match tables that it has never seen.

    about: what its makers knew: teacher, data, scores. trainer: decides the device that it answers on.
    """

    folder: Path
    blocker: Blocker
    student: Student
    disambiguation: Disambiguation
    trainer: Trainer
    about: dict[str, Any]

    @property
    def checkpoint(self) -> Checkpoint:
        """The weights."""
        return Checkpoint(folder=self.folder)

    def match(
        self,
        queries: Any,
        candidates: Any = None,
        *,
        query_id: str | None = None,
        candidate_id: str | None = None,
        disambiguation: Disambiguation | None = None,
        threads: int = 2,
        chunk: int = 50_000,
    ) -> Any:
        """The matches, in the kind of table that `queries` is: query_id, candidate_id, probability, and rationale if any.

        queries, candidates: pandas, polars or Arrow tables; without candidates, duplicates within `queries` are looked for.
        query_id, candidate_id: columns that identify records; None for `id` if there is one, else rows are numbered from 0.
        disambiguation: in place of the student's own; `ManyToMany()` gives all candidates more probable than none.
        chunk: queries compared at a time, see `parts`.

        Raises:
            DistillerError: a table is empty, an id is missing or occurs twice, no two records have anything in common.
        """
        records = in_memory(arrow(queries), None if candidates is None else arrow(candidates), query_id, candidate_id)
        with self.task(records, threads) as task:
            answers = self.joined([self.answers(part) for part in self.parts(task, chunk)])
            return like(queries, self.matches(task, answers, disambiguation))

    def parts(self, task: Task, chunk: int) -> list[Task]:
        """The task cut into runs of at most `chunk` queries, each with the candidates that it needs, to bound memory.

        A single part is the task itself. With several, each weighs words by its own records, and a candidate competes for
        the queries of one part at a time, until conflicts are settled over all answers.

        Raises:
            DistillerError: the chunk is smaller than 1.
        """
        if chunk < 1:
            raise DistillerError(f"chunk must be at least 1 query, got {chunk}")
        ids = task.candidates.query_ids
        if len(ids) <= chunk:
            return [task]
        return [
            _part(task, ids[begin : begin + chunk], number) for number, begin in enumerate(range(0, len(ids), chunk))
        ]

    def joined(self, answers: list[AnswerSet]) -> AnswerSet:
        """The answers of all parts as one set."""
        if len(answers) == 1:
            return answers[0]
        return AnswerSet(pa.concat_tables([each.table for each in answers]).combine_chunks())

    @contextmanager
    def task(self, records: Records, threads: int = 2) -> Iterator[Task]:
        """Records with their candidate set; what is computed of them is forgotten at the end."""
        with tempfile.TemporaryDirectory(prefix="distiller-") as scratch:
            candidates = self.blocker.block(records.without_gold(), threads)
            yield Task(records.without_gold(), candidates, Store(root=Path(scratch)), threads)

    def answers(self, task: Task) -> AnswerSet:
        """One answer for every query that has candidates."""
        return self.student.answer(self.checkpoint, task, task.candidates.query_ids, self.trainer, task.threads)

    def explained(self, task: Task, query: str) -> str:
        """Why one query is answered as it is, as text: its record, every candidate with its probability, and the reasons.

        query: its id as the user's table has it. Students of similarity features tell what each kind of evidence adds to a
        candidate's logit, in nats; others their rationale, where they have learnt to give one.

        Raises:
            DistillerError: there is no such query, or it has no candidates.
        """
        names = task.records.query_names
        known = [str(i) for i in task.records.query_ids] if names is None else names.to_pylist()
        if query not in known:
            raise DistillerError(f"there is no query {query!r}{nearest(query, known)}")
        asked = task.records.query_ids[[known.index(query)]]
        if asked[0] not in task.candidates.query_ids:
            raise DistillerError(
                f"query {query} has no candidates: no record of the other table has anything in common with it"
            )
        return explanation(self.student, self.checkpoint, task, asked, self.trainer)

    def matches(self, task: Task, answers: AnswerSet, disambiguation: Disambiguation | None = None) -> pa.Table:
        """The matches among the answers, see `disambiguation.matches.matches`."""
        resolver = disambiguation or self.disambiguation
        return matches(task, resolver.resolve(task, answers), resolver)


def _part(task: Task, query_ids: np.ndarray, number: int) -> Task:
    """The part of a task about some of its queries."""
    rows, _ = task.candidates.of(query_ids)
    candidates = CandidateSet(task.candidates.table.take(pa.array(rows)))
    own, needed = task.records, np.unique(candidates.candidate_ids)
    asked = own.queries.take(pa.array(rows_of(own.query_ids, query_ids, "queries")))
    listed = own.candidates.take(pa.array(rows_of(own.candidate_ids, needed, "candidates")))
    return Task(Records(f"{own.name}-{number}", asked, listed), candidates, task.store, task.threads)


def arrow(table: Any) -> pa.Table:
    """A pandas, polars or Arrow table, or anything else that speaks Arrow's C interface, as an Arrow table.

    Raises:
        DistillerError: it is none of these.
    """
    if isinstance(table, pa.Table):
        return table
    if hasattr(table, "iloc"):
        return pa.Table.from_pandas(table, preserve_index=False)
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    raise DistillerError(
        f"tables are pandas, polars or Arrow tables, got {type(table).__name__}; read files with `pyarrow`"
    )


def like(model: Any, table: pa.Table) -> Any:
    """An Arrow table in the kind of `model`."""
    package = type(model).__module__.partition(".")[0]
    if package == "pandas":
        return table.to_pandas()
    if package == "polars":
        import polars

        return polars.from_arrow(table)
    return table
