"""Numbers to Weights & Biases: offline unless an API key is set."""

import netrc
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distiller.config import DistillerError, component, runtime
from distiller.logger.base import Logger, OpenLog


class _Run(OpenLog):
    def __init__(self, run: Any):
        self._run = run

    def numbers(self, values: dict[str, float], step: int | None = None) -> None:
        if step is None:
            self._run.summary.update(values)
        else:
            self._run.log({**values, "step": step})

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


@component
class WandbLogger(Logger):
    """One W&B run per run, grouped by sweep.

    mode: `auto` is online where an API key is set (WANDB_API_KEY or the netrc file), else offline; `wandb sync` brings
    offline runs up later. The variable WANDB_MODE overrules it.
    """

    project: str = runtime("distiller")
    entity: str | None = runtime(None)
    mode: Literal["auto", "online", "offline"] = runtime("auto")

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
                config=settings,
                group=group,
                name=folder.name,
                mode=None if "WANDB_MODE" in os.environ else mode,
                settings=wandb.Settings(silent=True, console="off", init_timeout=30, x_disable_stats=True),
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
