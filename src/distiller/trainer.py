"""On what hardware and for how long a student trains."""

from typing import Annotated, Literal

from pydantic import Field

from distiller.config import Component, component, runtime


@component
class Trainer(Component):
    """Limits and placement of training; students without a network use `max_steps` as boosting rounds."""

    accelerator: Literal["cpu", "gpu", "auto"] = runtime("cpu")
    devices: Annotated[int, Field(ge=1)] = runtime(1)
    precision: Literal["32-true", "bf16-mixed", "bf16-true", "16-mixed"] = "32-true"
    max_steps: Annotated[int, Field(ge=1)] | None = None
