"""What a run tells while it works: one line per stage on the screen, numbers to the logger, seconds for the scorecard."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from distiller.logger.base import OpenLog


@dataclass
class Stage:
    """One stage of one dataset while it runs: what to say about it and what it cost."""

    text: str = ""
    seconds: float | None = None
    reused: bool = False

    def done(self, text: str, artifact: Any = None) -> None:
        """Say what came out; an artifact brings the seconds it took when it was made."""
        self.text = text
        if artifact is not None:
            self.seconds, self.reused = artifact.seconds, artifact.reused


@dataclass
class Tracker:
    """Follows one run.

    seconds: stage -> dataset -> seconds of the work itself, as recorded when it was done, also if this run reused it.
    """

    folder: Path
    log: OpenLog
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    seconds: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    @contextmanager
    def stage(self, name: str, dataset: str) -> Iterator[Stage]:
        """A stage at work: a spinner while it runs, one line when it is done."""
        stage, start = Stage(), time.perf_counter()
        with self.console.status(f"{dataset}: {name} ..."):
            yield stage
        seconds = time.perf_counter() - start if stage.seconds is None else stage.seconds
        self.seconds[name][dataset] = self.seconds[name].get(dataset, 0.0) + seconds
        self.log.numbers({f"seconds/{name}/{dataset}": seconds})
        cost = f"[dim]{seconds:8.2f} s{' (kept)' if stage.reused else ''}[/]"
        self.console.print(f"[bold]{dataset:<15}[/] {name:<13} {stage.text:<70} {cost}", soft_wrap=True)
