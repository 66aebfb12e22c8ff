"""The Lightning module that teaches any differentiable student by a loss of its distributions over the options."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from distiller.algorithm.sft_module import OptionLoss
from distiller.config import DistillerError
from distiller.student.base import Classroom

Batch = dict[str, Tensor]


class Course(pl.LightningModule):
    """Minimises the mean of `loss` over the queries of each batch, and keeps the epoch that does best on unseen queries.

    After fitting, the model holds the weights of that epoch. `curve` has (epoch, training loss, validation loss),
    `agreement` the share of unseen queries whose most probable option is that of the target, in the epoch kept.
    """

    def __init__(self, classroom: Classroom, loss: OptionLoss):
        super().__init__()
        self.classroom, self.model, self.loss = classroom, classroom.model, loss
        self.curve: list[tuple[int, float, float]] = []
        self.agreement = 0.0
        self._best: Batch = {}
        self._losses: list[Tensor] = []
        self._seen: list[tuple[Tensor, Tensor]] = []

    def losses(self, batch: Batch) -> Tensor:
        """The loss of each query of a batch that is learnt from, [batch]."""
        return self.loss(self.model.log_probabilities(batch), batch["target"])

    def unseen_losses(self, log_probabilities: Tensor, batch: Batch) -> Tensor:
        """What is to be small on queries that were not learnt from, [batch]."""
        return self.loss(log_probabilities, batch["target"])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        mean = self.losses(batch).mean()
        if self.global_step == 0 and not torch.isfinite(mean):
            raise DistillerError(
                f"the loss of the very first batch is {float(mean)}: the student's weights or its precision are at fault; try "
                "trainer.precision=32-true and student.dtype=float32"
            )
        self._losses.append(mean.detach())
        return mean

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        log_p = self.model.log_probabilities(batch)
        agree = log_p.argmax(dim=-1) == batch["target"].argmax(dim=-1)
        self._seen.append((self.unseen_losses(log_p, batch), agree))

    def on_validation_epoch_end(self) -> None:
        if not self._losses:
            self._seen.clear()
            return
        loss = float(torch.cat([loss for loss, _ in self._seen]).mean())
        learnt = float(torch.stack(self._losses).mean())
        if not self.curve or loss < min(kept for _, _, kept in self.curve):
            self._best = {name: weight.detach().to("cpu", copy=True) for name, weight in self._trained()}
            self.agreement = float(torch.cat([agree for _, agree in self._seen]).float().mean())
        self.curve.append((self.current_epoch, learnt, loss))
        self._seen.clear()
        self._losses.clear()

    def on_fit_end(self) -> None:
        with torch.no_grad():
            for name, weight in self._trained():
                if name in self._best:
                    weight.copy_(self._best[name])

    def _trained(self) -> list[tuple[str, Tensor]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def configure_optimizers(self) -> Any:
        steps = self.classroom.steps
        first = max(1, round(self.classroom.warmup * steps))

        def share(step: int) -> float:
            rising = (step + 1) / first if self.classroom.warmup else 1.0
            return max(0.0, min(rising, (steps - step) / max(1, steps - first), 1.0))

        weights = [weight for _, weight in self._trained()]
        optimizer = torch.optim.AdamW(
            weights, lr=self.classroom.learning_rate, weight_decay=self.classroom.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
