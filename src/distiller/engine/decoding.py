"""Batches of prompts are written on token by token; no reply depends on what else is in its batch."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from distiller.engine.base import Request
from distiller.engine.beginning import cache_name
from distiller.engine.constraints import Constraint

if TYPE_CHECKING:
    from torch import Tensor

#: A batch goes on without its finished rows as soon as they are this share of it.
FINISHED_SHARE = 0.25


@dataclass
class Draft:
    """A reply that is being written.

    prompt: tokens read before it, not empty. ends: tokens that end it. draws: numbers in [0, 1) that decide sampled tokens,
    None where the most probable is taken. finished: whether tokens make a whole reply. tokens: written so far, without
    the end. ended: one more token said that the reply ends here. stopped: `finished` says so.
    """

    prompt: Sequence[int]
    max_tokens: int
    ends: frozenset[int]
    temperature: float = 0.0
    draws: np.ndarray | None = None
    constraint: Constraint | None = None
    finished: Callable[[list[int]], bool] | None = None
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    stopped: bool = False

    @property
    def written(self) -> int:
        """Tokens written, the end of the turn included."""
        return len(self.tokens) + self.ended

    @property
    def complete(self) -> bool:
        """Whether it ended before its longest length cut it off."""
        return self.ended or self.stopped

    def fresh(self) -> "Draft":
        """The same with nothing written yet."""
        constraint = self.constraint.fresh() if self.constraint else None
        return replace(self, constraint=constraint, tokens=[], ended=False, stopped=False)

    def take(self, token: int) -> bool:
        """The reply goes on with this token; whether it is over now."""
        if token in self.ends:
            self.ended = True
            return True
        self.tokens.append(token)
        if self.constraint:
            self.constraint.take(token)
        self.stopped = bool(self.finished and self.finished(self.tokens))
        full = len(self.tokens) >= self.max_tokens
        if not full and not self.stopped and self.constraint and self.constraint.forced_end:
            self.ended = True  # the only token that could follow need not be computed
        return self.ended or self.stopped or full


def uniform_draws(request: Request) -> np.ndarray:
    """Numbers in [0, 1) that decide the sampled tokens of a request, [max_tokens]: its own whatever surrounds it."""
    text = json.dumps(request.as_json(), sort_keys=True)
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(seed)).random(request.max_tokens)


def write(model: Any, drafts: Sequence[Draft], padding: int) -> None:
    """Write all drafts to their ends, with a causal language model of the transformers library.

    Temperature 0 takes the most probable token; else a token is drawn from softmax(logits / temperature), over the whole
    vocabulary, by the draft's own numbers. Drafts with the same prompt have it read once.
    """
    import torch
    from transformers import DynamicCache

    with torch.inference_mode():
        cache = DynamicCache(config=model.config)
        name = cache_name(model)
        prompts = list(dict.fromkeys(tuple(draft.prompt) for draft in drafts))
        number = {prompt: i for i, prompt in enumerate(prompts)}
        own = [number[tuple(draft.prompt)] for draft in drafts]
        length = max(map(len, prompts))
        rows = [[padding] * (length - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        tokens = torch.tensor(rows, device=model.device)
        seen = torch.tensor(mask, device=model.device)
        positions = (seen.cumsum(dim=-1) - 1).clamp(min=0)
        active = list(drafts)
        over = [False] * len(active)
        while True:
            logits = model(
                input_ids=tokens,
                attention_mask=seen,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
                **{name: cache},
            ).logits[:, -1]
            if len(prompts) < len(own):
                index = torch.tensor(own, device=model.device)
                cache.batch_select_indices(index)
                logits, seen, positions, own = logits[index], seen[index], positions[index], []
            chosen = next_tokens(logits, active, over)
            over = [done or draft.take(token) for draft, token, done in zip(active, chosen, over, strict=True)]
            if all(over):
                return
            if sum(over) >= FINISHED_SHARE * len(over):
                kept = [i for i, done in enumerate(over) if not done]
                index = torch.tensor(kept, device=model.device)
                cache.batch_select_indices(index)
                seen, positions = seen[index], positions[index]
                active, chosen, over = [active[i] for i in kept], [chosen[i] for i in kept], [False] * len(kept)
            tokens = torch.tensor(chosen, device=model.device)[:, None]
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
            positions = positions[:, -1:] + 1


def next_tokens(logits: "Tensor", drafts: Sequence[Draft], over: Sequence[bool]) -> list[int]:
    """The token with which each draft goes on, [batch], from logits [batch, vocabulary]; any for drafts that are over."""
    import torch

    logits = logits.float()
    held = [i for i, draft in enumerate(drafts) if draft.constraint and not over[i]]
    if held:
        allowed = np.stack([drafts[i].constraint.allowed(logits.shape[1]) for i in held])  # type: ignore[union-attr]
        index = torch.tensor(held, device=logits.device)
        logits[index] = logits[index].masked_fill(~torch.from_numpy(allowed).to(logits.device), -torch.inf)
    chosen = logits.argmax(dim=-1)
    drawn = [i for i, draft in enumerate(drafts) if draft.draws is not None and not over[i]]
    if drawn:
        index = torch.tensor(drawn, device=logits.device)
        heat = torch.tensor([drafts[i].temperature for i in drawn], dtype=torch.float64, device=logits.device)
        number = [drafts[i].draws[len(drafts[i].tokens)] for i in drawn]  # type: ignore[index]
        rising = torch.softmax(logits[index].double() / heat[:, None], dim=-1).cumsum(dim=-1)
        point = torch.tensor(number, dtype=torch.float64, device=logits.device)[:, None] * rising[:, -1:]
        chosen[index] = torch.searchsorted(rising, point, right=True)[:, 0].clamp(max=logits.shape[1] - 1)
    return chosen.tolist()
