"""The first sections of a report: what was run, and its scores beside the teacher's and the published ones."""

from dataclasses import dataclass, field
from typing import Any

from distiller.report.markup import Html, join, table, tag, text
from distiller.report.plots import dots
from distiller.report.run import Run

METRICS = {"selection_accuracy": "accuracy", "pair_f1": "pair F1", "match_f1": "match F1", "end_to_end_f1": "end F1"}
FORMS = {"plain": "as answered", "one_to_one": "one-to-one"}


@dataclass(frozen=True)
class Published:
    """Figures of one published method: dataset (or "mean") -> metric -> value. `same_queries`: scored on those of this run."""

    name: str
    figures: dict[str, dict[str, float]]


@dataclass
class OnTest:
    """Scores of recorded teacher answers to test queries, by dataset; datasets without such answers are not there."""

    label: str
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)


def chosen(run: Run, group: str) -> str:
    """The name of a component: what is chosen on the command line, with the name of what is recorded or the model."""
    part = run.config.get(group) or {}
    kind = run.choices.get(group) or str(part.get("_target_", "")).rpartition(".")[2]
    name = part.get("name") if kind.lower() == "recorded" else part.get("model") if kind == "openai" else None
    return f"{kind} {name}" if name else kind


def sentences(run: Run) -> Html:
    """What was run, in two sentences."""
    cards = run.card["datasets"].values()
    total = sum(each["records"]["queries"] for each in cards if "records" in each)
    labelled = sum(each.get("selection", {}).get("train", 0) for each in cards)
    scored = sum(each.get("selection", {}).get("test", 0) for each in cards)
    first = f"Of {total:,} queries in {run.name}, the selector {chosen(run, 'selector')} chose {labelled:,}, "
    first += f"which the teacher {chosen(run, 'teacher')} labelled. "
    second = f"From these answers the student {chosen(run, 'student')} learnt by {chosen(run, 'algorithm')}"
    second += f" and answered all queries that have candidates; {scored:,} are there to score it"
    second += f", after {chosen(run, 'disambiguation')}." if _forms(run)[-1:] == ["one_to_one"] else "."
    return tag("p", first, second, class_="lead")


def tiles(run: Run) -> Html:
    """The figures one asks for first."""
    mean, made = run.card["mean"], []
    forms = mean.get("student", {})
    final = forms.get("one_to_one", forms.get("plain"))
    averaged = " (mean of datasets)" if len(run.parts) > 1 else ""
    if final:
        made += [
            (f"{final[m]:.3f}", f"{METRICS[m]} of the student{averaged}") for m in ("pair_f1", "selection_accuracy")
        ]
    seconds = {
        stage: sum(d["seconds"].get(stage, 0.0) for d in run.card["datasets"].values()) for stage in mean["seconds"]
    }
    if "elicit" in seconds:
        made.append((duration(seconds["elicit"]), "asking the teacher"))
    if "distil" in seconds:
        made.append((duration(seconds["distil"]), "training the student"))
    answered = sum(len(p.student.choice) for p in run.parts.values() if p.student is not None)
    if answered and seconds.get("predict"):
        made.append((f"{answered / seconds['predict']:,.0f} / s", "queries answered by the student"))
    if spent := mean.get("spent"):
        cost = (
            f"{spent['cost']:,.4g} {spent['currency']}"
            if spent["cost"]
            else f"{spent['tokens_in'] + spent['tokens_out']:,}"
        )
        made.append((cost, "paid to the teacher" if spent["cost"] else "tokens of the teacher"))
    return tag(
        "div", *(tag("div", tag("b", value), tag("span", name), class_="tile") for value, name in made), class_="tiles"
    )


def scores(run: Run, on_test: OnTest, published: list[Published], same_queries: bool) -> Html:
    """Scores of student, teacher and published methods: a plot by dataset, and all figures."""
    names = list(run.parts)
    forms = _forms(run)
    if not forms:
        return tag(
            "p",
            "Gold matches are not known (or nothing was scored), so this page tells what was found, not how good it is.",
        )
    rows: list[Html | list[object]] = []
    marks: list[tuple[str, list[tuple[str, str, float]]]] = []
    several = len(names) > 1
    for name in [*names, *(["mean"] if several else [])]:
        own = run.card["mean"] if name == "mean" else run.card["datasets"][name]
        lines: list[tuple[str, str, dict[str, Any]]] = []
        lines += [("student", f"student, {FORMS[f]}", own["student"][f]) for f in forms if f in own.get("student", {})]
        if "plain" in own.get("teacher", {}):
            lines.append(("teacher", "teacher, on the queries it labelled", own["teacher"]["plain"]))
        if name in on_test.scores:
            lines.append(("teacher", "teacher, on test queries (recorded)", on_test.scores[name]))
        lines += [("published", each.name, each.figures[name]) for each in published if name in each.figures]
        for i, (who, label, figures) in enumerate(lines):
            cells = [f"{figures[m]:.3f}" if m in figures else "" for m in METRICS]
            count = f"{figures['queries']:,.0f}" if "queries" in figures and name != "mean" else ""
            if not i:
                rows.append(tag("tr", tag("th", name, colspan=6, scope="rowgroup"), class_="group"))
            rows.append([source(who, label), count, *cells])
        plotted = [(w, how, v["pair_f1"]) for w, how, v in reversed(lines) if "pair_f1" in v and "labelled" not in how]
        plotted = [each for each in plotted if each[0] != "student" or FORMS[forms[-1]] in each[1]]
        marks.append((name, plotted))
    values = [value for _, own in marks for _, _, value in own]
    low = max(0.0, int(min(values) * 5) / 5 if values else 0.0)
    names_of = {"student": "student", "teacher": "teacher on test queries", "published": "published"}
    drawn = {who for _, own in marks for who, _, _ in own}
    key = tag("p", *(source(who, label) for who, label in names_of.items() if who in drawn), class_="key")
    plot = join([tag("h3", "Pair F1"), key, dots(marks, low, 1.0)]) if values else ""
    return join(
        [
            plot,
            tag("h3", "All figures"),
            table(["answers of", "queries", *METRICS.values()], rows, 1, "scores"),
            *notes(run, on_test, published, same_queries),
        ]
    )


def notes(run: Run, on_test: OnTest, published: list[Published], same_queries: bool) -> list[Html]:
    """What one must know to read the table."""
    told = [
        "Accuracy is the share of queries whose choice, “none of them” included, is right (the paper calls it F1). Pair F1 "
        "counts chosen pairs against gold pairs among the candidates, match F1 against all gold matches of queries that have "
        "candidates, end F1 against all gold matches of the scored side."
    ]
    if any("teacher" in each for each in run.card["datasets"].values()):
        told.append(
            "The teacher's first row is about the queries it labelled, the student's rows are about the test queries: other "
            "queries, so the two are not to be ranked."
        )
    if on_test.scores:
        missing = [name for name in run.parts if name not in on_test.scores]
        gap = f" None are recorded for {', '.join(missing)}." if missing else ""
        told.append(
            f"Recorded answers of {on_test.label} to test queries exist; they were used for this comparison only.{gap}"
        )
    else:
        told.append(
            "The teacher was asked about the training queries only; no answers of it to test queries are recorded."
        )
    if published:
        told.append(
            "Published figures are about the same candidates, training and test queries."
            if same_queries
            else "Published figures are about the paper's own training and test queries, which are others than this run's: "
            "they show the range, not a ranking."
        )
    elif published is not None:
        told.append("The paper has no figures for what was run here.")
    if used := run.card.get("uses_gold"):
        told.append(f"Parts that read gold matches: {', '.join(used)}.")
    return [tag("p", each, class_="note") for each in told]


def source(who: str, label: object) -> Html:
    """A source with the colour it has everywhere."""
    return tag("span", tag("i"), label, class_=f"who {who}")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _forms(run: Run) -> list[str]:
    every = [list(d["student"]) for d in run.card["datasets"].values() if "student" in d]
    return every[0] if every else []


def heading(run: Run) -> Html:
    """The title of the page."""
    return join([tag("h1", text(f"{run.name}: {chosen(run, 'student')} taught by {chosen(run, 'teacher')}"))])
