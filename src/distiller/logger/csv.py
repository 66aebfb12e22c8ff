"""Numbers as rows of a CSV file in the run's folder."""

import csv
from pathlib import Path
from typing import Any

from distiller.config import component
from distiller.logger.base import Logger, OpenLog


class _Rows(OpenLog):
    def __init__(self, path: Path):
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._rows = csv.writer(self._file)
        self._rows.writerow(["step", "name", "value"])

    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        self._rows.writerows(["" if step is None else step, name, value] for name, value in values.items())
        self._file.flush()

    def close(self, failed: bool) -> None:
        self._file.close()


@component
class CsvLogger(Logger):
    """Writes `numbers.csv` (step, name, value) into the run's folder."""

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        return _Rows(folder / "numbers.csv")
