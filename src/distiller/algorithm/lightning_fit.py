"""Run Lightning modules over batches that fit into memory."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor

from distiller.algorithm.course import Course
from distiller.algorithm.pauses import Pauses, Position
from distiller.algorithm.sft_module import SFTModule
from distiller.config import DistillerError
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
    """The batches of the epoch that a course is in, each time they are gone through; what a pause has behind it is left out."""

    def __init__(
        self, course: Course, batches: Callable[[int], Iterable[dict[str, Any]]], pauses: Pauses | None = None
    ):
        self.course, self.batches, self.pauses = course, batches, pauses

    def __iter__(self) -> Iterator[dict[str, Any]]:
        epoch = self.course.current_epoch
        start = Position() if self.pauses is None else self.pauses.start
        behind = start.batch if epoch == start.epoch else 0
        return islice(iter(self.batches(epoch)), behind, None)


def fit(module: SFTModule, tensors: dict[str, Tensor], student: NetworkStudent, trainer: Trainer) -> None:
    """Train `module` on all rows, validating on all rows after every epoch."""
    with _lightning(trainer, student.epochs) as lightning:
        torch.manual_seed(student.seed)
        unseen = Batches(tensors, 2048, None)
        lightning.fit(module, Batches(tensors, student.batch_size, student.seed), unseen)
        if not module.curve:  # fewer steps than an epoch has: Lightning has not validated
            lightning.validate(module, unseen, verbose=False)


def teach(course: Course, trainer: Trainer, folder: Path | None = None, worker: bool = False) -> None:
    """Train the model of a course on its batches, validating on the held-out queries after every epoch.

    folder: where it keeps how far it is (see `Pauses`), and from where it goes on; None keeps nothing.
    worker: this process is one of those that train together; what comes out is left in the folder.

    Raises:
        DistillerError: several processes are to train, and this is none of them.
    """
    classroom = course.classroom
    pauses = Pauses(course, trainer, folder, tells=worker and classroom.place.rank == 0)
    unseen = Epochs(course, lambda _: classroom.validation())
    with _lightning(trainer, classroom.epochs, [pauses], worker) as lightning:
        pauses.go_on(lightning)
        torch.manual_seed(classroom.seed)
        lightning.fit(course, Epochs(course, classroom.batches, pauses), unseen)
        if not course.curve:  # fewer steps than an epoch has
            lightning.validate(course, unseen, verbose=False)
        if worker:
            pauses.finish(lightning)


def _strategy(trainer: Trainer) -> Any:
    from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy

    if trainer.strategy == "ddp":
        return DDPStrategy()
    if trainer.strategy == "fsdp":
        return ModelParallelStrategy(data_parallel_size=trainer.processes, tensor_parallel_size=1)
    return "auto"


@contextmanager
def _lightning(
    trainer: Trainer, epochs: int, callbacks: Sequence[pl.Callback] = (), worker: bool = False
) -> Iterator[pl.Trainer]:
    if trainer.strategy != "single" and not worker:
        raise DistillerError(
            f"trainer.strategy={trainer.strategy} trains in processes of a worker, which Algorithm.taught starts; set trainer=cpu"
        )
    with warnings.catch_warnings():
        # Lightning counsels worker processes for loaders and a logger for step counts; tensors in memory need neither.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        yield pl.Trainer(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            num_nodes=trainer.num_nodes,
            strategy=_strategy(trainer),
            plugins=[LightningEnvironment()],  # who starts the processes is not guessed from the machine's scheduler
            callbacks=list(callbacks),
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
