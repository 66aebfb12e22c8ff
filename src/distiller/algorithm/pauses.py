"""Where a training stands, kept on disk now and then, so that one that was killed goes on as if nothing had happened."""

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from distiller.algorithm.course import Course
from distiller.algorithm.sharding import shared_like, whole
from distiller.trainer import Trainer

log = logging.getLogger(__name__)
#: In the folder of a training: where it stands, and what came out of it.
PAUSE, OUTCOME = "pause.pt", "outcome.pt"
#: A training tells how far it is after so many seconds.
TELL = 10.0


@dataclass(frozen=True)
class Position:
    """The next batch is number `batch` of epoch `epoch`, both from 0, after `step` optimisation steps in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0


def keep(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write into the folder so that a file of this name is whole whenever it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)


def kept(folder: Path, name: str) -> dict[str, Any] | None:
    """What `keep` wrote, its tensors on the processor, or None; only numbers and text are read, no code."""
    import pickle

    try:
        return torch.load(folder / name, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        log.warning("%s is damaged; the training begins anew", folder / name)
        return None


class Pauses(pl.Callback):
    """Keeps where the training stands in a folder (None: nowhere), and begins where an earlier one stopped.

    Dropout is drawn from the seed, the step and the process alone, so that it is the same after a pause.
    tells: say on standard output, a line of JSON each time, how far the training is.
    """

    def __init__(self, course: Course, trainer: Trainer, folder: Path | None, tells: bool = False):
        self.course, self.settings, self.folder, self.tells = course, trainer, folder, tells
        self.start = Position()
        self._optimizer: dict[str, Any] | None = None
        self._kept = self._told = time.monotonic()

    def go_on(self, lightning: pl.Trainer) -> None:
        """Set course and trainer to where an earlier training stopped, if one did."""
        found = kept(self.folder, PAUSE) if self.folder is not None else None
        if found is None:
            return
        self.start = Position(*found["position"])
        self.course.load(found["weights"])
        self.course.restore(found["course"])
        self._optimizer = found
        epochs: Any = lightning.fit_loop.epoch_progress
        for progress in (epochs.current, epochs.total):
            progress.ready = progress.started = progress.processed = progress.completed = self.start.epoch
        steps = lightning.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step
        steps.total.ready = steps.total.completed = self.start.step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        found, self._optimizer = self._optimizer, None
        if found is None:
            return
        (optimizer,) = trainer.optimizers
        names = [name for name, _ in self.course.trained()]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for name, weight in zip(names, weights, strict=True):
            for part, value in found["optimizer"].get(name, {}).items():
                optimizer.state[weight][part] = shared_like(value, weight) if value.dim() else value
        (schedule,) = (config.scheduler for config in trainer.lr_scheduler_configs)
        schedule.load_state_dict(found["schedule"])
        for group, rate in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
            group["lr"] = rate
        trainer.precision_plugin.load_state_dict(found["precision"])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        place = self.course.classroom.place
        seed = np.random.SeedSequence([self.course.classroom.seed, trainer.global_step, place.rank])
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_last_batch and self.course.pausable:
            self._keep(trainer, self._next_batch(trainer, batch_idx))
        if time.monotonic() - self._told > TELL:
            self._tell(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_last_batch:  # not where max_steps ended it: nothing was validated then
            self._keep(trainer, Position(trainer.current_epoch + 1, 0, trainer.global_step))
            self._tell(trainer)

    def finish(self, lightning: pl.Trainer) -> None:
        """Keep what came out of the training."""
        state = self.course.state()
        if self.folder is not None and self.course.classroom.place.rank == 0:
            keep(self.folder, OUTCOME, {"course": state})

    def _next_batch(self, trainer: pl.Trainer, batch_idx: int) -> Position:
        skipped = self.start.batch if trainer.current_epoch == self.start.epoch else 0
        return Position(trainer.current_epoch, skipped + batch_idx + 1, trainer.global_step)

    def _keep(self, trainer: pl.Trainer, position: Position) -> None:
        """Keep where the training stands if it is time; where weights are shared out, all processes have to do so at once."""
        if self.folder is None or self.settings.save_seconds is None:
            return
        due = time.monotonic() - self._kept >= self.settings.save_seconds
        together = self.settings.strategy != "single"
        if together:
            due = trainer.strategy.broadcast(due)
        if not due:
            return
        (optimizer,) = trainer.optimizers
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        names = [name for name, _ in self.course.trained()]
        content = {
            "position": [position.epoch, position.batch, position.step],
            "weights": self.course.weights(),
            "optimizer": {
                name: {part: whole(value) for part, value in optimizer.state[weight].items()}
                for name, weight in zip(names, weights, strict=True)
                if weight in optimizer.state
            },
            "schedule": trainer.lr_scheduler_configs[0].scheduler.state_dict(),
            "precision": trainer.precision_plugin.state_dict(),
            "course": self.course.state(),
        }
        if self.course.classroom.place.rank == 0:
            keep(self.folder, PAUSE, content)
        self._kept = time.monotonic()

    def _tell(self, trainer: pl.Trainer) -> None:
        if not self.tells:
            return
        self._told = time.monotonic()
        said: dict[str, Any] = {"step": trainer.global_step, "steps": self.course.classroom.steps}
        if self.course.curve:
            said["epoch"], said["learnt"], said["unseen"] = self.course.curve[-1]
        print(json.dumps(said), flush=True)
