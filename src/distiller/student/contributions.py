"""Why a student of similarity features answers as it does: what each kind of evidence adds, and what it is in words."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.features import CONTEXT_KINDS
from distiller.student.contributions_words import Pair, Pairs, Said
from distiller.task import Task
from distiller.trainer import Trainer

#: Kinds of evidence that features are grouped by; `rivals` is how a pair stands among other candidates and queries.
KINDS = ("key", "words", "codes", "numbers", "years", "attributes", "rivals")
REASONS = 3  # pieces of evidence that a rationale gives for the answer
LEAST = 0.05  # a piece of evidence counts only if it adds this share of the largest one

_KIND_OF = {
    "key": "key",
    "short": "words",
    "all": "words",
    "prose": "words",
    "code": "codes",
    "number.key": "numbers",
    "number.all": "numbers",
    "year": "years",
    "attribute": "attributes",
    "text": "attributes",
    "number": "attributes",
    "date": "attributes",
    "list": "rivals",
}


def kind_of(feature: str) -> int:
    """Index into `KINDS` of a feature's kind of evidence; what says where a value is missing is of the value's kind."""
    feature = feature.removesuffix(".missing")
    if feature.rsplit(".", 1)[-1] in CONTEXT_KINDS:
        return KINDS.index("rivals")
    first, second = feature.split(".")[:2]
    kind = "attributes" if first.startswith("slot") else _KIND_OF.get(f"{first}.{second}") or _KIND_OF[first]
    return KINDS.index(kind)


def by_kind(names: list[str], contributions: np.ndarray) -> np.ndarray:
    """Sums over the features of each kind, [n_rows, len(KINDS)], of contributions [n_rows, n_features]."""
    found = np.zeros((len(contributions), len(KINDS)))
    np.add.at(found.T, [kind_of(name) for name in names], contributions.T)
    return found


class Contributing(Protocol):
    """A student that can tell what each kind of evidence adds to the logit of a pair."""

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        """As of `Student.answer`."""

    def contributions(
        self, checkpoint: Checkpoint, task: Task, rows: np.ndarray, trainer: Trainer, threads: int
    ) -> np.ndarray:
        """What each kind adds to the logits of these rows of the candidate set, [n_rows, len(KINDS)], in nats."""


@dataclass(frozen=True)
class Evidence:
    """What one kind of evidence adds to a candidate's logit, in nats (above 0 it speaks for a match), in words."""

    kind: str
    contribution: float
    words: str


@dataclass(frozen=True)
class Explained:
    """One answer with its reasons.

    options: candidate ids in the order shown, [k]; probability: of "none" and of each, [k + 1]; choice: 0..k.
    evidence: for each candidate, its evidence, that which adds or takes most first, [k].
    """

    query_id: int
    options: list[int]
    probability: list[float]
    choice: int
    evidence: list[list[Evidence]]


def explain(
    student: Contributing, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
) -> list[Explained]:
    """The student's answers to these queries (ids ascending), each with the evidence about every candidate."""
    answers = student.answer(checkpoint, task, query_ids, trainer, threads)
    rows, offsets = task.candidates.of(query_ids)
    added = student.contributions(checkpoint, task, rows, trainer, threads)
    pairs = Pairs(task, rows)
    told = [evidence(pairs[row], each) for row, each in zip(rows.tolist(), added, strict=True)]
    options, begins = task.candidates.candidate_ids[rows].tolist(), ragged.option_offsets(offsets)
    return [
        Explained(
            int(query),
            options[offsets[i] : offsets[i + 1]],
            answers.distribution[begins[i] : begins[i + 1]].tolist(),
            int(answers.choice[i]),
            told[offsets[i] : offsets[i + 1]],
        )
        for i, query in enumerate(query_ids)
    ]


def evidence(pair: Pair, added: np.ndarray) -> list[Evidence]:
    """What speaks for and against a pair, the most weighty first; added: by kind, [len(KINDS)].

    A kind is put in words that say the same as its sign; where no value of the records does, it says so in general terms.
    """
    made = [
        Evidence(kind, float(value), _words(pair, kind, value > 0))
        for kind, value in zip(KINDS, added, strict=True)
        if value
    ]
    return sorted(made, key=lambda each: -abs(each.contribution))


_SAYS = {
    "key": Pair.key_values,
    "words": Pair.words,
    "codes": Pair.codes,
    "numbers": Pair.numbers,
    "years": Pair.years,
    "attributes": Pair.other_attributes,
}
_CALLED = {"key": "names", "words": "texts"}


def _words(pair: Pair, kind: str, speaks_for: bool) -> str:
    said = [s.words for s in _said(pair, kind) if s.agrees == speaks_for]
    if said:
        return said[0]
    if kind == "rivals":
        return "it is more alike than its rivals" if speaks_for else "it does not stand out among its rivals"
    return f"the {_CALLED.get(kind, kind)} on the whole {'agree' if speaks_for else 'disagree'}"


def _said(pair: Pair, kind: str) -> list[Said]:
    return _SAYS[kind](pair) if kind in _SAYS else []


def rationales(
    student: Contributing, checkpoint: Checkpoint, task: Task, answers: AnswerSet, trainer: Trainer, threads: int
) -> list[str]:
    """Why each of these answers was given, [n_queries]: the evidence that adds most to the candidate chosen.

    For "none" that against the most probable candidate. Only evidence is told that the values of the records bear out.
    `answers` are those of `student`, with candidates in the order of the candidate set.
    """
    rows, offsets = task.candidates.of(answers.query_ids)
    most = ragged.first_maximum(ragged.without_none(answers.distribution, offsets), offsets) - offsets[:-1]
    place = np.where(answers.choice > 0, answers.choice - 1, most)
    about = rows[offsets[:-1] + place]
    added = student.contributions(checkpoint, task, about, trainer, threads)
    pairs = Pairs(task, about)
    return [
        _rationale(pairs[row], each, int(at) + 1, bool(choice))
        for row, each, at, choice in zip(about.tolist(), added, place, answers.choice, strict=True)
    ]


def explaining(
    student: Contributing, checkpoint: Checkpoint, task: Task, answers: AnswerSet, trainer: Trainer, threads: int
) -> AnswerSet:
    """The same answers with their rationales."""
    texts = pa.array(rationales(student, checkpoint, task, answers, trainer, threads), pa.string())
    place = answers.table.column_names.index("rationale")
    return replace(answers, table=answers.table.set_column(place, "rationale", texts))


def _rationale(pair: Pair, added: np.ndarray, number: int, matches: bool) -> str:
    """One explanation of a choice (matches) or of "none" with regard to its most probable candidate."""
    order = np.argsort(-np.abs(added), kind="stable")
    said = [
        (s.words, s.agrees)
        for i in order
        if abs(added[i]) >= LEAST * abs(added[order[0]])
        for s in [s for s in _said(pair, KINDS[i]) if s.agrees == (added[i] > 0)][:1]
    ]
    reasons = [words for words, agrees in said if agrees == matches][:REASONS]
    if not reasons:  # what decides is not a kind that quotes values
        reasons = [s.words for kind in _SAYS for s in _said(pair, kind) if s.agrees == matches][:1]
    against = [words for words, agrees in said if agrees != matches][:1]
    because = "; ".join(reasons)
    if matches:
        text = f"Candidate [{number}] is the best match" + (f" because {because}" if because else "")
        return text + (f", although {against[0]}." if against else ".")
    text = f"None of the candidates matches. The closest is candidate [{number}]"
    return text + (f", but {because}." if because else ", and it is not alike enough.")
