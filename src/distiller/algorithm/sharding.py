"""Weights that processes share out among them, and whole tensors taken from them and given back."""

from typing import Any

from torch import Tensor, nn


def shard(model: nn.Module, mesh: Any) -> None:
    """Share the weights of a student that is a language model out among the processes of a mesh, as one unit.

    Between steps each process has its part of the weights, and of their gradients and the optimiser's memory; while it
    computes, the weights are whole. A frozen copy of the model, kept as a reference where all weights are trained, stays whole.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    if isinstance(model, FSDPModule):
        return
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "step_log_probabilities")


def whole(tensor: Tensor) -> Tensor:
    """A copy on the processor of the whole tensor, whatever part of it lies here; every process has to ask for it."""
    taken: Any = tensor.detach()
    return (taken.full_tensor() if hasattr(taken, "full_tensor") else taken).to("cpu", copy=True)


def shared_like(value: Tensor, example: Tensor) -> Tensor:
    """This process's part of a whole tensor, on the device and shared out as the example is."""
    like: Any = example
    if not hasattr(like, "full_tensor"):
        return value.to(example.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.to_local().device), like.device_mesh, like.placements)
