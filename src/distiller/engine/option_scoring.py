"""Log-probabilities of all options of a prompt with every token read once, for engines and for students that learn by it.

The options of a prompt follow it as a tree: each token attends to the prompt and to its own ancestors only, and stands at
the position it would have after the prompt alone. So every option is read as if it were the only one (tree attention, as
in SpecInfer, Miao et al. 2024, there for verifying drafts).
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distiller.config import DistillerError
from distiller.engine.beginning import Beginning, cache_name, pays
from distiller.engine.option_tree import OptionTree

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OptionBatch:
    """Prompts with the trees of their options, [batch] rows padded on the right.

    prompts: tokens of the prompts but their last, [batch, length]. lengths: how many of them are the row's, [batch].
    nodes: a prompt's last token, then the nodes of its tree, [batch, nodes]. positions: place of each node in its own
    text, [batch, nodes]. related: whether a node (row) is another one (column) or follows it, [batch, nodes, nodes].
    step_node, step_token: for each token of each option the node that says how probable it is, and the token, [batch,
    options, steps]; node -1 where an option has fewer steps or a row fewer options.
    """

    prompts: "Tensor"
    lengths: "Tensor"
    nodes: "Tensor"
    positions: "Tensor"
    related: "Tensor"
    step_node: "Tensor"
    step_token: "Tensor"

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], trees: Sequence[OptionTree], padding: int) -> "OptionBatch":
        """Rows of prompts, none empty, and the trees below them. padding: any token; it changes nothing."""
        import torch

        rows, width = len(trees), 1 + max(len(tree.tokens) for tree in trees)
        length = max(len(prompt) for prompt in prompts) - 1
        steps = max(len(own) for tree in trees for own in tree.steps), max(len(tree.steps) for tree in trees)
        batch = cls(
            prompts=torch.full((rows, length), padding),
            lengths=torch.tensor([len(prompt) - 1 for prompt in prompts]),
            nodes=torch.full((rows, width), padding),
            positions=torch.zeros((rows, width), dtype=torch.long),
            related=torch.eye(width, dtype=torch.bool).repeat(rows, 1, 1),
            step_node=torch.full((rows, steps[1], steps[0]), -1),
            step_token=torch.zeros((rows, steps[1], steps[0]), dtype=torch.long),
        )
        for row, (prompt, tree) in enumerate(zip(prompts, trees, strict=True)):
            own = 1 + len(tree.tokens)
            batch.prompts[row, : len(prompt) - 1] = torch.tensor(prompt[:-1], dtype=torch.long)
            batch.nodes[row, :own] = torch.tensor([prompt[-1], *tree.tokens])
            batch.positions[row, :own] = torch.tensor([0, *tree.depths]) + len(prompt) - 1
            batch.related[row, :own, 0] = True
            pairs = [(node, other) for node, way in enumerate(tree.ancestors(), start=1) for other in way]
            batch.related[(row, *torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T)] = True
            for option, path in enumerate(tree.steps):
                batch.step_node[row, option, : len(path)] = torch.tensor([node for node, _ in path])
                batch.step_token[row, option, : len(path)] = torch.tensor([token for _, token in path])
        return batch

    def to(self, device: Any) -> "OptionBatch":
        """The same batch on another device."""
        return OptionBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def branched(self) -> bool:
        """Whether somewhere two tokens follow the same one, so that prompt and nodes are not just one text."""
        import torch

        places = self.lengths[:, None] + torch.arange(self.nodes.shape[1], device=self.nodes.device)
        return bool((self.related[:, :, 0] & (self.positions != places)).any())

    def prompt_positions(self) -> "Tensor":
        """Place of each token of the prompts in its text, [1, length]."""
        import torch

        return torch.arange(self.prompts.shape[1], device=self.prompts.device)[None]

    def seen_by_nodes(self, window: int | None) -> "Tensor":
        """Whether a node may attend to a token of the prompt or a node, [batch, nodes, length + nodes].

        window: how far back a layer of sliding attention looks, in positions; None is all the way.
        """
        import torch

        places = self.prompt_positions()
        own = (places < self.lengths[:, None])[:, None].expand(-1, self.nodes.shape[1], -1)
        seen = torch.cat([own, self.related], dim=2)
        if window is not None:
            keys = torch.cat([places.expand(len(self.nodes), -1), self.positions], dim=1)
            seen = seen & (self.positions[:, :, None] - keys[:, None, :] < window)
        return seen

    def seen_by_all(self, window: int | None) -> "Tensor":
        """Whether a token may attend to another, prompts first, then nodes, [batch, length + nodes, length + nodes]."""
        import torch

        place = self.prompt_positions()[0]
        back = place[:, None] - place
        causal = (back >= 0) & (back < (window or len(place) + 1))
        above = torch.nn.functional.pad(causal, (0, self.nodes.shape[1])).expand(len(self.nodes), -1, -1)
        return torch.cat([above, self.seen_by_nodes(window)], dim=1)


def option_log_probabilities(model: Any, batch: OptionBatch, beginning: Beginning | None = None) -> "Tensor":
    """Natural log-probability of each option given its prompt, float32 [batch, options]; -inf where a row has fewer.

    It is the sum over the option's tokens, whatever the other options are; see `step_log_probabilities`.
    """
    import torch

    there = (batch.step_node >= 0).any(dim=-1)
    return step_log_probabilities(model, batch, beginning).sum(dim=-1).masked_fill(~there, -torch.inf)


def step_log_probabilities(model: Any, batch: OptionBatch, beginning: Beginning | None = None) -> "Tensor":
    """Natural log-probability of each token of each option, float32 [batch, options, steps]; 0 where there is none.

    Texts without a branch, the usual case, are one causal pass. Branches are read after the prompts, by what was kept of these,
    so that all but a few tokens have the faster, plainly causal attention; where gradients are switched on, everything
    is one pass, which also works with gradient checkpointing, and so where the weights are shared out among processes, which
    must all read in step. The output layer reads only what a probability is taken from.
    What all prompts begin with is read once if that pays, gradients included, but for these two cases; dropout then falls on it
    once for all of them.
    model: a causal language model of the transformers library with `sdpa` or `eager` attention, on the batch's device.
    beginning: what all prompts begin with, where it was read before; shorter than each of them.

    Raises:
        DistillerError: the model remembers by other means than attention to tokens, so that a tree cannot be read.
    """
    import torch

    _check(model)
    if beginning is None and (shared := _worth_sharing(model, batch)):
        beginning = Beginning.read(model, batch.prompts[0, :shared].tolist())
    rows, skip = len(batch.nodes), len(beginning.tokens) if beginning else 0
    length, width = batch.prompts.shape[1], batch.nodes.shape[1]
    kept: dict[str, Any] = {"use_cache": False}
    if beginning:
        kept = {cache_name(model): beginning.cache(rows), "use_cache": True}
    there = batch.step_node >= 0
    node = batch.step_node.clamp(min=0)
    row = torch.arange(rows, device=node.device)[:, None, None].expand_as(node)
    used = torch.zeros((rows, width), dtype=torch.bool, device=node.device)
    used[row[there], node[there]] = True
    of_row, of_node = used.nonzero(as_tuple=True)
    if not batch.branched():
        places = torch.arange(length + width, device=node.device)[None]
        tokens = torch.nn.functional.pad(batch.prompts, (0, width))
        tokens = tokens.scatter(1, batch.lengths[:, None] + places[:, :width], batch.nodes)[:, skip:]
        at = batch.lengths[of_row] - skip + of_node
        logits = _logits(model, of_row, at, input_ids=tokens, position_ids=places[:, skip:].expand(rows, -1), **kept)
    elif torch.is_grad_enabled() or length == skip or _shared_out(model):
        positions = batch.prompt_positions().expand(rows, -1)[:, skip:]
        logits = _logits(
            model,
            of_row,
            length - skip + of_node,
            input_ids=torch.cat([batch.prompts[:, skip:], batch.nodes], dim=1),
            attention_mask=_masks(model, batch, lambda window: batch.seen_by_all(window)[:, skip:]),
            position_ids=torch.cat([positions, batch.positions], dim=1),
            **kept,
        )
    else:
        from transformers import DynamicCache

        if not beginning:
            kept = {cache_name(model): DynamicCache(), "use_cache": True}
        positions = batch.prompt_positions().expand(rows, -1)[:, skip:]
        model(input_ids=batch.prompts[:, skip:], position_ids=positions, logits_to_keep=1, **kept)
        mask = _masks(model, batch, batch.seen_by_nodes)
        read = {"input_ids": batch.nodes, "attention_mask": mask, "position_ids": batch.positions}
        logits = _logits(model, of_row, of_node, **read, **kept)
    logits = logits.float()
    number = (used.flatten().cumsum(0) - 1).reshape(rows, width)[row, node].clamp(min=0)
    log_p = logits[number, batch.step_token] - logits.logsumexp(dim=-1)[number]
    return torch.where(there, log_p, 0.0)


def _worth_sharing(model: Any, batch: OptionBatch) -> int:
    """Number of first tokens that all prompts share, 0 where reading them once does not pay or is not possible."""
    import torch

    rows, width = len(batch.nodes), batch.prompts.shape[1] + batch.nodes.shape[1]
    checkpointed = model.training and any(getattr(each, "gradient_checkpointing", False) for each in model.modules())
    if rows == 1 or (checkpointed and torch.is_grad_enabled()) or _shared_out(model):
        return 0
    alike = (batch.prompts == batch.prompts[:1]).all(dim=0).cumprod(dim=0).sum()
    shared = int(torch.minimum(alike, batch.lengths.min()))
    return shared if pays(shared, rows - 1, rows * width) else 0


def _shared_out(model: Any) -> bool:
    """Whether each of several processes holds a part of the weights."""
    from torch.distributed.tensor import DTensor

    return isinstance(next(model.parameters()), DTensor)


def _logits(model: Any, rows: "Tensor", places: "Tensor", **inputs: Any) -> "Tensor":
    """What the model says at these places of its input, [places, vocabulary]; its output layer reads no others."""
    head = model.get_output_embeddings()
    if head is None:
        return model(**inputs).logits[rows, places]
    before = head.register_forward_pre_hook(lambda _, given: (given[0][rows, places], *given[1:]))
    try:
        logits = model(**inputs).logits
    finally:
        before.remove()
    return logits if logits.dim() == 2 else logits[rows, places]  # some models do not call their output layer


def _check(model: Any) -> None:
    layers = set(getattr(model.config.get_text_config(), "layer_types", None) or [])
    placed = "position_ids" in inspect.signature(model.forward).parameters
    if model._is_stateful or not placed or not layers <= {"full_attention", "sliding_attention"}:
        raise DistillerError(
            f"options cannot be scored with {type(model).__name__}, which does not read by attention to freely placed tokens "
            "alone: let it generate its answers, or choose another model"
        )


def _masks(model: Any, batch: OptionBatch, seen: Any) -> Any:
    """What is added to attention scores, 0 or very negative, [batch, 1, tokens, keys]; by kind of layer if there are two."""
    import torch

    device = batch.nodes.device
    autocast = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if autocast else model.dtype

    def additive(window: int | None) -> "Tensor":
        hidden = ~seen(window)[:, None]
        return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, torch.finfo(dtype).min)

    config = model.config.get_text_config()
    window, layers = getattr(config, "sliding_window", None), set(getattr(config, "layer_types", None) or [])
    if window is None or layers == {"full_attention"}:
        return additive(None)
    if len(layers) == 2:
        return {"full_attention": additive(None), "sliding_attention": additive(window)}
    return additive(window)
