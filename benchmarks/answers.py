"""What the experiments answer, with intervals: selectors, uncertainty, the vote, and what a student loses.

    python benchmarks/answers.py outputs/ [--metric pair_f1] [--budget 100]

Runs are found by their recipes, wherever they lie: those of experiment=q1-selection and q2-teachers, and for the last question
the recorded answers of the teacher to the test queries (python benchmarks/recorded_rows.py outputs/recorded). These are plain;
a run's final answers are one-to-one where it disambiguates, and with --forms plain they are plain, too. Every difference is
paired (same seeds, same queries, everything else equal); see `significance.py`. A question whose runs are not there is
answered by the command that makes them.
"""

import argparse
import sys
from pathlib import Path

from ablation import Effects, effects

from distiller.board.boards import choice, named
from distiller.board.runs import METRICS, Entry, entries, read
from distiller.board.significance import ALPHA, DRAWS, Difference, Row, differences, replicates
from distiller.config import DistillerError

Q1 = "python run.py experiment=q1-selection"
Q2 = "python run.py experiment=q2-teachers"
RECORDED = "python benchmarks/recorded_rows.py outputs/recorded"


def told(d: Difference, sign: int = 1) -> str:
    """A difference with its interval and what it is worth."""
    low, high = sorted((sign * d.low, sign * d.high))
    word = "more than chance" if d.holm < ALPHA else "not told apart"
    p = f"p={d.holm:.4f}" if d.holm >= 0.0001 else "p<0.0001"
    return f"{sign * d.value:+.4f} [{low:+.4f}, {high:+.4f}], {p} after Holm: {word}"


def between(made: Effects, one: str, two: str) -> tuple[Difference, int] | None:
    """The difference of two levels and the sign that makes it `one` less `two`."""
    for pair, d in zip(made.pairs, made.differences, strict=True):
        if set(pair) == {one, two}:
            return d, 1 if pair[0] == one else -1
    return None


def selectors(found: list[Entry], metric: str, budget: float, draws: int) -> list[str]:
    """Which selector should one use with so many queries of budget?"""
    students = [e for e in found if e.source == "student" and (e.recipe.get("selector") or {}).get("budget") == budget]
    try:
        made = effects(students, "selector", metric, draws=draws)
    except SystemExit as reason:
        return [f"cannot be answered: {reason}", f"run {Q1}"]
    means = {level: made.mean(level) for level in made.levels}
    order = sorted(made.levels, key=lambda level: -means[level][0])
    gold = {level for b in made.blocks for level, e in b.levels.items() if "selector" in e.uses_gold}
    able = [level for level in order if level not in gold]
    lines = [
        f"{level:28} {mean:.4f} [{low:.4f}, {high:.4f}]{'  draws by gold' if level in gold else ''}"
        for level in order
        for mean, low, high in [means[level]]
    ]
    if not able:
        return [*lines, "every selector here draws by gold; there is nothing to choose"]
    best, ties = able[0], []
    for other in able[1:]:
        pair = between(made, best, other)
        if pair:
            lines.append(f"{best} - {other}: {told(*pair)}")
            ties += [other] if pair[0].holm >= ALPHA else []
    together = f"; not told apart from it: {', '.join(ties)}" if ties else "; it is told apart from all others"
    return [f"{best}{together if len(able) > 1 else ''} ({_base(made)})", *lines]


def uncertainty(found: list[Entry], metric: str, draws: int) -> list[str]:
    """Is uncertainty better than random? Over all budgets that both were run with."""
    chosen = [
        e for e in found if e.source == "student" and choice(e.recipe.get("selector")) in ("uncertainty", "random")
    ]
    try:
        made = effects(chosen, "selector", metric, draws=draws)
    except SystemExit as reason:
        return [f"cannot be answered: {reason}", f"run {Q1}"]
    lines = []
    for level in [name for name in made.levels if name.startswith("uncertainty")]:
        pair = between(made, level, "random")
        if pair:
            lines.append(f"{_verdict(*pair)}: {level} - random {told(*pair)} ({_base(made)})")
    for block in made.blocks:
        for level in [name for name in block.levels if name.startswith("uncertainty")]:
            rows = [block.levels[level].row(metric, block.datasets), block.levels["random"].row(metric, block.datasets)]
            seeded = [{s: row[s] for s in block.seeds} for row in rows if row is not None]
            (d,) = differences(replicates(seeded, draws))
            budget = (block.levels[level].recipe["selector"] or {}).get("budget")
            lines.append(f"  budget {budget}: {d.value:+.4f} [{d.low:+.4f}, {d.high:+.4f}]")
    return lines


def vote(found: list[Entry], metric: str, draws: int) -> list[str]:
    """Is the vote better than the best teacher? By the students that learnt from them, and by the teachers' own answers."""
    lines = []
    for source, what in (("student", "students taught by them"), ("teacher", "the teachers' own answers")):
        own = [
            e for e in found if e.source == source and choice(e.recipe.get("teacher")) in ("recorded", "vote", "llm")
            and not e.recipe.get("name") and choice(e.recipe.get("student")) != "zero-shot"
        ]  # fmt: skip
        try:
            made = effects(own, "teacher", metric, draws=draws)
        except SystemExit as reason:
            lines += [f"{what}: cannot be answered: {reason}", f"run {Q2}"]
            continue
        means = {level: made.mean(level)[0] for level in made.levels}
        singles = sorted((level for level in means if not level.startswith("vote")), key=lambda level: -means[level])
        votes = [level for level in means if level.startswith("vote")]
        if not singles or not votes:
            lines += [
                f"{what}: there is no vote to compare" if singles else f"{what}: there is no single teacher",
                f"run {Q2}",
            ]
            continue
        for level in votes:
            pair = between(made, level, singles[0])
            if pair:
                lines.append(f"{what}: {_verdict(*pair)}: {level} - {singles[0]} {told(*pair)} ({_base(made)})")
    return lines


def loss(found: list[Entry], metric: str, draws: int) -> list[str]:
    """What does the student lose against its teacher? On the test queries that both answered."""
    teachers: dict[str, Entry] = {}
    for entry in found:
        name = str(entry.recipe.get("name") or "")
        if entry.published or entry.source != "student":
            continue
        if "zero-shot__" in name:
            teachers[name.split("zero-shot__")[1]] = entry
    if not teachers:
        return [f"cannot be answered: the teacher's answers to the test queries are not there; run {RECORDED}"]
    pupils = [
        e
        for e in found
        if e.source == "student" and not e.published and e not in teachers.values()
        and (e.recipe.get("teacher") or {}).get("name") in teachers and choice(e.recipe.get("student")) != "zero-shot"
    ]  # fmt: skip
    labels = named(pupils)[0]
    lines: list[str] = []
    rows: list[Row] = []
    pairs: list[tuple[int, int]] = []
    texts: list[tuple[str, str, int, int]] = []
    for pupil, label in zip(pupils, labels, strict=True):
        name = pupil.recipe["teacher"]["name"]
        teacher = teachers[name]
        both = [d for d in teacher.scored if pupil.scored.get(d) == teacher.scored[d]]
        one, two = pupil.row(metric, both), teacher.row(metric, both)
        if not both or one is None or two is None:
            continue
        pairs.append((len(rows), len(rows) + 1))
        rows += [one, two]
        texts.append((f"{label} ({pupil.form.replace('_', '-')})", name, len(both), len(pupil.runs)))
    if not rows:
        return [
            "cannot be answered: no student was scored on the queries that its teacher answered; set protocol=paper "
            "selector=recorded"
        ]
    made = replicates(rows, draws)
    for d, (label, name, datasets, seeds) in zip(differences(made, pairs), texts, strict=True):
        scores = f"{made.observed[d.first]:.4f} against {made.observed[d.second]:.4f}"
        lines.append(f"{label}: {scores} of {name}, {told(d)} ({datasets} datasets, {seeds} seeds)")
    return sorted(lines)


def _verdict(d: Difference, sign: int) -> str:
    return "not told apart" if d.holm >= ALPHA else "yes" if sign * d.value > 0 else "no, it is worse"


def _base(made: Effects) -> str:
    datasets = {d for b in made.blocks for d in b.datasets}
    seeds = {s for b in made.blocks for s in b.seeds}
    return f"{len(made.blocks)} blocks, {len(datasets)} datasets, {len(seeds)} seeds"


def main() -> None:
    """Print the four answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="+", type=Path, help="folders that runs lie below")
    parser.add_argument("--metric", default="pair_f1", choices=list(METRICS))
    parser.add_argument("--budget", type=float, default=100, help="queries of each dataset, or a share of them")
    parser.add_argument("--forms", default="final", choices=["final", "plain", "one_to_one"])
    parser.add_argument("--draws", type=int, default=DRAWS, help="resamples of the bootstrap")
    options = parser.parse_args()
    runs, _ = read(options.roots)
    found, _ = entries(runs, options.forms)
    own = [e for e in found if not e.recipe.get("name")]
    many = f"{options.budget:g} queries" if options.budget >= 1 else f"{options.budget:.0%} of the queries"
    print(f"metric: {METRICS[options.metric]}; intervals of 95 %; {len(runs)} runs, {len(own)} recipes by source")
    for question, lines in (
        (
            f"Which selector should one use with {many} of budget?",
            selectors(own, options.metric, options.budget, options.draws),
        ),
        ("Is uncertainty better than random?", uncertainty(own, options.metric, options.draws)),
        ("Is the vote better than the best teacher?", vote(own, options.metric, options.draws)),
        ("What does the student lose against its teacher?", loss(found, options.metric, options.draws)),
    ):
        print(f"\n{question}")
        print("\n".join(f"  {line}" for line in lines))


if __name__ == "__main__":
    try:
        main()
    except DistillerError as error:
        sys.exit(f"error: {error}")
