"""Leaderboards made of the scorecards and outcomes of runs, and of nothing else.

distiller leaderboard outputs/ [more folders] [--to FOLDER] [--metrics NAME ...] [--forms final]

Writes LEADERBOARD.md, leaderboard.csv and leaderboard.html (one page, needs no network). One row is one recipe: everything
that decides its answers but the seed; figures are means over its seeds. A board holds what can be compared: one metric, one
protocol, one source of answers (teachers answer the queries they label, students the test queries), the same versions of the
same datasets, the same queries with the same candidates. A recipe scored on more datasets takes part with those of the board.

Rows that share a letter cannot be told apart: paired bootstrap over queries and seeds, Holm's correction over all pairs of the
board (`significance.py`). A row of a single seed says nothing about other seeds. Published figures have no answers to
single queries, so they have neither interval nor letter. Rows marked "gold" used gold matches to choose, to teach or to learn.

To have the paper's recorded students and teachers on the boards, write them first:

    DISTILLER_DATA=<folder> python benchmarks/recorded_rows.py outputs/recorded
"""

import csv
import io
from pathlib import Path

from distiller.board.boards import CODES, Board, boards, gap_text, gold_mark, kind
from distiller.board.page import page
from distiller.board.runs import FORMS, METRICS, Run, entries, read
from distiller.board.significance import DRAWS
from distiller.config import DistillerError, nearest

SHOWN = ("pair_f1", "selection_accuracy", "match_f1")
COLUMNS = ["metric", "source", "protocol", "datasets", "rank", "recipe", "kind", "dataset", "records", "value"]
COLUMNS += ["spread", "low", "high", "ties", "seeds", "seconds", "tokens", "money", "gold"]


def number(value: float | None, form: str = ",.0f") -> str:
    """A number for a table; a dash where it is not known."""
    return "-" if value is None else f"{value:{form}}"


def score(mean: float, spread: float | None) -> str:
    """A score with its standard deviation over seeds."""
    return f"{mean:.3f}" if spread is None else f"{mean:.3f} ±{spread:.3f}"


def facts(runs: list[Run]) -> list[str]:
    """What made the runs: commits, versions of Python, machines; one sentence each."""
    own = [run.card for run in runs if run.card.get("versions")]
    commits = sorted({str(card.get("commit")) for card in own})
    told = [f"{len(runs)} runs; {len(own)} of them made here."]
    if commits:
        told.append(
            ("They come from DIFFERENT COMMITS: " if len(commits) > 1 else "Commit: ") + ", ".join(c[:12] for c in commits)
            + (" (+ means changed since)." if any(c.endswith("+") for c in commits) else ".")
        )  # fmt: skip
        machines = sorted(
            {f"{card['platform']}, {card['cores']} cores, Python {card['versions']['python']}" for card in own}
        )
        told.append("Made on: " + "; ".join(machines) + ".")
    return told


def markdown(made: list[Board], told: list[str], left_out: list[str]) -> str:
    """LEADERBOARD.md."""
    out = ["# Leaderboard", "", *told, ""]
    out += [
        "Rows that share a letter cannot be told apart (paired bootstrap over queries and seeds, Holm-corrected at 5 %). "
        "± is the standard deviation over seeds, [low, high] a 95 % interval of the mean. Published figures are ranked by value "
        "only. Seconds are those of the work when it was done, on the machine that did it.",
        "",
    ]
    for board in made:
        out += [f"## {board.title}", ""]
        if board.shared:
            out += [f"All own recipes have {', '.join(board.shared)}.", ""]
        out += [f"Queries scored: {board.queries}. {gap_text(board)}", ""]
        codes = [CODES.get(d, d) for d in board.datasets]
        head = ["", "recipe", "ties", "mean", "95 %", *codes, "seeds", "seconds", "tokens", "money", "gold"]
        out += ["| " + " | ".join(head) + " |", "|" + "---|" * 3 + "---:|" * (len(head) - 4) + "---|"]
        for place, line in enumerate(board.lines, 1):
            entry = line.entry
            interval = "-" if line.low is None or line.high is None else f"[{line.low:.3f}, {line.high:.3f}]"
            cells = [
                str(place), line.name.replace("|", "/"), line.group or "-", f"**{score(line.mean, line.spread)}**", interval,
                *(f"{line.by_dataset[d][0]:.3f}" for d in board.datasets), "-" if entry.published else str(len(entry.runs)),
                number(entry.seconds(board.datasets)), number(entry.spent("tokens", board.datasets)),
                number(entry.spent("cost", board.datasets), ",.2f"), gold_mark(entry, board.datasets) or "-",
            ]  # fmt: skip
            out.append("| " + " | ".join(cells) + " |")
        out += ["", *(f"Not on this board: {each}." for each in board.left_out), ""]
        versions = ", ".join(f"{d} {v[:12]}" for d, v in sorted(board.versions.items()))
        out += [f"<sub>Versions of the records: {versions}</sub>", ""]
    if left_out:
        out += ["## Left out", "", *(f"* {each}" for each in left_out), ""]
    return "\n".join(out)


def table(made: list[Board]) -> str:
    """leaderboard.csv: one row per board, recipe and dataset (`mean` included)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in made:
        for place, line in enumerate(board.lines, 1):
            entry = line.entry
            whose = [board.metric, board.source, board.protocol, " ".join(board.datasets), place, line.name, kind(line)]
            for name in [*board.datasets, "mean"]:
                mean, spread = (line.mean, line.spread) if name == "mean" else line.by_dataset[name]
                over = board.datasets if name == "mean" else [name]
                ends = [line.low, line.high] if name == "mean" else [None, None]
                rest = [entry.seconds(over), entry.spent("tokens", over), entry.spent("cost", over)]
                values = ["" if v is None else f"{v:.6f}" for v in (mean, spread, *ends)]
                writer.writerow(
                    [*whose, name, board.versions.get(name, ""), *values, line.group, len(entry.runs)]
                    + ["" if v is None else f"{v:.4f}" for v in rest]
                    + [gold_mark(entry, over)]
                )
    return out.getvalue()


def made_of(
    roots: list[Path], metrics: list[str], forms: str, draws: int, alone: bool
) -> tuple[list[Board], list[str], list[str]]:
    """Boards, facts about the runs, and what was left out with the reason.

    Boards of a single row are there only if they are asked for (`alone`) or there are no others.
    """
    runs, left_out = read(roots)
    if not runs:
        reasons = "".join(f"\n  {each}" for each in left_out)
        raise DistillerError(
            f"no finished run below {', '.join(map(str, roots))}; a run writes scorecard.json{reasons}"
        )
    found, remarks = entries(runs, forms)
    versions: dict[str, set[str]] = {}
    for entry in found:
        for name, (version, _) in entry.scored.items():
            versions.setdefault(name, set()).add(version)
    remarks += [
        f"{name} occurs in {len(each)} versions of its records; each has boards of its own"
        for name, each in sorted(versions.items())
        if len(each) > 1
    ]
    made = boards(found, metrics, draws)
    if not alone and any(len(board.lines) > 1 for board in made):
        remarks += [
            f"{board.source} {board.lines[0].name} ({board.lines[0].entry.first.folder}) has no board, as no other recipe was "
            f"scored on the same queries of {', '.join(board.datasets)}; its {board.metric} is {board.lines[0].mean:.4f}"
            for board in made
            if len(board.lines) == 1 and board.metric == metrics[0]
        ]
        made = [board for board in made if len(board.lines) > 1]
    return made, facts(runs), [*left_out, *remarks]


def write(
    roots: list[Path],
    to: Path,
    metrics: list[str] | None = None,
    forms: str = "final",
    draws: int | None = None,
    alone: bool = False,
) -> list[str]:
    """Write the three files into the folder `to`; returns a sentence about every board, and one that says where they are.

    metrics: None for the three that the paper reports. forms: see `runs.entries`. draws: resamples of the bootstrap.

    Raises:
        DistillerError: a metric or form is unknown, a folder is missing, or no finished run lies below any of them.
    """
    metrics = metrics or list(SHOWN)
    for what, known, words in (
        ("metric", list(METRICS), metrics),
        ("form", ["final", *FORMS, "all"], [forms]),
    ):
        for word in words:
            if word not in known:
                raise DistillerError(f"there is no {what} {word!r} of a leaderboard{nearest(word, known)}")
    made, told, left_out = made_of(roots, metrics, forms, draws or DRAWS, alone)
    to.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("LEADERBOARD.md", markdown(made, told, left_out)),
        ("leaderboard.csv", table(made)),
        ("leaderboard.html", page(made, told, left_out)),
    ):
        (to / name).write_text(text, encoding="utf-8")
    said = []
    for board in made:
        best = board.lines[0]
        ties = sum(1 for line in board.lines[1:] if set(line.group.split()) & set(best.group.split()))
        said.append(
            f"{board.title}: {len(board.lines)} rows, best {best.name} {best.mean:.4f}, {ties} more not told apart from it"
        )
    return [
        *said,
        f"{len(left_out)} remarks, {len(made)} boards written to {to / 'LEADERBOARD.md'}, .csv and .html",
    ]
