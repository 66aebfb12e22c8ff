"""A trained student as a folder of its own: written by a run, loaded anywhere, applied to other tables.

student = distiller.load("outputs/runs/2026-01-01/12-00-00/student")
matches = student.match(queries, candidates)          # pandas, polars or Arrow tables
"""

import difflib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.blocker.base import Blocker
from distiller.config import ConfigurationError, DistillerError, rebuilt, written
from distiller.dataset.tables import in_memory
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.matches import matches
from distiller.experiment import Experiment
from distiller.explanation import explanation
from distiller.frames import arrow, like
from distiller.pipeline import Line
from distiller.records import Records, rows_of
from distiller.sharing import push
from distiller.store import Store
from distiller.student.base import Student
from distiller.student.encoder import Encoder
from distiller.student_folder import PARTS, RECIPE, read, write
from distiller.task import Task
from distiller.trainer import Trainer

SOUGHT = 20_000  # ids among which a mistyped one is looked for


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
    write(folder, parts, checkpoint, about)


def load(path: str | Path) -> "SavedStudent":
    """The student in a folder that a run wrote (`.../student`), or in the folder of that run.

    Only files of data are read: text, JSON and safetensors. Nothing in the folder is executed, and components are built from
    classes of this package alone.

    Raises:
        DistillerError: there is no such folder, or what it holds is no student, damaged, or of another version.
    """
    folder = Path(path).expanduser()
    if not (folder / RECIPE).is_file() and (folder / "student" / RECIPE).is_file():
        folder = folder / "student"
    parts, about = read(folder)
    return SavedStudent(folder=folder, about=about, **parts)


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

    def telling(self) -> "SavedStudent":
        """The same student, which gives a rationale with every answer.

        Raises:
            DistillerError: it gives none, or has not learnt to.
        """
        plain = written(self.student)
        if "rationales" not in plain:
            raise DistillerError(f"{self.folder}: {self.student.label()} gives no rationales; ask for matches alone")
        try:
            return replace(self, student=rebuilt({**plain, "rationales": True}))
        except ConfigurationError as error:
            raise DistillerError(
                f"{self.folder}: {self.student.label()} has not learnt to give rationales; ask for matches alone"
            ) from error

    def match(
        self,
        queries: Any,
        candidates: Any = None,
        *,
        query_id: str | None = None,
        candidate_id: str | None = None,
        disambiguation: Disambiguation | None = None,
        rationales: bool = False,
        threads: int = 2,
        chunk: int = 50_000,
    ) -> Any:
        """The matches, in the kind of table that `queries` is: query_id, candidate_id, probability, and rationale if any.

        queries, candidates: pandas, polars or Arrow tables; without candidates, duplicates within `queries` are looked for.
        query_id, candidate_id: columns that identify records; None for `id` if there is one, else rows are numbered from 0.
        disambiguation: in place of the student's own; `ManyToMany()` gives all candidates more probable than none.
        rationales: say why, where the student can. chunk: queries compared at a time, see `parts`.

        Raises:
            DistillerError: a table is empty, an id is missing or occurs twice, no two records have anything in common.
        """
        if candidates is None and candidate_id is not None:
            raise DistillerError(
                f"candidate_id={candidate_id!r} names a column of a second table, and there is none; give candidates too"
            )
        student = self.telling() if rationales else self
        records = in_memory(arrow(queries), None if candidates is None else arrow(candidates), query_id, candidate_id)
        with student.task(records, threads) as task:
            answers = joined(student.answers(part) for part in student.parts(task, chunk))
            return like(queries, student.matches(task, answers, disambiguation))

    def parts(self, task: Task, chunk: int) -> Iterator[Task]:
        """The task cut into runs of at most `chunk` queries, each with the candidates that it needs, to bound memory.

        A single part is the task itself. With several, each weighs words by its own records, and a candidate competes for
        the queries of one part at a time, until conflicts are settled over all answers. What is computed of a part is
        forgotten when the next is asked for.

        Raises:
            DistillerError: the chunk is smaller than 1.
        """
        count = part_count(task, chunk)
        if count == 1:
            yield task
            return
        for queries in np.array_split(task.candidates.query_ids, count):
            with tempfile.TemporaryDirectory(prefix="distiller-") as scratch:
                yield _part(task, queries, Store(root=Path(scratch)))

    @contextmanager
    def task(self, records: Records, threads: int = 2) -> Iterator[Task]:
        """Records with their candidate set; what is computed of them is forgotten at the end."""
        with tempfile.TemporaryDirectory(prefix="distiller-") as scratch:
            candidates = self.blocker.block(records.without_gold(), threads)
            if not len(candidates.query_ids):
                raise DistillerError(
                    "no record has another one among its nearest that it is among the nearest of; look whether both tables are "
                    "about the same things"
                )
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
            close = difflib.get_close_matches(query, known[:SOUGHT], n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the first is {known[0]!r}"
            raise DistillerError(f"there is no query {query!r}; {hint}")
        asked = task.records.query_ids[[known.index(query)]]
        if asked[0] not in task.candidates.query_ids:
            raise DistillerError(
                f"query {query} has no candidates: no record of the other table has anything in common with it"
            )
        told = explanation(self.student, self.checkpoint, task, asked, self.trainer)
        if self.disambiguation.FORM is None or self.disambiguation.SEVERAL:
            return told
        return f"{told}\n\nAs the query alone is answered; a candidate that several queries choose is the match of one of them."

    def to_onnx(self, path: str | Path) -> Path:
        """Write the network of an encoder as one ONNX file, see `encoder_onnx.export`; returns its path.

        Raises:
            DistillerError: the student is no encoder, or a library is missing.
        """
        if not isinstance(self.student, Encoder):
            raise DistillerError(
                f"{self.folder}: only encoders are exported to ONNX, and {self.student.label()} is none; its folder is all that "
                "applying it needs"
            )
        path = Path(path).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.student.export(self.checkpoint, path)
        return path

    def push_to_hub(self, repo_id: str, private: bool = True) -> str:
        """Upload the folder as a repository of the hub, see `sharing.push`; returns its address."""
        return push(self.folder, repo_id, private)

    def matches(self, task: Task, answers: AnswerSet, disambiguation: Disambiguation | None = None) -> pa.Table:
        """The matches among the answers, see `disambiguation.matches.matches`."""
        resolver = disambiguation or self.disambiguation
        return matches(task, resolver.resolve(task, answers), resolver)


def part_count(task: Task, chunk: int) -> int:
    """Number of parts that `SavedStudent.parts` gives.

    Raises:
        DistillerError: the chunk is smaller than 1.
    """
    if chunk < 1:
        raise DistillerError(f"chunk must be at least 1 query, got {chunk}")
    return -(-len(task.candidates.query_ids) // chunk)


def joined(answers: Iterable[AnswerSet]) -> AnswerSet:
    """The answers of all parts as one set."""
    tables = [each.table for each in answers]
    return AnswerSet(pa.concat_tables(tables))


def _part(task: Task, query_ids: np.ndarray, store: Store) -> Task:
    """The part of a task about some of its queries."""
    rows, _ = task.candidates.of(query_ids)
    candidates = CandidateSet(task.candidates.table.take(pa.array(rows)))
    own, needed = task.records, np.unique(candidates.candidate_ids)
    asked = own.queries.take(pa.array(rows_of(own.query_ids, query_ids, "queries")))
    listed = own.candidates.take(pa.array(rows_of(own.candidate_ids, needed, "candidates")))
    return Task(Records(own.name, asked, listed), candidates, store, task.threads)
