"""What Hydra calls before and after a sweep: the listing that `sweep.dry` asks for, and the table at the end."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from distiller.sweep.job import RECORD, Job

DRY = "hydra_plugins.distiller_launchers.dry.DryLauncher"


class Summary(Callback):
    """Tells what became of the jobs of a sweep, and ends with exit code 1 if one failed."""

    def __init__(self) -> None:
        self._folder = Path()
        self._before: dict[Path, int] = {}
        self._dry: str | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember what lies in the sweep's folder; for a dry sweep, have its jobs listed instead of launched."""
        self._folder = Path(config.hydra.sweep.dir)
        if OmegaConf.select(config, "sweep.dry"):
            # Sweepers make their folder before any launcher is asked; a listing leaves none.
            self._dry = tempfile.mkdtemp(prefix="dry-sweep-")
            with open_dict(config):
                config.hydra.launcher = {"_target_": DRY}
                config.hydra.sweep.dir = self._dry
        self._before = _moments(self._folder)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print one line per job that this command ran or kept."""
        if self._dry is not None:
            shutil.rmtree(self._dry, ignore_errors=True)
            return
        after = _moments(self._folder)
        ended = [folder for folder in sorted(after) if self._before.get(folder) != after[folder]]
        jobs = [job for folder in ended if (job := Job.read(folder)) is not None]
        show(jobs, self._folder)
        if any(job.state == "failed" for job in jobs):
            sys.exit(1)


def _moments(folder: Path) -> dict[Path, int]:
    """When the record of each job was written, [nanoseconds on the clock of its file system]; only compared for equality."""
    return {path.parent: path.stat().st_mtime_ns for path in folder.glob(f"*/{RECORD}")}


def show(jobs: list[Job], folder: Path) -> None:
    """Print the table of a sweep's jobs and a line with their numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name, side in (("job", "left"), ("overrides", "left"), ("state", "left"), ("objective", "right")):
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    table.add_column("seconds", justify="right")
    differ = differing([job.overrides for job in jobs])
    for job in jobs:
        score = "" if job.objective is None else f"{job.objective:.4f}"
        said = " ".join(word for word in job.overrides if word.partition("=")[0] in differ)
        state = "[red]failed[/]" if job.state == "failed" else job.state
        number = job.folder.name.partition("-")[0]
        table.add_row(number, said + (f"\n{job.error}" if job.error else ""), state, score, f"{job.seconds:,.1f}")
    console = Console()
    console.print(table)
    counts = {state: sum(job.state == state for job in jobs) for state in ("done", "kept", "failed")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    if counts["kept"] == len(jobs) > 0:
        told += "; nothing was computed"
    console.print(f"{len(jobs)} jobs: {told}", highlight=False)
    console.print(f"written to {folder}", soft_wrap=True, highlight=False)


def differing(overrides: list[list[str]]) -> set[str]:
    """Keys whose words are not the same in all jobs; all keys of a single job."""
    keys = {word.partition("=")[0] for words in overrides for word in words}
    if len(overrides) < 2:
        return keys
    shared = set.intersection(*(set(words) for words in overrides))
    return keys - {word.partition("=")[0] for word in shared}
