"""What runs were worth: a page about one or about a sweep, leaderboards of many.

distiller report outputs/runs/.../ -o report.html
distiller leaderboard outputs/ --to board
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distiller.report.run import Run

PAPER = Path(__file__).parents[3] / "benchmarks" / "paper.csv"


def add_report(groups: Any) -> None:
    """Add `report` to the command line."""
    report = groups.add_parser(
        "report",
        help="a page about a run, or about a sweep and each of its jobs",
        description="Writes a page that needs no network and no other file: the scores beside the teacher's and, in the "
        "source tree, the paper's; which queries the student won and lost against its teacher with the records side by side; "
        "errors by slice, calibration, training, time and cost; and how to do the run again. Recorded teacher answers to test "
        "queries are used for the comparison where the dataset's folder has them. Of a sweep each job gets report.html in its "
        "folder.",
    )
    report.add_argument("run", type=Path, metavar="RUN", help="folder of a run or of a sweep")
    report.add_argument("-o", "--out", type=Path, help="the page; RUN/report.html unless told")
    report.add_argument("--examples", type=int, default=12, help="queries to show at most of each kind; default: 12")
    report.add_argument("--store", type=Path, help="where the artifacts lie, if not where the run's configuration says")
    report.set_defaults(action=_report)


def add_leaderboard(groups: Any) -> None:
    """Add `leaderboard` to the command line."""
    board = groups.add_parser(
        "leaderboard",
        help="rank the runs below some folders, with what cannot be told apart",
        description="Writes LEADERBOARD.md, leaderboard.csv and leaderboard.html, one row per recipe, means over its seeds. A "
        "board holds what can be compared: one metric, one protocol, the same queries of the same datasets. Rows that share a "
        "letter cannot be told apart.",
    )
    board.add_argument("roots", nargs="+", type=Path, help="folders that runs lie below")
    board.add_argument("--to", type=Path, default=Path(), help="folder to write to, this one unless told")
    board.add_argument(
        "--metrics", nargs="+", metavar="NAME", help="scores to rank by; default: the three of the paper"
    )
    board.add_argument(
        "--forms", default="final", help="answers of a run that are its row: final, plain, one_to_one, ..."
    )
    board.add_argument("--draws", type=int, help="resamples of the bootstrap")
    board.add_argument("--alone", action="store_true", help="also show boards of a single row")
    board.set_defaults(action=_leaderboard)


def _report(chosen: argparse.Namespace) -> None:
    from distiller.report.index import jobs, sweep_report
    from distiller.report.page import report
    from distiller.report.published import published, same_queries
    from distiller.report.run import read

    out = chosen.out or chosen.run / "report.html"

    def one(run: "Run", path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report(run, published(run, PAPER), same_queries(run), chosen.examples), encoding="utf-8")

    if not (chosen.run / "scorecard.json").is_file() and jobs(chosen.run):
        sweep_report(chosen.run, out, one)
    else:
        one(read(chosen.run, chosen.store), out)
    print(f"written to {out}")


def _leaderboard(chosen: argparse.Namespace) -> None:
    from distiller.board.leaderboard import write

    for each in write(chosen.roots, chosen.to, chosen.metrics, chosen.forms, chosen.draws, chosen.alone):
        print(each)
