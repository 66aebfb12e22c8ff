"""A saved student on new tables: find the matches, or tell why it answers as it does.

distiller match outputs/runs/.../student queries.csv candidates.csv -o matches.csv
distiller explain outputs/runs/.../student queries.csv candidates.csv --query 17
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distiller.config import DistillerError

if TYPE_CHECKING:
    from distiller.records import Records


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
        each.add_argument("--threads", type=_count, default=2, help="processor cores to use; default: 2")
    match.add_argument(
        "-o", "--out", type=Path, default=Path("matches.csv"), help="default: matches.csv; also .parquet"
    )
    match.add_argument(
        "--many-to-many", action="store_true", help="all candidates more probable than none, no conflicts"
    )
    match.add_argument("--rationales", action="store_true", help="a column that says why")
    match.add_argument(
        "--chunk", type=_count, default=50_000, help="queries compared at a time, bounds memory; default: 50000"
    )
    match.set_defaults(action=_match)
    explain.add_argument("--query", required=True, help="id of the query")
    explain.set_defaults(action=_explain)


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _match(chosen: argparse.Namespace) -> None:
    import pyarrow.csv
    import pyarrow.parquet
    from rich.progress import track

    from distiller import saved
    from distiller.disambiguation.many_to_many import ManyToMany

    if chosen.out.suffix.lower() not in (".csv", ".parquet"):
        raise DistillerError(f"{chosen.out}: matches are written as .csv or .parquet; name such a file with -o")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    student = saved.load(chosen.student)
    if chosen.rationales:
        student = student.telling()
    records = _records(chosen)
    resolver = ManyToMany() if chosen.many_to_many else student.disambiguation
    with student.task(records, chosen.threads) as task:
        total = saved.part_count(task, chosen.chunk)
        shown = track(student.parts(task, chosen.chunk), "matching", total=total, transient=True)
        found = student.matches(task, saved.joined(student.answers(part) for part in shown), resolver)
    part = chosen.out.with_name(f".{chosen.out.name}.part")
    try:
        if chosen.out.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(found, part)
        else:
            pyarrow.parquet.write_table(found, part)
        part.rename(chosen.out)
    finally:
        part.unlink(missing_ok=True)
    print(f"{found.num_rows:,} matches of {len(records.query_ids):,} queries written to {chosen.out}")


def _records(chosen: argparse.Namespace) -> "Records":
    from distiller.dataset.tables import Tables

    if chosen.candidates is None and chosen.candidate_id is not None:
        raise DistillerError(
            f"--candidate-id={chosen.candidate_id} names a column of a second table, and there is none; name its file, too"
        )
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
