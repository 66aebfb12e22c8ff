"""A saved student on new tables: find the matches, or tell why it answers as it does.

distiller match outputs/runs/.../student queries.csv candidates.csv -o matches.csv
distiller explain outputs/runs/.../student queries.csv candidates.csv --query 17
"""

import argparse
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiller.config import DistillerError

if TYPE_CHECKING:
    from distiller.records import Records
    from distiller.saved import SavedStudent


def add(groups: Any) -> None:
    """Add `match` and `explain` to the command line."""
    match = groups.add_parser("match", help="apply a saved student to two tables, or to one with duplicates")
    explain = groups.add_parser("explain", help="why a saved student answers a query as it does")
    for each in (match, explain):
        each.add_argument("student", type=Path, help="folder of the student, or of the run that made it")
        each.add_argument("queries", type=Path, help="CSV, JSON lines or Parquet")
        each.add_argument(
            "candidates", type=Path, nargs="?", help="the other table; without it, duplicates in the first"
        )
        each.add_argument("--query-id", help="column that identifies a query; default: id, else row numbers from 0")
        each.add_argument("--candidate-id", help="the same for candidates")
        each.add_argument("--threads", type=int, default=2, help="processor cores to use")
    match.add_argument(
        "-o", "--out", type=Path, default=Path("matches.csv"), help="default: matches.csv; also .parquet"
    )
    match.add_argument(
        "--many-to-many", action="store_true", help="all candidates more probable than none, no conflicts"
    )
    match.add_argument("--rationales", action="store_true", help="a column that says why")
    match.add_argument("--chunk", type=int, default=50_000, help="queries compared at a time; bounds memory")
    match.set_defaults(action=_match)
    explain.add_argument("--query", required=True, help="id of the query")
    explain.set_defaults(action=_explain)


def _match(chosen: argparse.Namespace) -> None:
    import pyarrow.csv
    import pyarrow.parquet
    from rich.progress import track

    from distiller import saved
    from distiller.disambiguation.many_to_many import ManyToMany

    if chosen.out.suffix.lower() not in (".csv", ".parquet"):
        raise DistillerError(f"{chosen.out}: matches are written as .csv or .parquet; name such a file with -o")
    student, records = saved.load(chosen.student), _records(chosen)
    if chosen.rationales:
        student = _telling(student)
    resolver = ManyToMany() if chosen.many_to_many else student.disambiguation
    with student.task(records, chosen.threads) as task:
        parts = student.parts(task, chosen.chunk)
        answers = student.joined(
            [student.answers(part) for part in track(parts, "matching", total=len(parts), transient=True)]
        )
        found = student.matches(task, answers, resolver)
    part = chosen.out.with_name(f".{chosen.out.name}.{os.getpid()}.part")
    try:
        if chosen.out.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(found, part)
        else:
            pyarrow.parquet.write_table(found, part)
        part.rename(chosen.out)
    finally:
        part.unlink(missing_ok=True)
    print(f"{found.num_rows:,} matches of {len(records.query_ids):,} queries written to {chosen.out}")


def _telling(student: "SavedStudent") -> "SavedStudent":
    if "rationales" not in {field.name for field in fields(student.student)}:  # type: ignore[arg-type]
        raise DistillerError(
            f"{student.folder}: {student.student.label()} gives no rationales; leave --rationales away"
        )
    return replace(student, student=replace(student.student, rationales=True))  # type: ignore[type-var]


def _records(chosen: argparse.Namespace) -> "Records":
    from distiller.dataset.tables import Tables

    return Tables(
        queries=chosen.queries,
        candidates=chosen.candidates,
        deduplicate=chosen.candidates is None,
        query_id=chosen.query_id,
        candidate_id=chosen.candidate_id,
    ).load()


def _explain(chosen: argparse.Namespace) -> None:
    from rich.console import Console

    from distiller import saved

    student, records = saved.load(chosen.student), _records(chosen)
    with student.task(records, chosen.threads) as task:
        Console(soft_wrap=True, highlight=False).print(student.explained(task, chosen.query), markup=False)
