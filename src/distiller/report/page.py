"""The whole report of a run as one HTML page that needs nothing else."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distiller.report import run as finished
from distiller.report.findings import Pairing, duel, mistakes, unjudged
from distiller.report.markup import Html, join, table, tag, text
from distiller.report.plots import bar, curve_plot, reliability_plot
from distiller.report.reliability import expected_error, reliability
from distiller.report.run import Run
from distiller.report.scores import OnTest, Published, chosen, duration, heading, scores, sentences, tiles
from distiller.report.slices import memberships, slices, truths
from distiller.report.style import CSS, SCRIPT, script_source

EXAMPLES = 12
#: What of a training's facts is worth a line, and how it is called.
FACTS = {
    "queries": "queries learnt from",
    "unread": "unread replies left out",
    "rounds": "rounds of boosting chosen",
    "cv_loss": "cross-validated loss",
    "cv_agreement": "held-out answers that agree with the teacher",
    "held_out_agreement": "held-out answers that agree with the teacher",
}


def report(run: Run, published: Sequence[Published] = (), same_queries: bool = False, examples: int = EXAMPLES) -> str:
    """The page. published: figures to show beside the run's; same_queries: whether they are about this run's test queries.

    examples: how many queries to show at most of each kind.
    """
    teacher = chosen(run, "teacher").removeprefix("recorded ")
    on_test, pairs = OnTest(teacher), []
    for name, part in run.parts.items():
        if (found := finished.teacher_on_test(run, part)) is not None:
            answered, on_test.scores[name] = found
            pairs.append(Pairing.of(part, part.of("student", part.final), answered))
    judged = any(part.scored.num_rows for part in run.parts.values())
    sections = [("Scores", scores(run, on_test, list(published), same_queries))]
    if judged:
        sections.append(("Won and lost", _duels(run, pairs, teacher, examples)))
        sections.append(("Errors by slice", join([_slices(run), mistakes(list(run.parts.values()), examples)])))
    else:
        sections.append(("Answers", join(unjudged(part, examples) for part in run.parts.values())))
    sections += [
        ("Calibration and training", _learning(run)),
        ("Time and cost", _costs(run)),
        ("Origin", _origin(run)),
    ]
    missing = [f"{name}: {each}." for name, part in run.parts.items() for each in part.missing]
    lead = [heading(run), sentences(run), tiles(run), *(tag("p", each, class_="note") for each in missing)]
    return document(f"DistillER report: {run.name}", join(lead), [s for s in sections if s[1]])


def document(title: str, lead: Html, sections: Sequence[tuple[str, Html]]) -> str:
    """A page of titled sections; nothing is loaded from anywhere, and no script but its own may run."""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {script_source()}"
    links = [tag("a", name, href=f"#{_anchor(name)}") for name, _ in sections]
    body = [tag("section", tag("h2", name), content, id=_anchor(name)) for name, content in sections]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<link rel="icon" href="data:,"><title>{text(title)}</title>',
            f"<style>{CSS}</style></head><body>",
            tag("header", lead),
            tag("nav", tag("div", *links)) if len(links) > 1 else "",
            tag("main", *body),
            f"<script>{SCRIPT}</script></body></html>",
            "",
        ]
    )


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _duels(run: Run, pairs: list[Pairing], teacher: str, examples: int) -> Html:
    made = []
    if pairs:
        told = "The teacher's recorded answers to test queries; nothing was learnt from them."
        made.append(duel("On test queries", pairs, teacher, examples, told))
    labelled = []
    for part in run.parts.values():
        ours = finished.student_on_train(part)
        if ours is not None and part.of("teacher", "plain").num_rows:
            labelled.append(Pairing.of(part, ours, part.of("teacher", "plain")))
    if labelled:
        told = "The student learnt from the teacher's answers to these queries, so agreement here flatters it."
        if not pairs:
            told += " No answers of the teacher to test queries exist, so this is the only comparison query by query."
        made.append(duel("On the queries that the teacher labelled", labelled, teacher, examples, told))
    return join(made) or tag("p", "There are no queries that both teacher and student answered and gold tells about.")


def _slices(run: Run) -> Html:
    views: dict[str, list[np.ndarray]] = {}
    wrong: list[np.ndarray] = []
    kinds = {
        "took another candidate": 0,
        "claimed a match where there is none": 0,
        "said none, but there is a match": 0,
    }
    for part in run.parts.values():
        own = part.of("student", part.final)
        if not own.num_rows:
            continue
        ids, gold_here = own["query_id"].to_numpy(), own["gold_candidates"].to_numpy()
        errors = ~own["right"].to_numpy()
        claimed = own["choice"].to_numpy() > 0
        for kind, which in zip(kinds, (claimed & (gold_here > 0), claimed & (gold_here == 0), ~claimed), strict=True):
            kinds[kind] += int((errors & which).sum())
        found = {"what is true of the query": truths(gold_here, own["gold"].to_numpy())}
        if part.records is not None and part.candidates is not None:
            found |= memberships(part.records, part.candidates, ids)
        if len(run.parts) > 1:
            found["dataset"] = np.full(len(ids), part.name, dtype=object)
        unknown = "not known" if part.records is None or part.candidates is None else ""
        for view in [*views, *(v for v in found if v not in views)]:
            before = [np.full(len(w), "not known", dtype=object) for w in wrong]
            views.setdefault(view, before).append(found.get(view, np.full(len(ids), unknown, dtype=object)))
        wrong.append(errors)
    if not wrong:
        return tag("p", "The student was not scored.")
    everything = np.concatenate(wrong)
    made = slices({view: np.concatenate(names) for view, names in views.items()}, everything)
    rows: list[Html | list[object]] = []
    last = ""
    for each in made:
        if each.view != last:
            rows.append(tag("tr", tag("th", each.view, colspan=5, scope="rowgroup"), class_="group"))
        told = f"{each.rate:.1%}, 95 % interval {each.low:.1%} to {each.high:.1%}"
        drawn = bar(each.rate, "bad", (each.low, each.high), told)
        rows.append([each.name, drawn, f"{each.rate:.1%}", f"{each.wrong:,}", f"{each.count:,}"])
        last = each.view
    total = int(everything.sum())
    told = f"The student answered {total:,} of {len(everything):,} test queries wrongly ({total / len(everything):.1%})"
    if total:
        told += ": " + ", ".join(f"{count:,} times it {kind}" for kind, count in kinds.items())
    return join(
        [
            tag("p", told + ". Lines show 95 % intervals; slices of one view make up all queries."),
            table(["test queries", "share wrong", "", "wrong", "of"], rows, 2, "slices"),
        ]
    )


def _learning(run: Run) -> Html:
    made = []
    # Disambiguation changes choices, not probabilities: what is calibrated are the student's own answers.
    scored = [part.of("student", "plain") for part in run.parts.values()]
    confidence = np.concatenate([each["confidence"].to_numpy() for each in scored])
    right = np.concatenate([each["right"].to_numpy() for each in scored])
    bins = reliability(confidence, right) if len(right) else []
    if bins:
        told = f"Expected calibration error {expected_error(bins):.3f} over {sum(b.count for b in bins):,} test answers, before "
        told += "disambiguation. On the dashed line, answers given with 80 % are right 80 times in 100; below, they are too sure."
        made.append(
            tag("div", tag("h3", "Are its probabilities true?"), reliability_plot(bins), tag("p", told, class_="note"))
        )
    trained = next((d["training"] for d in run.card["datasets"].values() if "training" in d), None)
    if trained is not None:
        inside = [tag("h3", "How it learnt")]
        lines = curves(trained)
        if lines:
            rounds = "rounds" in trained
            inside.append(curve_plot(lines, "round" if rounds else "epoch", "loss", trained.get("rounds")))
        else:
            inside.append(tag("p", "This student reports no curve of its training."))
        facts = [f"{name}: {_number(trained[key])}" for key, name in FACTS.items() if trained.get(key) is not None]
        inside.append(tag("p", " · ".join(facts), class_="note"))
        made.append(tag("div", *inside))
    return tag("div", *made, class_="two") if made else Html("")


def curves(trained: dict[str, object]) -> dict[str, list[tuple[float, float]]]:
    """The curve that a student reports (step, training loss or null, held-out loss or null), as lines by name."""
    curve = trained.get("curve")
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in curve if isinstance(curve, list) else []:
        for name, value in zip(("held-out answers", "training answers"), (row[2], row[1]), strict=True):
            if value is not None and np.isfinite(value):
                lines.setdefault(name, []).append((float(row[0]), float(value)))
    return {name: points for name, points in lines.items() if len(points) > 1}


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)


def _costs(run: Run) -> Html:
    datasets = run.card["datasets"]
    stages = list(run.card["mean"]["seconds"])
    total = {stage: sum(d["seconds"].get(stage, 0.0) for d in datasets.values()) for stage in stages}
    most = max(total.values(), default=0.0) or 1.0
    colours = {"elicit": "teacher"}
    rows = [
        [stage, bar(total[stage] / most, colours.get(stage, "student")), duration(total[stage])] for stage in stages
    ]
    made = [
        tag(
            "p",
            "Seconds are those that the work took when it was done, also where this run found it in the store; recorded "
            "teachers count the seconds of the recording.",
            class_="note",
        ),
        table(["stage", "", "seconds"], rows, 2, "stages"),
    ]
    if len(datasets) > 1:
        by = [[name, *(f"{d['seconds'].get(s, 0.0):,.1f}" for s in stages)] for name, d in datasets.items()]
        made += [tag("h3", "Seconds by dataset"), table(["dataset", *stages], by, 1, "wide")]
    if spent := run.card["mean"].get("spent"):
        money = f", {spent['cost']:,.4g} {spent['currency']}" if spent["cost"] else ", at no price"
        made.append(
            tag(
                "p",
                f"The teacher gave {spent['requests']:,} replies ({spent['cached']:,} known before, {spent['failures']:,} "
                f"failed): {spent['tokens_in']:,} tokens in, {spent['tokens_out']:,} out{money}.",
            )
        )
    else:
        made.append(tag("p", "The teacher's answers cost no tokens and no money in this run."))
    made.append(tag("p", f"Peak memory {run.card['peak_memory_mb']:,} MB.", class_="note"))
    return join(made)


def _origin(run: Run) -> Html:
    command = shlex.join(["python", "run.py", *run.words])
    keys = [
        [tag("b", name) if not i else "", kind, tag("code", key)]
        for name, d in run.card["datasets"].items()
        for i, (kind, key) in enumerate(d.get("keys", {}).items())
    ]
    facts = [
        ("commit", run.card.get("commit") or "not known"),
        ("seed", run.card["seed"]),
        ("platform", run.card.get("platform", "not known")),
        ("cores", run.card.get("cores", "not known")),
        ("versions", ", ".join(f"{k} {v}" for k, v in run.card.get("versions", {}).items())),
    ]
    changed = (
        tag("p", "The code had changes that no commit holds.", class_="note") if str(facts[0][1]).endswith("+") else ""
    )
    return join(
        [
            tag("h3", "The same run again"),
            tag("pre", tag("code", command)),
            tag(
                "p",
                "In a folder with the same store it computes nothing anew; elsewhere it computes everything again.",
                class_="note",
            ),
            tag("h3", "Made with"),
            table(["", ""], facts, 2),
            changed,
            tag(
                "details",
                tag("summary", "Keys of the artifacts in the store"),
                table(["dataset", "artifact", "key"], keys, 3),
            ),
        ]
    )


def write(folder: Path, out: Path | None = None, **settings: object) -> Path:
    """Report on the run in a folder, into `out` or `report.html` beside it; returns where it was written."""
    path = out or folder / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report(finished.read(folder), **settings), encoding="utf-8")  # type: ignore[arg-type]
    return path
