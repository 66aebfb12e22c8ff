"""What prompts begin with alike is read once; its keys and values serve all of them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distiller.engine.option_tree import common_beginning

if TYPE_CHECKING:
    from torch import Tensor

#: A shared beginning is read by itself if it saves so many tokens of a prompt, and this share of a batch. The rest then has
#: attention with a mask, which is slower than the plainly causal one.
LEAST_TOKENS, LEAST_SHARE = 16, 0.1


@dataclass(frozen=True)
class Beginning:
    """First tokens of prompts, as a model has read them.

    tokens: at least one. layers: keys and values of each layer of the model, [1, heads, tokens, head size].
    """

    tokens: tuple[int, ...]
    layers: tuple[tuple["Tensor", "Tensor"], ...]

    @classmethod
    def read(cls, model: Any, tokens: Sequence[int], known: "Beginning | None" = None) -> "Beginning":
        """These tokens, read by a causal language model of the transformers library; only those that are not `known`."""
        import torch
        from transformers import DynamicCache

        start = common_beginning([known.tokens, tokens]) if known else 0
        cache = known.first(start).cache(1) if known and start else DynamicCache()
        if start < len(tokens):
            rest = torch.tensor([tokens[start:]], device=model.device)
            places = torch.arange(start, len(tokens), device=model.device)[None]
            kept = {cache_name(model): cache, "use_cache": True}
            model(input_ids=rest, position_ids=places, logits_to_keep=1, **kept)
        layers: list[Any] = cache.layers
        return cls(tuple(tokens), tuple((layer.keys, layer.values) for layer in layers))

    def first(self, count: int) -> "Beginning":
        """Its first tokens, at least one."""
        return Beginning(self.tokens[:count], tuple((k[:, :, :count], v[:, :, :count]) for k, v in self.layers))

    def cache(self, rows: int) -> Any:
        """What the library's models go on from, for a batch of so many prompts."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, number)
            layer: Any = cache.layers[number]
            layer.keys, layer.values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
        return cache


class LastBeginning:
    """Keeps what the last prompts began with, for a model whose weights stay as they are."""

    def __init__(self) -> None:
        self._read: Beginning | None = None
        self._prompt: list[int] = []

    def of(self, model: Any, prompts: Sequence[list[int]]) -> Beginning | None:
        """What these prompts begin with alike, or a part of it, shorter than each; None where that does not pay.

        A single prompt is compared with the last one before it.
        """
        others = prompts if len(prompts) > 1 else [*prompts, self._prompt]
        self._prompt = prompts[-1]
        wanted = min(common_beginning(others), min(map(len, prompts)) - 1)
        known = common_beginning([self._read.tokens, prompts[0][:wanted]]) if self._read else 0
        if not pays(wanted - known, 1, max(map(len, prompts))):
            wanted = known
        if not pays(wanted, 1, max(map(len, prompts))):
            return None
        self._read = Beginning.read(model, prompts[0][:wanted], self._read)
        return self._read

    def forget(self) -> None:
        """Free the memory of it."""
        self._read = None


def pays(shared: int, saved_rows: int, tokens: int) -> bool:
    """Whether to read so many first tokens once, not in `saved_rows` rows more, in a batch of so many tokens."""
    return shared >= LEAST_TOKENS and shared * saved_rows >= LEAST_SHARE * tokens


def cache_name(model: Any) -> str:
    """What the model's `forward` calls the keys and values of tokens read before; the library has renamed it."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
