"""Figures of ablations: readable in print, in grey and by the colour-blind (palette of Okabe and Ito, 2008, with markers)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distiller.board.runs import METRICS, Entry

if TYPE_CHECKING:
    from ablation import Effects

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
DASHES: list[Any] = [
    "-",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1)),
    (0, (1, 2.5)),
    "-.",
]
COSTS = {"seconds": "seconds (teacher and student)", "tokens": "teacher's tokens", "cost": "money spent on the teacher"}
STYLE = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "distiller",
    "svg.fonttype": "none",
    "savefig.bbox": "tight",
    "savefig.dpi": 200,
}


def _look(k: int) -> dict[str, Any]:
    """Colour, marker and dashes of the k-th level."""
    return {
        "color": COLOURS[k % len(COLOURS)],
        "marker": MARKERS[(k + k // len(COLOURS)) % len(MARKERS)],
        "linestyle": DASHES[k % len(DASHES)],
    }


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit("figures need matplotlib: pip install 'distiller-er[report]'") from error
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    settings: Any = STYLE
    plt.rcParams.update(settings)
    return plt


def _save(figure: Any, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(path, metadata=dated.get(path.suffix[1:], {}))
    _pyplot().close(figure)


def differences_figure(made: "Effects", baseline: str, path: Path) -> None:
    """Scores by level, one point per block and seed, and beside them the paired differences from the baseline."""
    plt = _pyplot()
    levels = sorted(made.levels, key=lambda level: made.mean(level)[0])
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.2, 1.3 + 0.42 * len(levels)), sharey=True, gridspec_kw={"wspace": 0.08}
    )
    for y, level in enumerate(levels):
        look = _look(made.levels.index(level))
        points = np.concatenate([made.found.by_seed[r] for (_, name), r in made.rows.items() if name == level])
        spread = np.linspace(-0.18, 0.18, len(points)) if len(points) > 1 else np.zeros(1)
        left.plot(points, y + spread, look["marker"], ms=3, color=look["color"], alpha=0.35, mec="none")
        mean, low, high = made.mean(level)
        left.plot([low, high], [y, y], color=look["color"], lw=1.8)
        left.plot([mean], [y], look["marker"], ms=6.5, color=look["color"], mec="white", mew=0.8)
        for pair, d in zip(made.pairs, made.differences, strict=True):
            if baseline in pair and level in pair and level != baseline:
                sign = 1 if pair[0] == level else -1
                ends = sorted((sign * d.low, sign * d.high))
                right.plot(ends, [y, y], color=look["color"], lw=1.8)
                filled = d.holm < 0.05
                right.plot(
                    [sign * d.value],
                    [y],
                    look["marker"],
                    ms=6.5,
                    color=look["color"],
                    mfc=look["color"] if filled else "white",
                )
    left.locator_params(axis="x", nbins=5)
    right.locator_params(axis="x", nbins=5)
    right.axvline(0, color="#444444", lw=0.9)
    left.set_yticks(range(len(levels)), levels)
    left.set_ylim(-0.6, len(levels) - 0.4)
    left.set_xlabel(METRICS[made.metric].split(" (")[0])
    right.set_xlabel(f"difference from {baseline}")
    left.set_title("mean, 95 % interval, single runs", fontsize=9, loc="left")
    right.set_title("paired; filled: p < 5 % after Holm", fontsize=9, loc="left")
    _save(figure, path)


def curve_figure(made: "Effects", x: str, path: Path) -> None:
    """The score of every level along x, with 95 % intervals; of budgets only the shares, where there are any."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(5.6, 3.7))
    places = sorted({b.x for b in made.blocks if b.x is not None})
    if x.endswith("budget") and any(p < 1 for p in places):
        places = [p for p in places if p < 1]  # counts of queries have no place on an axis of shares
    for k, level in enumerate(made.levels):
        own = [p for p in places if any(b.x == p and level in b.levels for b in made.blocks)]
        if not own:
            continue
        mean, low, high = np.array([made.mean(level, p) for p in own]).T
        if len(made.levels) <= 4:
            axes.fill_between(own, low, high, color=_look(k)["color"], alpha=0.12, lw=0)
        else:  # many bands on top of each other would hide one another
            axes.vlines(own, low, high, color=_look(k)["color"], alpha=0.35, lw=0.8)
        axes.plot(own, mean, label=level, ms=5, lw=1.5, mec="white", mew=0.6, **_look(k))
    if len(places) > 1 and places[0] > 0 and places[-1] / places[0] >= 8:
        axes.set_xscale("log")
        axes.minorticks_off()
    shown = [f"{p:.3g}" for p in places]
    if all(0 < p < 1 for p in places):
        shown = [f"{p * 100:.3g} %" for p in places]
    axes.set_xticks(places, shown)
    axes.set_xlabel(x)
    axes.set_ylabel(METRICS[made.metric].split(" (")[0])
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title=made.factor, title_fontsize=9, alignment="left")
    _save(figure, path)


def front(costs: list[float], scores: list[float]) -> list[int]:
    """Indices of the points that no other beats: none costs as little or less and scores more, cheapest first."""
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i]))
    found: list[int] = []
    for i in order:
        if not found or scores[i] > scores[found[-1]]:
            found.append(i)
    return found


def pareto_figure(made: "Effects", path: Path) -> list[str]:
    """The score of every recipe against what it cost, the front as a line; which costs are known, and none: no figure."""
    points: list[tuple[str, Entry, float, list[str]]] = [
        (level, entry, float(made.found.observed[made.rows[b, level]]), block.datasets)
        for b, block in enumerate(made.blocks)
        for level, entry in block.levels.items()
    ]
    panels: dict[str, list[tuple[str, float, float]]] = {}
    for what in COSTS:
        for level, entry, score, datasets in points:
            cost = entry.seconds(datasets) if what == "seconds" else entry.spent(what, datasets)
            if cost:
                panels.setdefault(what, []).append((level, cost, score))
    if not panels:
        return []
    plt = _pyplot()
    figure, grid = plt.subplots(1, len(panels), figsize=(1.2 + 3.6 * len(panels), 3.4), sharey=True, squeeze=False)
    for axes, (what, own) in zip(grid[0], panels.items(), strict=True):
        for k, level in enumerate(made.levels):
            mine = [(c, s) for name, c, s in own if name == level]
            if mine:
                look = _look(k)
                axes.plot(
                    *zip(*mine, strict=True),
                    look["marker"],
                    color=look["color"],
                    ms=5.5,
                    mec="white",
                    mew=0.6,
                    label=level,
                )
        costs, scores = [c for _, c, _ in own], [s for _, _, s in own]
        best = front(costs, scores)
        axes.step([costs[i] for i in best], [scores[i] for i in best], where="post", color="#444444", lw=1, zorder=0)
        if min(costs) > 0 and max(costs) / min(costs) > 20:
            axes.set_xscale("log")
        axes.set_xlabel(COSTS[what])
    grid[0][0].set_ylabel(METRICS[made.metric].split(" (")[0])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        title=made.factor,
        title_fontsize=9,
        alignment="left",
    )
    figure.tight_layout()
    _save(figure, path)
    return list(panels)
