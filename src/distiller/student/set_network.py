"""A small network that reads the candidates of a query together. Several members are trained side by side."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StackedLinear(nn.Module):
    """One linear layer per member: [members, ..., inputs] to [members, ..., outputs]."""

    def __init__(self, members: int, inputs: int, outputs: int):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.baddbmm(self.bias, flat, self.weight).reshape(*x.shape[:-1], -1)


class SetNetwork(nn.Module):
    """Logits of the candidates of each query; "none" has logit 0.

    Every pair is read by a perceptron, then pairs of one query attend to each other, so that candidates compete.
    The network does not know the order of the candidates.
    """

    def __init__(self, members: int, inputs: int, width: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.members, self.heads, self.dropout = members, heads, dropout
        self.read = StackedLinear(members, inputs, width)
        self.deepen = StackedLinear(members, width, width)
        self.mix = nn.ModuleList(
            nn.ModuleDict(
                {
                    "attend": StackedLinear(members, width, 3 * width),
                    "merge": StackedLinear(members, width, width),
                    "widen": StackedLinear(members, width, 2 * width),
                    "narrow": StackedLinear(members, 2 * width, width),
                }
            )
            for _ in range(layers)
        )
        self.judge = StackedLinear(members, width, 1)
        nn.init.zeros_(self.judge.weight)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Logits [members, batch, k] from features [batch, k, inputs]; `present` [batch, k] is False for padding."""
        x = features.expand(self.members, *features.shape)
        x = self._drop(F.gelu(self.read(x)))
        x = x + self._drop(F.gelu(self.deepen(_normed(x))))
        for block in self.mix:
            x = self._attend(x, present, block)
        return self.judge(_normed(x)).squeeze(-1)

    def _attend(self, x: Tensor, present: Tensor, block: Any) -> Tensor:
        members, batch, k, width = x.shape
        heads = block["attend"](_normed(x)).reshape(members, batch, k, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        mask = present[None, :, None, None, :].expand(members, batch, self.heads, k, k)
        seen = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=mask)
        x = x + self._drop(block["merge"](seen.transpose(2, 3).reshape(members, batch, k, width)))
        return x + self._drop(block["narrow"](F.gelu(block["widen"](_normed(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def _normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])
