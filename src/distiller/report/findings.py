"""The sections about single queries: won and lost against the teacher, and what there is to see without gold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet
from distiller.report.compared import Compared, compared, sign_test
from distiller.report.markup import Html, join, rows_by_id, side_by_side, tag
from distiller.report.run import Part

NONE, UNREAD = "none of the candidates", "the reply could not be read"


@dataclass(frozen=True)
class Pairing:
    """Student and teacher on the queries of one dataset that both answered, as outcomes, and how they compare."""

    part: Part
    student: pa.Table
    teacher: pa.Table
    result: Compared

    @classmethod
    def of(cls, part: Part, student: pa.Table, teacher: pa.Table) -> "Pairing":
        """The two tables compared."""
        return cls(part, student, teacher, compared(student, teacher))


def duel(title: str, pairings: Sequence[Pairing], teacher: str, examples: int, explained: str) -> Html:
    """Counts of queries won and lost over all datasets, with the records of some of each, the surest errors first."""
    totals = {k: sum(len(getattr(p.result, k)) for p in pairings) for k in ("both", "won", "lost", "neither")}
    n = sum(totals.values())
    if not n:
        return Html("")
    chance = sign_test(totals["won"], totals["lost"])
    agreed = sum(p.result.agreed for p in pairings)
    net = totals["won"] - totals["lost"]
    told = (
        f"On {n:,} queries that both answered, the student chose the same as {teacher} in {agreed / n:.1%}. It is right where "
        f"the teacher is wrong on {totals['won']:,} and wrong where the teacher is right on {totals['lost']:,}: "
        f"{'a gain' if net > 0 else 'a loss' if net < 0 else 'no difference'}"
        f"{f' of {abs(net):,} queries ({abs(net) / n:.1%})' if net else ''}. "
    )
    told += (
        f"So uneven a split would come about by chance with probability {_small(chance)} (exact sign test)."
        if chance < 0.05
        else f"Such a split, or a more uneven one, comes about by chance with probability {chance:.2f}: no clear difference."
    )
    kinds = {"both": "both right", "won": "student alone right", "lost": "teacher alone right", "neither": "both wrong"}
    colours = {"both": "both", "won": "good", "lost": "bad", "neither": "plain"}
    split = tag(
        "div",
        *(
            tag("i", class_=colours[k], style=f"flex:{totals[k]} 1 0", title=f"{kinds[k]}: {totals[k]:,}")
            for k in kinds
            if totals[k]
        ),
        class_="split",
    )
    key = tag(
        "p",
        *(tag("span", tag("i", class_=f"swatch {colours[k]}"), f"{kinds[k]} {totals[k]:,}") for k in kinds),
        class_="key split-key",
    )
    parts = [tag("h3", title), tag("p", explained, class_="note"), tag("p", told), split, key]
    for which, heading in (("lost", "Lost"), ("won", "Won")):
        shown = _spread([(p, getattr(p.result, which)) for p in pairings], examples)
        if shown:
            total = totals[which]
            extent = (
                f"all {total:,}" if len(shown) == total else f"{len(shown)} of {total:,}, where the student was surest"
            )
            body = [_example(p, q) for p, q in shown]
            parts.append(
                tag("div", tag("h3", f"{heading} ", tag("span", extent, class_="soft")), _filter(pairings), *body)
            )
    return join(parts)


def mistakes(parts: Sequence[Part], examples: int) -> Html:
    """The student's wrong answers to test queries of which it was surest, with their records."""
    alone = []
    for part in parts:
        own = part.of("student", part.final)
        if own.num_rows:
            wrong = own["query_id"].to_numpy()[~own["right"].to_numpy()]
            alone.append((Pairing(part, own, own, compared(own, own)), wrong))
    shown = _spread(alone, examples)
    if not shown:
        return Html("")
    total = sum(len(wrong) for _, wrong in alone)
    extent = f"all {total:,}" if len(shown) == total else f"{len(shown)} of {total:,}"
    body = [_example(pairing, query, alone=True) for pairing, query in shown]
    heading = tag("h3", "Mistakes the student was surest of ", tag("span", extent, class_="soft"))
    return tag("div", heading, _filter([pairing for pairing, _ in alone]), *body)


def _spread(found: Sequence[tuple[Pairing, np.ndarray]], examples: int) -> list[tuple[Pairing, int]]:
    """Queries in turn from each dataset, those of the largest confidence of the student first."""
    queues = []
    for pairing, ids in found:
        rows = np.searchsorted(pairing.student["query_id"].to_numpy(), ids)
        sure = np.nan_to_num(pairing.student["confidence"].to_numpy()[rows], nan=0.0)
        queues.append([(pairing, int(q)) for q in ids[np.lexsort((ids, -sure))]])
    turns = [queue[i] for i in range(max(map(len, queues), default=0)) for queue in queues if i < len(queue)]
    return turns[:examples]


def _filter(pairings: Sequence[Pairing]) -> Html:
    names = list(dict.fromkeys(p.part.name for p in pairings))
    which = ""
    if len(names) > 1:
        options = [tag("option", "all datasets", value=""), *(tag("option", name, value=name) for name in names)]
        which = tag("select", *options, aria_label="dataset")
    return Html(
        tag(
            "div",
            which,
            Html('<input type="search" placeholder="find words" aria-label="find words">'),
            class_="filter",
            hidden="hidden",
        )
    )


def _example(pairing: Pairing, query: int, alone: bool = False) -> Html:
    part = pairing.part
    ours, theirs = (_row(table, query) for table in (pairing.student, pairing.teacher))
    right = gold_candidates(part, query)
    sure = "" if np.isnan(ours["confidence"]) else f" ({ours['confidence']:.0%})"
    said = f"{part.name} · student: {_said(part, ours)}{sure}"
    chosen = {"student": int(ours["chosen_id"])}
    if not alone:
        said += f" · teacher: {_said(part, theirs)}"
        chosen["teacher"] = int(theirs["chosen_id"])
    summary = [title(part, query), tag("span", said, class_="soft")]
    return tag(
        "details",
        tag("summary", *summary),
        shown_records(part, query, [*chosen.items(), *(("right", each) for each in right[:2] or [-1])]),
        data_dataset=part.name,
    )


def shown_records(part: Part, query: int, candidates: Sequence[tuple[str, int]]) -> Html:
    """A query beside candidates (why shown, id; -1 for none); one that is shown for several reasons has one column."""
    if part.records is None:
        return tag("p", f"The records of {part.name} are not there any more.", class_="note")
    reasons: dict[int, list[str]] = {}
    for why, each in candidates:
        reasons.setdefault(int(each), []).append(why)
    rows = rows_by_id(part.records.candidates, [each for each in reasons if each >= 0])
    columns: list[tuple[str, dict[str, str] | None, str]] = [
        ("query", rows_by_id(part.records.queries, [query])[query], "")
    ]
    for each, told in sorted(reasons.items(), key=lambda item: ("right" in item[1], item[0])):
        columns.append((" and ".join(told), rows.get(each), NONE))
    return side_by_side(columns)


def gold_candidates(part: Part, query: int) -> list[int]:
    """The candidates of a query that match it, by gold."""
    if part.records is None or part.records.matches is None:
        return []
    pairs = part.records.matches
    return [int(c) for c in pairs["candidate_id"].to_numpy()[pairs["query_id"].to_numpy() == query]]


def title(part: Part, query: int) -> str:
    """The first values of a query."""
    if part.records is None:
        return f"query {query}"
    values = list(rows_by_id(part.records.queries, [query])[query].values())
    return (" · ".join(values) or f"query {query}")[:110]


def _row(table: pa.Table, query: int) -> dict[str, float]:
    place = int(np.searchsorted(table["query_id"].to_numpy(), query))
    return table.slice(place, 1).to_pylist()[0]


def _said(part: Part, outcome: dict[str, float]) -> str:
    if outcome["choice"] == 0:
        return "none"
    if outcome["choice"] < 0:
        return "unread"
    return "right" if outcome["right"] else "another"


def _small(chance: float) -> str:
    return f"{chance:.3f}" if chance >= 0.001 else "below .001"


# ---- without gold


def unjudged(part: Part, examples: int) -> Html:
    """What a run without gold tells of one dataset: matches, candidates claimed twice, answers least certain."""
    answers = part.student
    if answers is None:
        return Html("")
    chosen = answers.chosen_ids
    claimed = chosen >= 0
    values, counts = np.unique(chosen[claimed], return_counts=True)
    contested = values[counts > 1]
    told = (
        f"The student holds {int(claimed.sum()):,} of {len(chosen):,} queries for matched and found no match for "
        f"{int((answers.choice == 0).sum()):,}. {len(contested):,} candidates are claimed by several queries."
    )
    sure = confidence(answers)
    order = np.argsort(sure, kind="stable")[:examples]
    least = [_unsure(part, answers, int(row), float(sure[row])) for row in order]
    fights = [
        _contest(part, answers, int(each))
        for each in contested[np.argsort(-counts[counts > 1], kind="stable")][:examples]
    ]
    found = [tag("h3", part.name), tag("p", told), tag("h3", "Least certain"), *least]
    return join([*found, *([tag("h3", "Claimed by several"), *fights] if fights else [])])


def confidence(answers: AnswerSet) -> np.ndarray:
    """Probability of each answer's choice, [n_queries]; 0 for unread replies."""
    begins = answers.offsets[:-1] + np.arange(len(answers.choice))
    return np.where(answers.choice < 0, 0.0, answers.distribution[begins + np.maximum(answers.choice, 0)])


def _unsure(part: Part, answers: AnswerSet, row: int, sure: float) -> Html:
    query, begin, end = int(answers.query_ids[row]), answers.offsets[row], answers.offsets[row + 1]
    options = answers.distribution[begin + row : end + row + 1]
    best = np.argsort(-options, kind="stable")[:2]
    ids = [-1 if option == 0 else int(answers.option_ids[begin + option - 1]) for option in best]
    named = [(f"{options[option]:.0%}", each) for option, each in zip(best, ids, strict=True)]
    summary = tag("summary", title(part, query), tag("span", f"{part.name} · {sure:.0%} sure", class_="soft"))
    return tag("details", summary, shown_records(part, query, named), data_dataset=part.name)


def _contest(part: Part, answers: AnswerSet, candidate: int) -> Html:
    rows = np.flatnonzero(answers.chosen_ids == candidate)
    sure = confidence(answers)[rows]
    queries = answers.query_ids[rows]
    inside = [
        shown_records(part, int(q), [(f"claimed with {s:.0%}", candidate)]) for q, s in zip(queries, sure, strict=True)
    ]
    told = f"{part.name} · {len(rows)} queries claim one candidate"
    return tag(
        "details",
        tag("summary", title(part, int(queries[0])), tag("span", told, class_="soft")),
        *inside[:4],
        data_dataset=part.name,
    )
