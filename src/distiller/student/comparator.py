"""A student of a small network over similarity features that compares the candidates of a query with each other."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import component, runtime
from distiller.features import dense, dense_names
from distiller.student import listwise
from distiller.student.base import Lesson, NetworkStudent, Schooling, pooled
from distiller.student.calibrated import calibrated_answers, settings_for, write_settings
from distiller.student.contributions import KINDS, explaining, kind_of
from distiller.student.intercepts import calibration_for, intercepts
from distiller.task import Task
from distiller.trainer import Trainer

WEIGHTS = "network.safetensors"


@component
class Comparator(NetworkStudent):
    """A set network (attention among the candidates of a query) over similarity features.

    `members` networks are trained side by side, each without its fold of the queries; the epoch, the sureness and the
    readiness to abstain are chosen on the teacher's answers to the fold a member has not seen. Answers are the mean of
    the members' logits.

    intercepts: with several datasets, abstain more or less readily on each where held-out teacher answers bear it out.
    rationales: explain every answer by the kinds of evidence without which it would be another, in words.
    """

    VERSION = 2
    USES_FEATURES = True

    width: Annotated[int, Field(ge=8)] = 64
    layers: Annotated[int, Field(ge=0)] = 1
    heads: Annotated[int, Field(ge=1)] = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    members: Annotated[int, Field(ge=2)] = 5
    epochs: Annotated[int, Field(ge=1)] = 25
    batch_size: Annotated[int, Field(ge=1)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    intercepts: bool = True
    seed: int = 1924
    rationales: bool = False
    inference_batch: Annotated[int, Field(ge=1)] = runtime(4096)

    def school(self, lessons: list[Lesson]) -> Schooling:
        import torch

        from distiller.student.set_network import SetNetwork

        names, matrix, offsets, target = pooled(lessons)
        scaled, center, scale = _standardised(dense(names, matrix))
        torch.manual_seed(self.seed)
        network = SetNetwork(self.members, scaled.shape[1], self.width, self.layers, self.heads, self.dropout)
        features, present, wanted = _padded(scaled, offsets, target)
        fold = listwise.folds(target, offsets, self.members, self.seed)
        tensors = {"features": features, "present": present, "target": wanted, "fold": torch.from_numpy(fold)}

        def save(held_out: np.ndarray, folder: Path) -> dict[str, Any]:
            from safetensors.torch import save

            logits = held_out[present.numpy()].astype(float)
            calibration = listwise.Calibration.fit(logits, target, offsets)
            corrected = calibration(logits)
            shifts, corrected = intercepts(lessons, corrected, fold) if self.intercepts else ({}, corrected)
            weights = {**network.state_dict(), "center": torch.from_numpy(center), "scale": torch.from_numpy(scale)}
            (folder / WEIGHTS).write_bytes(save({k: v.contiguous() for k, v in weights.items()}))
            shape = {"members": self.members, "width": self.width, "layers": self.layers, "heads": self.heads}
            settings = {"features": names, "shape": shape, "scale": calibration.scale, "shift": calibration.shift}
            write_settings(folder, {**settings, "intercepts": shifts})
            return {
                "scale": calibration.scale,
                "shift": calibration.shift,
                "intercepts": shifts,
                "cv_loss": float(listwise.cross_entropy(corrected, target, offsets).mean()),
                "cv_agreement": listwise.agreement(corrected, target, offsets),
            }

        return Schooling(network, tensors, save)

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        import torch

        settings = settings_for(checkpoint, task)
        network, center, scale, device = _loaded(checkpoint, settings, trainer, threads)
        rows, offsets = task.candidates.of(query_ids)
        logits = np.empty(len(rows))
        for first in range(0, len(query_ids), self.inference_batch):
            inner, taken = ragged.rows_within(
                offsets, np.arange(first, min(first + self.inference_batch, len(query_ids)))
            )
            scaled = _scaled(dense(settings["features"], task.features.matrix[rows[inner]]), center, scale)
            features, present, _ = _padded(scaled, taken, None)
            with torch.inference_mode():
                mean = network(features.to(device), present.to(device)).mean(0).float().cpu()
            logits[inner] = mean[present].numpy()
        calibration = calibration_for(settings, task.name)
        answers = calibrated_answers(self.label(), task, query_ids, calibration(logits))
        return explaining(self, checkpoint, task, answers, trainer, threads) if self.rationales else answers

    def contributions(
        self, checkpoint: Checkpoint, task: Task, rows: np.ndarray, trainer: Trainer, threads: int
    ) -> np.ndarray:
        """What each kind of evidence adds to the logits of these rows of the candidate set, [n_rows, len(KINDS)], in nats.

        By occlusion: the pair's logit less that where the pair's features of the kind are set to their mean over the
        training pairs, the other candidates staying as they are. These need not add up to the logit.
        """
        import torch

        settings = settings_for(checkpoint, task)
        network, center, scale, device = _loaded(checkpoint, settings, trainer, threads)
        kinds = np.array([kind_of(name) for name in dense_names(settings["features"])])
        begins = task.candidates.offsets
        whose = np.searchsorted(begins, rows, side="right") - 1
        added = np.empty((len(rows), len(KINDS)))
        for first in range(0, len(rows), self.inference_batch):
            part = slice(first, first + self.inference_batch)
            inner, taken = ragged.rows_within(begins, whose[part])
            scaled = _scaled(dense(settings["features"], task.features.matrix[inner]), center, scale)
            features, present, _ = _padded(scaled, taken, None)
            query, place = np.arange(len(taken) - 1), rows[part] - begins[whose[part]]

            def logit(
                given: Any, present: Any = present, query: np.ndarray = query, place: np.ndarray = place
            ) -> np.ndarray:
                with torch.inference_mode():
                    mean = network(given.to(device), present.to(device)).mean(0).float().cpu()
                return mean[query, place].numpy()

            whole = logit(features)
            for kind in range(len(KINDS)):
                occluded = features.clone()
                occluded[query[:, None], place[:, None], np.flatnonzero(kinds == kind)[None, :]] = 0.0
                added[part, kind] = settings["scale"] * (whole - logit(occluded))
        return added


def _loaded(
    checkpoint: Checkpoint, settings: dict[str, Any], trainer: Trainer, threads: int
) -> tuple[Any, np.ndarray, np.ndarray, str]:
    """The trained network on its device, ready to answer, with the features' means and scales."""
    import torch
    from safetensors.torch import load_file

    from distiller.student.set_network import SetNetwork

    weights = load_file(checkpoint.folder / WEIGHTS)
    center, scale = weights.pop("center").numpy(), weights.pop("scale").numpy()
    network = SetNetwork(inputs=len(center), dropout=0.0, **settings["shape"])
    network.load_state_dict(weights)
    device = "cuda" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    torch.set_num_threads(threads)
    return network.to(device).eval(), center, scale, device


def _standardised(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    center = matrix.mean(0).astype(np.float32)
    scale = np.maximum(matrix.std(0), 1e-3).astype(np.float32)
    return _scaled(matrix, center, scale), center, scale


def _scaled(matrix: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((matrix - center) / scale, -4, 4).astype(np.float32)


def _padded(matrix: np.ndarray, offsets: np.ndarray, target: np.ndarray | None) -> tuple[Any, Any, Any]:
    """Tensors features [n_queries, k, n_features], present [n_queries, k], target [n_queries, k + 1] with "none" first."""
    import torch

    sizes = np.diff(offsets)
    k = int(sizes.max(initial=1))
    present = np.arange(k)[None, :] < sizes[:, None]
    features = np.zeros((len(sizes), k, matrix.shape[1]), dtype=np.float32)
    features[present] = matrix
    wanted = None
    if target is not None:
        options = np.column_stack([np.ones(len(sizes), bool), present])
        filled = np.zeros(options.shape, dtype=np.float32)
        filled[options] = target
        wanted = torch.from_numpy(filled)
    return torch.from_numpy(features), torch.from_numpy(present), wanted
