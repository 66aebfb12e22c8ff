"""Run Lightning modules over batches that fit into memory."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from distiller.algorithm.course import Course
from distiller.algorithm.sft_module import SFTModule
from distiller.student.base import NetworkStudent
from distiller.trainer import Trainer


class Batches:
    """Batches of rows of several tensors, shuffled anew in every epoch.

    The order is a pure function of the seed and the epoch, so that a resumed run sees what an undisturbed one would.
    """

    def __init__(self, tensors: dict[str, Tensor], batch_size: int, seed: int | None):
        self.tensors, self.batch_size, self.seed = tensors, batch_size, seed
        self.rows = len(next(iter(tensors.values())))
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = torch.arange(self.rows)
        if self.seed is not None:
            order = torch.randperm(self.rows, generator=torch.Generator().manual_seed(self.seed * 100_003 + self.epoch))
            self.epoch += 1
        for rows in order.split(self.batch_size):
            yield {name: tensor[rows] for name, tensor in self.tensors.items()}


class Epochs:
    """The batches of one epoch after another, each time they are gone through."""

    def __init__(self, batches: Callable[[int], Iterable[dict[str, Any]]]):
        self.batches = batches
        self.epoch = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.epoch += 1
        return iter(self.batches(self.epoch - 1))


def fit(module: SFTModule, tensors: dict[str, Tensor], student: NetworkStudent, trainer: Trainer) -> None:
    """Train `module` on all rows, validating on all rows after every epoch."""
    with _lightning(trainer, student.epochs) as lightning:
        torch.manual_seed(student.seed)
        unseen = Batches(tensors, 2048, None)
        lightning.fit(module, Batches(tensors, student.batch_size, student.seed), unseen)
        if not module.curve:  # fewer steps than an epoch has: Lightning has not validated
            lightning.validate(module, unseen, verbose=False)


def teach(course: Course, trainer: Trainer) -> None:
    """Train the model of a course on its batches, validating on the held-out queries after every epoch."""
    classroom = course.classroom
    unseen = Epochs(lambda _: classroom.validation())
    with _lightning(trainer, classroom.epochs) as lightning:
        torch.manual_seed(classroom.seed)
        lightning.fit(course, Epochs(classroom.batches), unseen)
        if not course.curve:  # fewer steps than an epoch has
            lightning.validate(course, unseen, verbose=False)


@contextmanager
def _lightning(trainer: Trainer, epochs: int) -> Iterator[pl.Trainer]:
    with warnings.catch_warnings():
        # Lightning counsels worker processes for loaders and a logger for step counts; tensors in memory need neither.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        yield pl.Trainer(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            precision=trainer.precision,
            max_epochs=epochs,
            max_steps=trainer.max_steps or -1,
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
        )
