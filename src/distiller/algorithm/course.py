"""The Lightning module that teaches any differentiable student by a loss of its distributions over the options."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from distiller.algorithm.sft_module import OptionLoss
from distiller.algorithm.sharding import shard, whole
from distiller.config import DistillerError
from distiller.student.base import Classroom

Batch = dict[str, Tensor]


class Course(pl.LightningModule):
    """Minimises the mean of `loss` over the queries of each batch, and keeps the epoch that does best on unseen queries.

    After fitting, the model holds the weights of that epoch. `curve` has (epoch, training loss, validation loss),
    `agreement` the share of unseen queries whose most probable option is that of the target, in the epoch kept.

    Where several processes train together, each computes the losses of its rows of a batch; the gradients, which are
    averaged over the processes, sum up to that of the mean over all rows.
    """

    def __init__(self, classroom: Classroom, loss: OptionLoss):
        super().__init__()
        self.classroom, self.model, self.loss = classroom, classroom.model, loss
        self.curve: list[tuple[int, float, float]] = []
        self.agreement = 0.0
        self._best: Batch = {}
        self._losses: list[Tensor] = []
        self._seen: list[Tensor] = []

    def configure_model(self) -> None:
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh["data_parallel"])

    def losses(self, batch: Batch) -> Tensor:
        """The loss of each query of a batch that is learnt from, [batch]."""
        return self.loss(self.model.log_probabilities(batch), batch["target"])

    def unseen_losses(self, log_probabilities: Tensor, batch: Batch) -> Tensor:
        """What is to be small on queries that were not learnt from, [batch]."""
        return self.loss(log_probabilities, batch["target"])

    def judged(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of queries that were not learnt from, log-probabilities of the options, [batch, options], and losses, [batch]."""
        log_p = self.model.log_probabilities(batch)
        return log_p, self.unseen_losses(log_p, batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        mean = self.mean(self.losses(batch), batch)
        if self.global_step == 0 and not torch.isfinite(mean):
            raise DistillerError(
                f"the loss of the very first batch is {float(mean)}: the student's weights or its precision are at fault; try "
                "trainer.precision=32-true and student.dtype=float32"
            )
        self._losses.append(mean.detach())
        return mean * self.classroom.place.ranks

    def mean(self, values: Tensor, batch: Batch) -> Tensor:
        """This process's part of the mean over the rows of a batch; values: of its own rows, [batch]."""
        return (values * batch["share"]).sum() if "share" in batch else values.mean()

    def stacked(self, values: list[Tensor]) -> Tensor:
        """Numbers under one another on the device of the model, [n], also where there are none."""
        return (
            torch.stack([value.to(self.device) for value in values]) if values else torch.zeros(0, device=self.device)
        )

    def over_ranks(self, values: Tensor) -> Tensor:
        """The sum over the processes that train together, of the shape of `values`, which are of this one."""
        values = values.to(self.device, copy=True)
        if self.classroom.place.ranks == 1:
            return values
        torch.distributed.all_reduce(values)
        return values

    def shares_of(self, sums: Tensor) -> list[Tensor]:
        """Values of this process that `over_ranks` would sum to these, [n]."""
        return list(torch.zeros_like(sums) if self.classroom.place.rank else sums)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        log_p, losses = self.judged(batch)
        agree = log_p.argmax(dim=-1) == batch["target"].argmax(dim=-1)
        there = batch["share"] > 0 if "share" in batch else torch.ones_like(agree)
        self._seen.append(torch.stack([losses[there].sum(), (agree & there).sum(), there.sum()]))

    def on_validation_epoch_end(self) -> None:
        if not self._losses:
            self._seen.clear()
            return
        total, agreeing, queries = self.over_ranks(torch.stack(self._seen).double().sum(dim=0)).tolist()
        loss, learnt = total / queries, float(self.over_ranks(self.stacked(self._losses)).mean())
        if not self.curve or loss < min(kept for _, _, kept in self.curve):
            self._best = {name: whole(weight) for name, weight in self.trained()}
            self.agreement = agreeing / queries
        self.curve.append((self.current_epoch, learnt, loss))
        self._seen.clear()
        self._losses.clear()

    def on_fit_end(self) -> None:
        if self.classroom.place.ranks == 1 and self.device_mesh is None:
            self.settle()

    @property
    def pausable(self) -> bool:
        """Whether nothing but weights and what `state` gives passes from this step to the next."""
        return True

    def weights(self) -> Batch:
        """The weights that are trained, whole, as they are now."""
        return {name: whole(weight) for name, weight in self.trained()}

    def load(self, weights: Batch) -> None:
        """Put weights into the model, before it is shared out among processes."""
        with torch.no_grad():
            for name, weight in self.trained():
                if name in weights:
                    weight.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """What a course that goes on from here must know beside weights; every process that trains has to ask for it."""
        losses = self.over_ranks(self.stacked(self._losses))
        return {"curve": self.curve, "agreement": self.agreement, "best": self._best, "losses": losses}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.curve, self.agreement, self._best = state["curve"], state["agreement"], state["best"]
        self._losses = self.shares_of(state["losses"])

    def settle(self) -> None:
        """Give the model the weights of the epoch that is kept."""
        self.load(self._best)

    def trained(self) -> list[tuple[str, Tensor]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def configure_optimizers(self) -> Any:
        steps = self.classroom.steps
        first = max(1, round(self.classroom.warmup * steps))

        def share(step: int) -> float:
            rising = (step + 1) / first if self.classroom.warmup else 1.0
            return max(0.0, min(rising, (steps - step) / max(1, steps - first), 1.0))

        weights = [weight for _, weight in self.trained()]
        optimizer = torch.optim.AdamW(
            weights, lr=self.classroom.learning_rate, weight_decay=self.classroom.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
