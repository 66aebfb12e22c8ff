"""Numbers, tables and plots to Weights & Biases: offline unless told otherwise."""

import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distiller.config import DistillerError, component, runtime
from distiller.logger.base import Logger, OpenLog
from distiller.logger.secrets import without_secrets


class _Run(OpenLog):
    def __init__(self, run: Any):
        self._run = run

    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        if step is None:
            self._run.summary.update(values)
        else:
            self._run.log({**values, "step": step})

    def facts(self, values: dict[str, Any]) -> None:
        self._run.config.update(without_secrets(values))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        self._run.log({name: wandb.Table(columns=list(columns), data=without_secrets(rows))})

    def plot(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
        import wandb

        kept = wandb.Table(columns=list(columns), data=without_secrets(rows))
        self._run.log({name: wandb.plot.line(kept, columns[0], columns[1], title=title)})

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


@component
class WandbLogger(Logger):
    """One W&B run per run, grouped by sweep.

    It holds the whole configuration, the numbers (`f1/<dataset>`, `f1/mean`, `seconds/<stage>`, tokens, cost), tables of the
    student's errors, plots of its calibration and training, and the keys of the artifacts. Keys and passwords (see
    `secrets`) are kept out, and so are the command line, the host's name and the state of the repository.
    mode: `offline` writes into the run's folder, and `wandb sync` brings it up later; `auto` is online where an API key is
    set (WANDB_API_KEY or the netrc file), else offline. The variable WANDB_MODE overrules it.
    """

    project: str = runtime("distiller")
    entity: str | None = runtime(None)
    mode: Literal["offline", "online", "auto"] = runtime("offline")

    def open(self, folder: Path, settings: dict[str, Any], group: str | None) -> OpenLog:
        import wandb

        mode = self.mode
        if mode == "auto":
            mode = "online" if _has_key() else "offline"
        try:
            run = wandb.init(
                project=self.project,
                entity=self.entity,
                dir=folder,
                config=without_secrets(settings),
                group=group,
                name=folder.name,
                mode=None if "WANDB_MODE" in os.environ else mode,
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    init_timeout=30,
                    x_disable_stats=True,
                    x_disable_meta=True,
                    disable_git=True,
                ),
            )
        except wandb.errors.Error as error:
            reason = str(error).rstrip(".")
            raise DistillerError(
                f"logger=wandb cannot start a run: {reason}; set logger.mode=offline or logger=none"
            ) from error
        return _Run(run)


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        return netrc.netrc().authenticators(host or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False
