"""Boards: recipes that were scored by one metric on the same queries under one protocol, ranked, with their ties."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distiller.board.runs import METRICS, Entry
from distiller.board.significance import (
    ALPHA,
    DRAWS,
    POWER,
    Difference,
    Row,
    detectable,
    differences,
    letters,
    replicates,
)

#: The paper's names of its datasets, in its order.
CODES = {
    "abt-buy": "D2",
    "amazon-google": "D3",
    "dblp-acm": "D4",
    "imdb-tmdb": "D5",
    "imdb-tvdb": "D6",
    "tmdb-tvdb": "D7",
    "walmart-amazon": "D8",
    "dblp-scholar": "D9",
}


@dataclass
class Line:
    """One recipe on a board; figures are means over seeds, `spread` the standard deviation over them (None for one seed).

    low, high, group: None and "" where there are no answers to single queries, as for published figures.
    """

    name: str
    entry: Entry
    mean: float
    spread: float | None
    by_dataset: dict[str, tuple[float, float | None]]
    low: float | None = None
    high: float | None = None
    group: str = ""


@dataclass
class Board:
    """Lines, best first. shared: what all recipes have in common. gaps: smallest, median, largest detectable gap."""

    metric: str
    source: str
    protocol: str
    datasets: list[str]
    versions: dict[str, str]
    queries: str
    lines: list[Line]
    shared: list[str]
    left_out: list[str] = field(default_factory=list)
    tests: list[Difference] = field(default_factory=list)
    gaps: tuple[float, float, float] | None = None

    @property
    def title(self) -> str:
        """What is compared with what, in one line."""
        which = ", ".join(self.datasets) if len(self.datasets) <= 3 else f"{len(self.datasets)} datasets"
        return f"{METRICS[self.metric]} · {self.source}s · {which} · protocol {self.protocol}"


def boards(found: list[Entry], metrics: Iterable[str], draws: int = DRAWS) -> list[Board]:
    """All boards of these entries, the ones with most lines first.

    A board is for one source, one protocol, one metric and one set of datasets in one version with the same queries
    scored; a recipe that was scored on more datasets takes part with those of the board.
    """
    cells = [_cells(entry) for entry in found]
    kinds = {
        (e.source, _shown(e.recipe.get("protocol")), c) for e, c in zip(found, cells, strict=True) if not e.published
    }
    made = []
    for source, protocol, wanted in sorted(kinds, key=lambda k: (k[0], k[1], sorted(k[2]))):
        names = sorted((dataset for dataset, _, _ in wanted), key=lambda d: (CODES.get(d, d), d))
        here = [
            e
            for e, own in zip(found, cells, strict=True)
            if e.source == source and _shown(e.recipe.get("protocol")) == protocol and wanted <= own
        ]
        for metric in metrics:
            board = _board(here, metric, source, protocol, wanted, names, draws)
            if board.lines:
                made.append(board)
    order = list(metrics)
    return sorted(
        made, key=lambda b: (-len(b.lines) * len(b.datasets), b.source, b.datasets, b.protocol, order.index(b.metric))
    )


Cells = frozenset[tuple[str, str, str]]


def _cells(entry: Entry) -> Cells:
    """(dataset, version of the records, which queries) of an entry; with seeds that score others, the selector names them."""
    selector = json.dumps(entry.recipe.get("selector"), sort_keys=True)
    return frozenset((d, v, f"by seed {selector}" if q == "by seed" else q) for d, (v, q) in entry.scored.items())


def _board(
    here: list[Entry], metric: str, source: str, protocol: str, wanted: Cells, names: list[str], draws: int
) -> Board:
    lines: list[Line] = []
    rows: list[Row] = []
    left_out = []
    labels, shared = named(here)
    for entry, name in zip(here, labels, strict=True):
        row = entry.row(metric, names)
        scores = {d: [entry.score(metric, d, s) for s in sorted(entry.runs)] for d in names}
        if row is None and not entry.published:
            left_out.append(f"{name}: claims several candidates for one query, so it has no {METRICS[metric]}")
            continue
        if any(v is None for values in scores.values() for v in values):
            if not entry.published:
                left_out.append(f"{name}: its scorecard has no {metric}")
            continue
        table = np.array([scores[d] for d in names], dtype=float)
        by_dataset = {d: (float(v.mean()), _spread(v)) for d, v in zip(names, table, strict=True)}
        means = table.mean(axis=0)
        lines.append(Line(name, entry, float(means.mean()), _spread(means), by_dataset))
        rows.append(row or {})
    order = sorted(range(len(lines)), key=lambda i: (-lines[i].mean, lines[i].name))
    lines, rows = [lines[i] for i in order], [rows[i] for i in order]
    queries = sorted({q for _, _, q in wanted})
    board = Board(
        metric, source, protocol, names, {d: v for d, v, _ in wanted},
        "drawn anew by every seed" if any(q.startswith("by seed") for q in queries) else "the same for all",
        lines, shared, left_out,
    )  # fmt: skip
    tested = [i for i, row in enumerate(rows) if row]
    if tested:
        _test(board, tested, [rows[i] for i in tested], draws)
    return board


def _spread(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _test(board: Board, tested: list[int], rows: list[Row], draws: int) -> None:
    """Fill in intervals, groups and detectable gaps of the lines that have answers to single queries."""
    found = replicates(rows, draws)
    board.tests = differences(found)
    for place, (low, high) in zip(tested, found.interval(), strict=True):
        board.lines[place].low, board.lines[place].high = float(low), float(high)
    different = {(d.first, d.second) for d in board.tests if d.holm < ALPHA}
    for place, letter in zip(tested, letters(len(tested), different), strict=True):
        board.lines[place].group = letter
    gaps = [detectable(d.error, d.df, len(board.tests)) for d in board.tests]
    if gaps:
        board.gaps = (min(gaps), float(np.median(gaps)), max(gaps))


def gap_text(board: Board) -> str:
    """The smallest detectable gap in words."""
    if board.gaps is None:
        return "Nothing to compare: one row only."
    low, middle, high = (f"{gap:.4f}" if gap <= 1 else "more than 1" for gap in board.gaps)
    return (
        f"Smallest detectable gap (power {POWER:.0%}, {ALPHA:.0%} over all {len(board.tests)} comparisons): "
        f"{middle} in the middle, {low} to {high} by pair."
    )


def gold_mark(entry: Entry, datasets: list[str]) -> str:
    """Which parts read gold matches, with the share of queries whose matches were given; empty if none did."""
    if not entry.uses_gold:
        return ""
    share = entry.gold_share(datasets)
    return ", ".join(entry.uses_gold) + (f" ({share:.0%})" if share else "")


def kind(line: Line) -> str:
    """own, recorded (the paper's answers, scored by us) or published (figures only)."""
    return "published" if line.entry.published else "recorded" if line.entry.recipe.get("name") else "own"


def named(found: list[Entry]) -> tuple[list[str], list[str]]:
    """A name per entry made of what tells the entries apart, and what all have in common."""
    own = [e for e in found if not e.recipe.get("name")]
    order = [key for key in (found[0].recipe if found else {}) if key != "name"]
    varying, shared = [], []
    for key in order:
        values = {json.dumps(e.recipe.get(key), sort_keys=True) for e in own}
        if len(values) > 1:
            varying.append(key)
        elif own and own[0].recipe.get(key) is not None:
            shared.append(f"{key}={_shown(own[0].recipe[key])}")
    fields = {key: _varying_fields([e.recipe.get(key) for e in own]) for key in varying}
    main = [key for key in ("student", "teacher") if key in order]
    labels = []
    for entry in found:
        if entry.recipe.get("name"):
            labels.append(entry.recipe["name"])
            continue
        keys = varying or main[:1]
        texts = [_shown(entry.recipe.get(key), fields.get(key, {})) for key in keys]
        labels.append(" · ".join(f"{key}={text}" for key, text in zip(keys, texts, strict=True) if text != "none"))
    for i, entry in enumerate(found):
        if labels.count(labels[i]) > 1 or not labels[i]:
            labels[i] = f"{labels[i] or entry.source} ({entry.form.replace('_', '-')}, {entry.first.folder})"
    return labels, shared


def choice(value: Any) -> str:
    """The name of a component's choice, from its class: distiller.selector.blocking_max.BlockingMax is blocking-max."""
    if not isinstance(value, dict) or "class" not in value:
        return "none" if value is None else str(value)
    return str(value["class"]).split(".")[-2 if "." in value["class"] else -1].replace("_", "-")


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The fields of a component's identity by their path, such as elicitation.order."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key not in ("version",):
            name = path if key == "class" else f"{path}.{key}" if path else key
            found |= {name: choice(value)} if key == "class" else flat(each, name)
    return found


def _varying_fields(values: list[Any]) -> dict[str, list[str]]:
    """For every choice, the fields in which its components differ."""
    by_choice: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        by_choice.setdefault(choice(value), []).append(flat(value))
    found = {}
    for name, members in by_choice.items():
        keys = list(dict.fromkeys(key for member in members for key in member if key))
        differing = [k for k in keys if len({json.dumps(m.get(k), sort_keys=True) for m in members}) > 1]
        # Where an inner part is another choice, that and its name say it all.
        telling = [k for k in differing if k.endswith((".name", ".model"))]
        found[name] = [k for k in differing if k in telling or not any(k.startswith(f"{o}.") for o in differing)]
    return found


def _shown(value: Any, fields: dict[str, list[str]] | None = None) -> str:
    """A component in a few words: its choice and, in brackets, its name or the fields told."""
    name = choice(value)
    if not isinstance(value, dict):
        return name
    every = flat(value)
    keys = (fields or {}).get(name, [])
    tellable = [k for k in ("name", "model") if isinstance(value.get(k), str)]
    keys = list(dict.fromkeys([*tellable, *keys]))
    inner = ", ".join(_value(every[k]) if k in tellable else f"{k}={_value(every[k])}" for k in keys if k in every)
    return f"{name}({inner})" if inner else name


def _value(value: Any) -> str:
    """A field's value in a few words; of a long list its length."""
    return f"{len(value)} of them" if isinstance(value, list) and len(value) > 3 else str(value)
