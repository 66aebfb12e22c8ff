"""How far a student's distribution over the options is from its teacher's: the losses of knowledge distillation."""

from typing import Literal

import torch
from torch import Tensor


def kd_loss(
    log_probabilities: Tensor,
    target: Tensor,
    divergence: Literal["forward", "reverse", "js"] = "forward",
    temperature: float = 1.0,
) -> Tensor:
    """Divergence of each query in nats, [..., batch], >= 0.

    With p the target and q the student's distribution among the options, both softened as p^(1/T) / sum:
    `forward` is T^2 sum p log(p / q), `reverse` T^2 sum q log(q / p), `js` T^2 (KL(p, m) + KL(q, m)) / 2 with m = (p + q) / 2.
    To this is added -log of what the student gives to all options together, the cost of saying something else: 0 for
    a student that can only choose among options.

    log_probabilities: [..., batch, options], -inf for options that do not exist; they sum to at most 1. target: [batch,
    options], probabilities that sum to 1, 0 for options that do not exist; for `reverse`, above 0 for all others, else the
    loss is infinite. temperature: above 0.

    Source: Hinton et al. 2015 (forward, T^2); MiniLLM, Gu et al. 2024 (reverse); GKD, Agarwal et al. 2024 (js).
    """
    outside = -torch.logsumexp(log_probabilities, dim=-1)
    log_q = torch.log_softmax(log_probabilities / temperature, dim=-1)
    absent = torch.isneginf(log_probabilities)
    log_q = log_q.masked_fill(absent, 0.0)
    q = log_q.exp().masked_fill(absent, 0.0)
    p = (target ** (1 / temperature)).expand_as(q)
    p = p / p.sum(dim=-1, keepdim=True)
    if divergence == "forward":
        apart = _divergence(p, torch.log(p), log_q)
    elif divergence == "reverse":
        apart = _divergence(q, log_q, torch.log(p).masked_fill(absent, 0.0))
    else:
        middle = torch.log(((p + q) / 2).clamp(min=torch.finfo(q.dtype).tiny)).masked_fill(absent, 0.0)
        apart = (_divergence(p, torch.log(p), middle) + _divergence(q, log_q, middle)) / 2
    return temperature**2 * apart + outside


def _divergence(weight: Tensor, log_weight: Tensor, log_other: Tensor) -> Tensor:
    """sum w (log w - log o), [..., batch], where what has no weight counts nothing."""
    nothing = weight == 0
    apart = log_weight.masked_fill(nothing, 0.0) - log_other.masked_fill(nothing, 0.0)
    return (weight * apart).sum(dim=-1)
