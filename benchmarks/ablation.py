"""What one factor of the recipe changes, everything else being equal: paired differences, learning curves, what it costs.

    python benchmarks/ablation.py outputs/ --factor selector [--x selector.budget] [--baseline random] [--to FOLDER]

A factor is a part of the recipe (selector, teacher, student, algorithm ...) or one of its fields (selector.budget,
student.members, teacher.elicitation.order). Its levels are compared within blocks: runs that agree in everything else, in the
versions of the datasets, in the queries scored and in the seeds. A difference is the mean over the blocks in which both levels
occur; its interval comes from resampling queries and seeds (`significance.py`), p-values are corrected by Holm over all pairs.
Levels that were scored on other queries are not compared: protocol=paper scores what was not labelled, so selectors and
budgets are compared under protocol=fixed.

Written are ablation-<factor>.md and .csv, and figures: scores and differences by level; with --x a learning curve per level;
the Pareto front of the score against seconds, tokens and money, where these are known.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from distiller.board.boards import choice, flat
from distiller.board.runs import METRICS, PARTS, Entry, entries, read
from distiller.board.significance import ALPHA, DRAWS, Difference, Replicates, Row, contrasts, replicates
from distiller.config import DistillerError


@dataclass
class Block:
    """Recipes that differ in the factor alone: level -> entry, all with these seeds and datasets. x: the place on the x axis."""

    context: str
    levels: dict[str, Entry]
    seeds: list[int]
    datasets: list[str]
    x: float | None = None


@dataclass
class Effects:
    """What was found: blocks, scores by (block, level) as rows of `found`, and the differences of pairs of levels."""

    factor: str
    metric: str
    blocks: list[Block]
    levels: list[str]
    rows: dict[tuple[int, str], int]
    found: Replicates
    pairs: list[tuple[str, str]]
    differences: list[Difference]
    shared: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def mean(self, level: str, x: float | None = None) -> tuple[float, float, float]:
        """Mean score of a level over its blocks (those at x), with its interval."""
        rows = [r for (b, name), r in self.rows.items() if name == level and (x is None or self.blocks[b].x == x)]
        weights = np.zeros((1, len(self.found.observed)))
        weights[0, rows] = 1 / len(rows)
        (made,) = contrasts(self.found, weights)
        return made.value, made.low, made.high


def level_and_rest(recipe: dict[str, Any], factor: str, common: set[str]) -> tuple[str, dict[str, Any]] | None:
    """The level of a factor in a recipe and the recipe without it; None if the recipe does not have it.

    Of a whole part, the level is its choice with the fields that are its own; `common` fields, which several choices have
    (a budget), stay in the rest.
    """
    rest = {f"{part}.{path}" if path else part: value for part in recipe for path, value in flat(recipe[part]).items()}
    rest = {key: value for key, value in rest.items() if key != "name"}
    if "." in factor:
        if factor not in rest:
            return None
        return json.dumps(rest.pop(factor)).strip('"'), rest
    if recipe.get(factor) is None:
        return None
    own = {k: v for k, v in rest.items() if k.split(".")[0] == factor and k not in common}
    level = json.dumps(
        [choice(recipe[factor]), {k.removeprefix(f"{factor}."): v for k, v in own.items() if k != factor}]
    )
    return level, {k: v for k, v in rest.items() if k not in own}


def common_fields(recipes: Iterable[dict[str, Any]], factor: str) -> set[str]:
    """Fields of a part that several of its choices have."""
    having: dict[str, set[str]] = {}
    for recipe in recipes:
        for path in flat(recipe.get(factor)):
            if path:
                having.setdefault(f"{factor}.{path}", set()).add(choice(recipe.get(factor)))
    return {key for key, choices in having.items() if len(choices) > 1}


def blocks_of(found: list[Entry], factor: str, x: str | None) -> tuple[list[Block], list[str]]:
    """Blocks with at least two levels, and remarks on what could not be compared. Without a factor's variation: one level."""
    common = common_fields([e.recipe for e in found], factor) if "." not in factor else set()
    grouped: dict[str, dict[str, list[Entry]]] = {}
    places: dict[str, float | None] = {}
    remarks: list[str] = []
    for entry in found:
        split = level_and_rest(entry.recipe, factor, common)
        if split is None:
            continue
        level, rest = split
        place = rest.get(x) if x else None
        if x and not isinstance(place, int | float):
            remarks.append(f"{entry.first.folder}: has no number {x}")
            continue
        context = json.dumps(rest, sort_keys=True)
        versions = json.dumps({d: v for d, (v, _) in entry.scored.items()}, sort_keys=True)
        grouped.setdefault(context + versions, {}).setdefault(level, []).append(entry)
        places[context + versions] = None if place is None else float(place)
    names = _short([level for each in grouped.values() for level in each])
    made = []
    for context, levels in sorted(grouped.items()):
        members = {names[level]: own[0] for level, own in sorted(levels.items())}
        if len(members) < 2:
            continue
        scored = {json.dumps(e.scored, sort_keys=True) for e in members.values()}
        if len(scored) > 1 or any(q == "by seed" for e in members.values() for _, q in e.scored.values()):
            remarks.append(
                f"{', '.join(members)} ({members[next(iter(members))].first.folder} and others) were scored on different "
                "queries, so their scores cannot be compared; set protocol=fixed"
            )
            continue
        seeds = sorted(set.intersection(*(set(e.runs) for e in members.values())))
        every = set().union(*(set(e.runs) for e in members.values()))
        if len(every) > len(seeds):
            remarks.append(f"{', '.join(members)}: only seeds {seeds} of {sorted(every)} were run with all of them")
        if seeds:
            first = next(iter(members.values()))
            made.append(Block(context, members, seeds, list(first.scored), places[context]))
    return made, remarks


def _short(levels: list[str]) -> dict[str, str]:
    """A readable name for each level: the choice, with those fields in brackets in which levels of one choice differ."""
    distinct = list(dict.fromkeys(levels))
    parsed = {level: json.loads(level) if level.startswith("[") else None for level in distinct}
    names = {}
    for level, own in parsed.items():
        if own is None or not (isinstance(own, list) and len(own) == 2 and isinstance(own[1], dict)):
            names[level] = level
            continue
        peers = [o[1] for o in parsed.values() if o and o[0] == own[0]]
        differing = [k for k in own[1] if len({json.dumps(p.get(k), sort_keys=True) for p in peers}) > 1]
        inner = ", ".join(str(own[1][k]) if k in ("name", "model") else f"{k}={own[1][k]}" for k in differing)
        names[level] = f"{own[0]}({inner})" if inner else own[0]
    return names


def effects(found: list[Entry], factor: str, metric: str, x: str | None = None, draws: int = DRAWS) -> Effects:
    """Scores of all levels and the differences of all pairs of them.

    Raises:
        SystemExit: nothing can be compared; the message says why.
    """
    blocks, remarks = blocks_of(found, factor, x)
    rows: list[Row] = []
    place: dict[tuple[int, str], int] = {}
    kept: list[Block] = []
    for block in blocks:
        own: dict[str, Row] = {}
        for level, entry in block.levels.items():
            row = entry.row(metric, block.datasets)
            if row is not None:
                own[level] = {seed: row[seed] for seed in block.seeds}
        if len(own) == len(block.levels):
            for level, row in own.items():
                place[len(kept), level] = len(rows)
                rows.append(row)
            kept.append(block)
        else:
            remarks.append(f"{', '.join(block.levels)}: {METRICS[metric]} is not defined for all of them")
    if not kept:
        told = "".join(f"\n  {each}" for each in dict.fromkeys(remarks))
        raise SystemExit(
            f"no two runs differ in {factor} alone; run for example python run.py -m {factor}=a,b seed=1,2,3 protocol=fixed{told}"
        )
    replicated = replicates(rows, draws)
    levels = sorted({level for block in kept for level in block.levels}, key=_natural)
    pairs, weights, shared = [], [], []
    for one, two in combinations(levels, 2):
        both = [b for b, block in enumerate(kept) if {one, two} <= block.levels.keys()]
        if both:
            weight = np.zeros(len(rows))
            weight[[place[b, one] for b in both]] = 1 / len(both)
            weight[[place[b, two] for b in both]] = -1 / len(both)
            pairs.append((one, two))
            weights.append(weight)
            shared.append(len(both))
    tests = contrasts(replicated, np.array(weights))
    return Effects(factor, metric, kept, levels, place, replicated, pairs, tests, shared, list(dict.fromkeys(remarks)))


def _natural(level: str) -> tuple[int, float, str]:
    try:
        return 0, float(level), ""
    except ValueError:
        return 1, 0.0, level


def report(made: Effects, left_out: list[str]) -> str:
    """The ablation as Markdown."""
    seeds = sorted({s for b in made.blocks for s in b.seeds})
    datasets = list(dict.fromkeys(d for b in made.blocks for d in b.datasets))
    out = [
        f"# Ablation: {made.factor}",
        "",
        f"{METRICS[made.metric]}, {len(made.blocks)} blocks of runs that differ in {made.factor} alone, seeds "
        f"{', '.join(map(str, seeds))}, datasets {', '.join(datasets)}. Intervals of 95 % are from resampling queries and seeds; "
        f"p is corrected by Holm over {len(made.pairs)} comparisons.",
        "",
        "| level | mean | 95 % |",
        "|---|---:|---:|",
    ]
    means = {level: made.mean(level) for level in made.levels}
    for level in sorted(made.levels, key=lambda name: -means[name][0]):
        mean, low, high = means[level]
        out.append(f"| {level} | {mean:.4f} | [{low:.4f}, {high:.4f}] |")
    out += ["", "| difference | value | 95 % | p (Holm) | blocks | |", "|---|---:|---:|---:|---:|---|"]
    for (one, two), d, blocks in zip(made.pairs, made.differences, made.shared, strict=True):
        word = "differ" if d.holm < ALPHA else "not told apart"
        out.append(
            f"| {one} - {two} | {d.value:+.4f} | [{d.low:+.4f}, {d.high:+.4f}] | {d.holm:.4f} | {blocks} | {word} |"
        )
    remarks = [*made.left_out, *left_out]
    return "\n".join([*out, "", *(f"* {each}" for each in remarks), ""])


def table(made: Effects) -> str:
    """The differences as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["factor", "metric", "first", "second", "difference", "low", "high", "p", "holm", "blocks"])
    for (one, two), d, blocks in zip(made.pairs, made.differences, made.shared, strict=True):
        values = [f"{v:.6g}" for v in (d.value, d.low, d.high, d.p, d.holm)]
        writer.writerow([made.factor, made.metric, one, two, *values, blocks])
    return out.getvalue()


def main() -> None:
    """Print the tables and write them with the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="+", type=Path, help="folders that runs lie below")
    parser.add_argument("--factor", required=True, help="part of the recipe or one of its fields, such as selector")
    parser.add_argument("--x", help="a number in the recipe for a learning curve, such as selector.budget")
    parser.add_argument("--metric", default="pair_f1", choices=list(METRICS))
    parser.add_argument("--source", default="student", choices=list(PARTS))
    parser.add_argument("--forms", default="final", choices=["final", "plain", "one_to_one"])
    parser.add_argument("--baseline", help="level that the figure shows differences from; the first one unless told")
    parser.add_argument("--to", type=Path, default=Path(), help="folder to write to, this one unless told")
    parser.add_argument("--format", default="svg", choices=["svg", "png", "pdf"], help="of the figures")
    parser.add_argument("--draws", type=int, default=DRAWS, help="resamples of the bootstrap")
    options = parser.parse_args()
    runs, left_out = read(options.roots)
    found, remarks = entries(runs, options.forms)
    own = [e for e in found if e.source == options.source and not e.recipe.get("name")]
    known = sorted({k for e in own for k in e.recipe if k not in ("name",) and e.recipe[k] is not None})
    if options.factor.split(".")[0] not in known:
        raise SystemExit(
            f"--factor {options.factor}: no run has this part; known: {', '.join(known) or 'none, there are no runs'}"
        )
    made = effects(own, options.factor, options.metric, options.x, options.draws)
    if options.baseline and options.baseline not in made.levels:
        raise SystemExit(f"--baseline {options.baseline}: is no level; known: {', '.join(made.levels)}")
    from figures import curve_figure, differences_figure, pareto_figure

    options.to.mkdir(parents=True, exist_ok=True)
    stem = f"ablation-{options.factor}"
    text = report(made, [*left_out, *remarks])
    (options.to / f"{stem}.md").write_text(text, encoding="utf-8")
    (options.to / f"{stem}.csv").write_text(table(made), encoding="utf-8")
    print(text)
    end = options.format
    written = [f"{stem}.md", f"{stem}.csv", f"{stem}-differences.{end}"]
    differences_figure(made, options.baseline or made.levels[0], options.to / written[-1])
    if options.x:
        curve_figure(made, options.x, options.to / f"{stem}-curve.{end}")
        written.append(f"{stem}-curve.{end}")
    if pareto_figure(made, options.to / f"{stem}-pareto.{end}"):
        written.append(f"{stem}-pareto.{end}")
    print(f"written to {options.to}: {', '.join(written)}")


if __name__ == "__main__":
    try:
        main()
    except DistillerError as error:
        sys.exit(f"error: {error}")
