"""Numbers as rows of a CSV file in the run's folder, tables as files beside it."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distiller.config import component
from distiller.logger.base import Logger, OpenLog


class _Rows(OpenLog):
    def __init__(self, folder: Path):
        self._folder = folder
        self._file = open(folder / "numbers.csv", "w", newline="", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._rows = csv.writer(self._file)
        self._rows.writerow(["step", "name", "value"])

    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        self._rows.writerows(["" if step is None else step, name, value] for name, value in values.items())
        self._file.flush()

    def facts(self, values: dict[str, Any]) -> None:
        """Nothing: the scorecard, which lies in the same folder, has them."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        path = self._folder / f"{name.replace('/', '-')}.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])

    def plot(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
        self.table(name, columns, rows)

    def close(self, failed: bool) -> None:
        self._file.close()


@component
class CsvLogger(Logger):
    """Writes `numbers.csv` (step, name, value) into the run's folder, and each table and plot as a file of its own."""

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        return _Rows(folder)
