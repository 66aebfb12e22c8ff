"""A student of a small network over similarity features that compares the candidates of a query with each other."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import component, runtime
from distiller.features import dense
from distiller.student import listwise
from distiller.student.base import Lesson, NetworkStudent, Schooling, pooled
from distiller.student.calibrated import calibrated_answers, settings_for, write_settings
from distiller.task import Task
from distiller.trainer import Trainer

WEIGHTS = "network.safetensors"


@component
class Comparator(NetworkStudent):
    """A set network (attention among the candidates of a query) over similarity features.

    `members` networks are trained side by side, each without its fold of the queries; the epoch, the sureness and the
    readiness to abstain are chosen on the teacher's answers to the fold a member has not seen. Answers are the mean of
    the members' logits.
    """

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
    seed: int = 1924
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
            weights = {**network.state_dict(), "center": torch.from_numpy(center), "scale": torch.from_numpy(scale)}
            (folder / WEIGHTS).write_bytes(save({k: v.contiguous() for k, v in weights.items()}))
            shape = {"members": self.members, "width": self.width, "layers": self.layers, "heads": self.heads}
            settings = {"features": names, "shape": shape, "scale": calibration.scale, "shift": calibration.shift}
            write_settings(folder, settings)
            corrected = calibration(logits)
            return {
                "scale": calibration.scale,
                "shift": calibration.shift,
                "cv_loss": float(listwise.cross_entropy(corrected, target, offsets).mean()),
                "cv_agreement": listwise.agreement(corrected, target, offsets),
            }

        return Schooling(network, tensors, save)

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        import torch
        from safetensors.torch import load_file

        from distiller.student.set_network import SetNetwork

        settings = settings_for(checkpoint, task)
        weights = load_file(checkpoint.folder / WEIGHTS)
        center, scale = weights.pop("center").numpy(), weights.pop("scale").numpy()
        network = SetNetwork(inputs=len(center), dropout=0.0, **settings["shape"])
        network.load_state_dict(weights)
        device = "cuda" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
        network = network.to(device).eval()
        torch.set_num_threads(threads)
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
        calibration = listwise.Calibration(settings["scale"], settings["shift"])
        return calibrated_answers(self.label(), task, query_ids, calibration(logits))


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
