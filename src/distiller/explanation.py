"""Why a student answers a query as it does, as text for the screen."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from distiller import ragged
from distiller.artifacts import Checkpoint
from distiller.student.base import Student
from distiller.student.contributions import explain
from distiller.task import Task
from distiller.trainer import Trainer

REASONS = 4  # pieces of evidence told about each candidate


def explanation(student: Student, checkpoint: Checkpoint, task: Task, query: np.ndarray, trainer: Trainer) -> str:
    """The query, each candidate with its probability, most probable first, and what speaks for and against it.

    query: the id, [1]; it has candidates.
    """
    told: dict[int, list[str]] = {}
    rationale = None
    if hasattr(student, "contributions"):
        (found,) = explain(student, checkpoint, task, query, trainer, task.threads)
        options, probability, choice = found.options, found.probability, found.choice
        for place, evidence in enumerate(found.evidence, start=1):
            told[place] = [f"{each.contribution:+.2f}  {each.words}" for each in evidence[:REASONS]]
    else:
        able: Any = student
        if "rationales" in {field.name for field in fields(able)} and getattr(able, "explains", False):
            able = replace(able, rationales=True)
        answers = able.answer(checkpoint, task, query, trainer, task.threads)
        options, choice = answers.option_ids.tolist(), int(answers.choice[0])
        begins = ragged.option_offsets(answers.offsets)
        probability = answers.distribution[begins[0] : begins[1]].tolist()
        rationale = answers.table["rationale"][0].as_py()
    lines = [f"query {_shown(task, 'queries', int(query[0]))}", ""]
    for place in sorted(range(len(options) + 1), key=lambda i: -probability[i]):
        name = "none of them" if place == 0 else _shown(task, "candidates", options[place - 1])
        mark = ">" if place == choice else " "
        lines.append(f"{mark} {probability[place]:.3f}  {name}")
        lines += [f"           {words}" for words in told.get(place, [])]
    return "\n".join(lines + ([f"\n{rationale}"] if rationale else []))


def _shown(task: Task, side: str, record: int) -> str:
    """A record on one line, its id as the user's table has it first."""
    table = task.records.queries if side == "queries" else task.records.candidates
    names = task.records.query_names if side == "queries" else task.records.candidate_names
    row = int(np.searchsorted(table["id"].to_numpy(), record))
    values = {name: table[name][row].as_py() for name in table.column_names if name != "id"}
    own = str(record) if names is None else names[row].as_py()
    return f"{own}: " + "; ".join(f"{name}: {value}" for name, value in values.items() if value)
