"""No log: the run's folder alone keeps its numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distiller.config import component
from distiller.logger.base import Logger, OpenLog


class _Nothing(OpenLog):
    def numbers(self, values: dict[str, float], step: int | None = None) -> None: ...

    def facts(self, values: dict[str, Any]) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def plot(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None: ...

    def close(self, failed: bool) -> None: ...


@component
class NoLogger(Logger):
    """Keeps nothing beyond the run's folder."""

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        return _Nothing()
