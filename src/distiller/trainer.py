"""On what hardware, in how many processes and for how long a student trains."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from distiller.config import Component, DistillerError, component, runtime


@dataclass(frozen=True)
class Place:
    """Which of the processes that train together this one is: `rank` of `ranks`, from 0."""

    rank: int = 0
    ranks: int = 1


@component
class Trainer(Component):
    """Limits and placement of training; students without a network use `max_steps` as boosting rounds.

    strategy: `single` trains in the process of the run. `ddp` and `fsdp` train in processes of a worker, `devices` on each of
    `num_nodes` machines, each with a GPU or processor cores of its own: `ddp` keeps the whole student in every process,
    `fsdp` shares a language model out among them, its weights, their gradients and the optimiser's memory; the weights are
    whole while a step is computed. Every batch is divided among the processes, so that the trained weights are those of
    `single` but for rounding and dropout.
    address, port: where the other machines reach this one; null on a single machine, which finds a free port.
    save_seconds: a killed training goes on from a point so many seconds back at most (0: one optimisation step; null: it
    begins anew).
    """

    VERSION = 2

    strategy: Literal["single", "ddp", "fsdp"] = runtime("single")
    accelerator: Literal["cpu", "gpu", "auto"] = runtime("cpu")
    devices: Annotated[int, Field(ge=1)] = runtime(1)
    num_nodes: Annotated[int, Field(ge=1)] = runtime(1)
    address: str | None = runtime(None)
    port: Annotated[int, Field(ge=1, le=65535)] | None = runtime(None)
    precision: Literal["32-true", "bf16-mixed", "bf16-true", "16-mixed"] = "32-true"
    max_steps: Annotated[int, Field(ge=1)] | None = None
    save_seconds: Annotated[float, Field(ge=0)] | None = runtime(300.0)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "Trainer":
        if self.strategy == "single" and self.processes > 1:
            raise ValueError(
                f"strategy=single trains in one process, got devices={self.devices} and num_nodes={self.num_nodes}; "
                "set strategy=ddp or fsdp"
            )
        if self.num_nodes > 1 and (self.address is None or self.port is None):
            raise ValueError(f"num_nodes={self.num_nodes} needs address and port, where the others reach this machine")
        if self.strategy == "fsdp" and self.precision == "16-mixed":
            raise ValueError("strategy=fsdp does not scale losses as precision=16-mixed needs it; set bf16-mixed")
        return self

    @property
    def processes(self) -> int:
        """Number of processes that train together, on all machines."""
        return self.devices * self.num_nodes

    def ready(self) -> None:
        """Find out within moments whether there are as many GPUs as are asked for.

        Raises:
            DistillerError: there are fewer.
        """
        if self.accelerator == "cpu" or (self.accelerator == "auto" and self.processes == 1):
            return
        import torch

        found = torch.cuda.device_count()
        if found < self.devices and (found or self.accelerator == "gpu"):
            other = f"trainer.devices={found}" if found else "trainer.accelerator=cpu"
            raise DistillerError(
                f"trainer.devices={self.devices} needs as many GPUs, this machine has {found}: set {other}"
            )
