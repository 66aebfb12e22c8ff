"""A cross-encoder: one encoder reads query and candidate together and scores the pair; scores become a distribution."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distiller import ragged
from distiller.student.encoder_batches import by_length, equally_long
from distiller.student.encoder_text import CANDIDATE, QUERY, SPECIAL, PairTokens

Pooling = Literal["first", "mean", "compare"]
Objective = Literal["listwise", "pairwise"]


def listwise_log_probabilities(logits: Tensor, present: Tensor) -> Tensor:
    """Log-probabilities of "none" (first) and all candidates, [batch, k + 1], from logits [batch, k]; they sum to 1.

    "none" has logit 0 and competes with the candidates in one softmax. present: [batch, k], False where a query has fewer
    candidates; there the result is -inf.
    """
    return torch.log_softmax(_with_none(logits, present), dim=-1)


def pairwise_log_probabilities(logits: Tensor, present: Tensor) -> Tensor:
    """Log-probability that exactly this option is true if every pair is judged alone, [batch, k + 1].

    With p_i = sigmoid(z_i), candidate i alone matches with probability p_i prod_{j != i} (1 - p_j), no candidate with
    prod_j (1 - p_j): in logs z_i, or 0, plus the sum of log(1 - p_j). So the cross-entropy against a target t over the
    options is the sum over pairs of the binary cross-entropy between p_i and t_i, the loss of a pair-wise matcher. They
    sum to less than 1, the rest being that several candidates match; given that at most one does, they are the list-wise
    softmax with "none" at logit 0, so that both objectives are answered from logits in the same way.
    """
    nothing = F.logsigmoid(-logits).masked_fill(~present, 0.0).sum(-1, keepdim=True)
    return _with_none(logits, present) + nothing


def _with_none(logits: Tensor, present: Tensor) -> Tensor:
    return F.pad(logits.masked_fill(~present, -torch.inf), (1, 0))


class PairEncoder(nn.Module):
    """Scores pairs of records with an encoder of the transformers library and a fresh linear head.

    pooling: what the head sees of a pair: the `first` token; the `mean` of all; or `compare`, the means u and v over the
    tokens of the two records as [u * v, |u - v|] (after Sentence-BERT, Reimers & Gurevych 2019, section 3).
    learned_none: the head also gives every pair a share in the logit of "none", which is their mean over the query's pairs.
    at_once: pairs read at once while learning; smaller chunks are padded less.
    """

    def __init__(
        self,
        encoder: Any,
        padding: int,
        pooling: Pooling,
        objective: Objective,
        learned_none: bool,
        dropout: float,
        at_once: int,
    ):
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # it would be a layer without a gradient
        self.encoder = encoder
        self.padding, self.pooling, self.objective, self.at_once = padding, pooling, objective, at_once
        self.typed = getattr(encoder.config, "type_vocab_size", 0) > 1
        self.dropout = nn.Dropout(dropout)
        width = encoder.config.hidden_size * (2 if pooling == "compare" else 1)
        self.head = nn.Linear(width, 2 if learned_none else 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def log_probabilities(self, batch: dict[str, Tensor]) -> Tensor:
        """Natural log-probabilities of the options, float32 [batch, k + 1], "none" first, -inf where there is no option."""
        scores = self._scores(batch)
        present = batch["present"]
        grid = scores.new_zeros(*present.shape, scores.shape[-1])
        grid[present] = scores
        logits = grid[..., 0]
        if scores.shape[-1] == 2:
            logits = logits - grid[..., 1].sum(-1, keepdim=True) / present.sum(-1, keepdim=True)
        if self.objective == "listwise":
            return listwise_log_probabilities(logits, present)
        return pairwise_log_probabilities(logits, present)

    def _scores(self, batch: dict[str, Tensor]) -> Tensor:
        """What the head says about each pair, float32 [n_pairs, 1 or 2]."""
        lengths = batch["lengths"].cpu().numpy()
        begins = np.r_[0, np.cumsum(lengths)]
        chunks = by_length(lengths, self.at_once)
        device = batch["tokens"].device
        found = []
        for chunk in chunks:
            longest = int(lengths[chunk].max())
            place = np.minimum(begins[:-1][chunk][:, None] + np.arange(longest), begins[-1] - 1)
            inside = torch.from_numpy(np.arange(longest)[None, :] < lengths[chunk][:, None]).to(device)
            at = torch.from_numpy(place).to(device)
            read = {name: batch[name][at] for name in ("tokens", "types", "records")}
            found.append(
                self.read(
                    read["tokens"].masked_fill(~inside, self.padding),
                    read["types"].masked_fill(~inside, 0),
                    read["records"].masked_fill(~inside, SPECIAL),
                    inside,
                )
            )
        order = np.argsort(np.concatenate(chunks), kind="stable")
        return torch.cat(found)[torch.from_numpy(order).to(device)]

    def read(self, tokens: Tensor, types: Tensor, records: Tensor, inside: Tensor | None) -> Tensor:
        """What the head says about pairs, float32 [n, 1 or 2], from [n, length]; inside: False for padding, None for none."""
        typed = {"token_type_ids": types} if self.typed else {}
        mask = None if inside is None else inside.long()
        hidden = self.encoder(input_ids=tokens, attention_mask=mask, **typed).last_hidden_state.float()
        if self.pooling == "first":
            pooled = hidden[:, 0]
        elif self.pooling == "mean":
            pooled = hidden.mean(1) if inside is None else _mean(hidden, inside)
        else:
            query, candidate = _mean(hidden, records == QUERY), _mean(hidden, records == CANDIDATE)
            pooled = torch.cat([query * candidate, (query - candidate).abs()], -1)
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(self.dropout(pooled), self.head.weight.float(), self.head.bias.float())


def _mean(hidden: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen tokens, [n, width]; 0 where none is chosen."""
    weight = chosen.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def pair_logits(network: PairEncoder, pairs: PairTokens, offsets: np.ndarray, at_once: int) -> np.ndarray:
    """Logits of all pairs relative to "none", [n_pairs], from a network in evaluation mode, in its own precision.

    offsets: where the pairs of each query begin, [n_queries + 1]. at_once: pairs read at once.
    """
    device = next(network.parameters()).device
    scores = np.empty((len(pairs.lengths), network.head.out_features))
    with torch.inference_mode():
        for chunk in equally_long(pairs.lengths, at_once):
            place = pairs.offsets[:-1][chunk][:, None] + np.arange(pairs.lengths[chunk[0]])
            columns = (pairs.tokens, pairs.types, pairs.records)
            tokens, types, records = (torch.from_numpy(c[place].astype(np.int64)).to(device) for c in columns)
            scores[chunk] = network.read(tokens, types, records, None).cpu().numpy()
    if scores.shape[1] == 1:
        return scores[:, 0]
    none = ragged.segment_sum(scores[:, 1], offsets) / np.maximum(np.diff(offsets), 1)
    return scores[:, 0] - none[ragged.owner(offsets)]
