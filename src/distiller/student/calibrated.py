"""What students on similarity features share: settings beside the weights, and answers from calibrated logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import DistillerError
from distiller.student import listwise
from distiller.task import Task

SETTINGS = "student.json"


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Keep beside the weights what answering needs: names of the features, shape, calibration."""
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def settings_for(checkpoint: Checkpoint, task: Task) -> dict[str, Any]:
    """The settings of a trained student that is about to answer queries of this task.

    Raises:
        DistillerError: the task's features are not those it was trained on.
    """
    settings = json.loads((checkpoint.folder / SETTINGS).read_text(encoding="utf-8"))
    if settings["features"] != task.features.names:
        raise DistillerError(
            f"the student in {checkpoint.folder} was trained on other features than {task.name} has; train it anew"
        )
    return settings


def calibrated_answers(source: str, task: Task, query_ids: np.ndarray, logits: np.ndarray) -> AnswerSet:
    """Answers from calibrated logits of the queries' pairs, [n_pairs]: the most probable option, "none" having logit 0."""
    rows, offsets = task.candidates.of(query_ids)
    distribution = listwise.probabilities(logits, offsets)
    begins = ragged.option_offsets(offsets)
    choice = ragged.first_maximum(distribution, begins) - begins[:-1]
    return AnswerSet.make(source, query_ids, task.candidates.candidate_ids[rows], offsets, choice, distribution)
