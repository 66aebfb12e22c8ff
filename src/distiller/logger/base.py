"""What every logger keeps: the configuration of a run, its numbers, its tables, and what it was made from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distiller.config import Component


class OpenLog(ABC):
    """A log that is being written."""

    @abstractmethod
    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        """Keep some numbers, at a step of training if they belong to one."""

    @abstractmethod
    def facts(self, values: dict[str, Any]) -> None:
        """Keep what the run is known by once it is done, such as the keys of its artifacts; plain JSON."""

    @abstractmethod
    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Keep a small table of numbers and text."""

    @abstractmethod
    def plot(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
        """Keep a line: the second column over the first; further columns are kept beside them."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """End the log; `failed` tells that the run raised."""


class Logger(Component):
    """Where the numbers of a run go besides its own folder."""

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        """A log for the run in `folder`; `settings` is the resolved configuration, `group` the sweep it belongs to."""
        raise NotImplementedError
