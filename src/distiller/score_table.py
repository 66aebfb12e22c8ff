"""A scorecard as a table on the screen."""

from typing import Any

from rich import box
from rich.table import Table

from distiller.scorecard import SOURCES

SHOWN = {"selection_accuracy": "accuracy", "pair_f1": "pair F1", "match_f1": "match F1", "end_to_end_f1": "end F1"}


def table(card: dict[str, Any]) -> Table:
    """Scores of teacher and student, one row per dataset and form; below it the seconds of each stage over all datasets."""
    shown = Table(header_style="bold", box=box.SIMPLE_HEAD, caption_justify="left", padding=0, show_edge=False)
    shown.add_column("dataset", no_wrap=True)
    shown.add_column("answers of", no_wrap=True)
    for heading in ("queries", *SHOWN.values(), "seconds"):
        shown.add_column(heading, justify="right", no_wrap=True)
    several = len(card["datasets"]) > 1
    for name, dataset in [*card["datasets"].items(), *([("mean", card["mean"])] if several else [])]:
        sources = [(who, form, scores) for who in SOURCES for form, scores in dataset.get(who, {}).items()]
        for i, (who, form, scores) in enumerate(sources or [("not scored: no gold", "", {})]):
            values = [f"{scores[metric]:.3f}" if metric in scores else "" for metric in SHOWN]
            count = f"{scores['queries']:,.0f}" if "queries" in scores else ""
            total = "" if i else f"{sum(dataset['seconds'].values()):,.0f}"
            row = ["" if i else name, f"{who} {'1-1' if form == 'one_to_one' else form}".strip(), count, *values, total]
            shown.add_row(*row, end_section=i == len(sources) - 1)
    totals = {stage: value * len(card["datasets"]) for stage, value in card["mean"]["seconds"].items()}
    shown.caption = "seconds: " + " · ".join(f"{stage} {value:,.1f}" for stage, value in totals.items())
    if spent := card["mean"].get("spent"):
        shown.caption += "\n" + _told(spent)
    return shown


def _told(spent: dict[str, Any]) -> str:
    """What all teachers' answers of a run cost, in one line."""
    unread = f", {spent['failures']:,} without reply" if spent["failures"] else ""
    money = f", {spent['cost']:,.4g} {spent['currency']}" if spent["cost"] else ""
    return (
        f"teacher: {spent['requests']:,} replies ({spent['cached']:,} known before{unread}), "
        f"{spent['tokens_in']:,} tokens in, {spent['tokens_out']:,} out{money}"
    )
