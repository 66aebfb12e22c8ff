"""What every logger keeps: the configuration of a run, its numbers, and its scorecard."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from distiller.config import Component


class OpenLog(ABC):
    """A log that is being written."""

    @abstractmethod
    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        """Keep some numbers, at a step of training if they belong to one."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """End the log; `failed` tells that the run raised."""


class Logger(Component):
    """Where the numbers of a run go besides its own folder."""

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        """A log for the run in `folder`; `settings` is the resolved configuration, `group` the sweep it belongs to."""
        raise NotImplementedError
