"""The loss of supervised distillation and the Lightning module that minimises it."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn


def option_log_probabilities(logits: Tensor, present: Tensor) -> Tensor:
    """Log-probabilities of "none" (first) and all candidates, [..., batch, k + 1], from logits [..., batch, k].

    "none" has logit 0; options that are not `present` ([batch, k]) get -inf.
    """
    masked = logits.masked_fill(~present, -torch.inf)
    none = torch.zeros_like(masked[..., :1])
    return torch.log_softmax(torch.cat([none, masked], dim=-1), dim=-1)


def sft_loss(log_probabilities: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each query in nats, [..., batch], >= 0.

    log_probabilities: [..., batch, options], -inf for options that do not exist. target: [batch, options], probabilities
    that sum to 1, 0 for options that do not exist.
    """
    return -(target * log_probabilities.masked_fill(target == 0, 0.0)).sum(-1)


#: The loss of each query, from log-probabilities of its options and their target.
OptionLoss = Callable[[Tensor, Tensor], Tensor]


class SFTModule(pl.LightningModule):
    """Trains the members of a network side by side; a query of fold f is kept from member f and validates it.

    The network maps (features [batch, k, inputs], present [batch, k]) to logits [members, batch, k].
    After fitting, the network holds the weights of the epoch with the lowest validation loss; `curve` has
    (epoch, training loss, validation loss), and `held_out` the logits [n_queries, k] that each query got from the member
    that never saw it, in that epoch.
    """

    def __init__(
        self, network: nn.Module, learning_rate: float, weight_decay: float, steps: int, loss: OptionLoss = sft_loss
    ):
        """loss: of each query, [..., batch], from log-probabilities and target as `sft_loss` takes them."""
        super().__init__()
        self.network = network
        self.loss = loss
        self.learning_rate, self.weight_decay, self.steps = learning_rate, weight_decay, steps
        self.curve: list[tuple[int, float, float]] = []
        self.held_out = torch.zeros(0)
        self._best: dict[str, Tensor] = {}
        self._losses: list[Tensor] = []
        self._seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        log_p = option_log_probabilities(self.network(batch["features"], batch["present"]), batch["present"])
        loss = self.loss(log_p, batch["target"])
        own = batch["fold"][None, :] != torch.arange(len(loss), device=loss.device)[:, None]
        # Each member's own mean, summed: its gradient is what it would be if the member were trained alone (clipping aside).
        mean = ((loss * own).sum(1) / own.sum(1).clamp(min=1)).sum()
        self._losses.append(mean.detach() / len(loss))
        return mean

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        logits = self.network(batch["features"], batch["present"])
        member = batch["fold"].clamp(max=len(logits) - 1)
        own = logits[member, torch.arange(len(member), device=member.device)]
        loss = self.loss(option_log_probabilities(own, batch["present"]), batch["target"])
        self._seen.append((own, loss))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking or not self._losses:
            self._seen.clear()
            return
        loss = float(torch.cat([loss for _, loss in self._seen]).mean())
        if not self.curve or loss < min(kept for _, _, kept in self.curve):
            self._best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            self.held_out = torch.cat([logits for logits, _ in self._seen]).float().cpu()
        self.curve.append((self.current_epoch, float(torch.stack(self._losses).mean()), loss))
        self._seen.clear()
        self._losses.clear()

    def on_fit_end(self) -> None:
        if self._best:
            self.network.load_state_dict(self._best)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=self.steps, pct_start=0.15
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
