"""A run from the command line: faults as sentences, a folder with everything needed to do it again."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distiller.config import ConfigurationError, DistillerError, nearest


def experiment(config: DictConfig) -> float:
    """Build, run and score the experiment that `config` describes; return the number a sweeper optimises.

    Everything is written into Hydra's run folder.

    Raises:
        DistillerError: anything the user can mend.
    """
    from distiller.config import build

    built = build(config)
    if built.until == "config":
        return float("nan")
    from rich.console import Console

    from distiller import pipeline, scorecard
    from distiller.tracking import Tracker

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")
    sweep = Path(hydra.sweep.dir).name if hydra.mode is not None and hydra.mode.name == "MULTIRUN" else None
    log = built.logger.open(folder, settings, sweep)
    failed = True
    try:
        tracker = Tracker(folder, log)
        lines = pipeline.run(built, tracker)
        card = scorecard.scorecard(built, lines, tracker)
        scorecard.write(folder, card, lines)
        log.numbers(_flat(card))
        Console().print(scorecard.table(card, title=" ".join(hydra.overrides.task) or "embedded default"))
        Console().print(f"written to {folder}", soft_wrap=True, highlight=False)
        value = scorecard.objective(built, card)
        failed = False
    finally:
        log.close(failed)
    return value


def _flat(card: dict[str, Any]) -> dict[str, float]:
    """Numbers of a scorecard under one name each: f1/<dataset>, f1/mean, and every metric by its path."""
    flat: dict[str, float] = {"peak_memory_mb": card["peak_memory_mb"]}
    for name, dataset in [*card["datasets"].items(), ("mean", card["mean"])]:
        for who in ("teacher", "student"):
            for form, scores in dataset.get(who, {}).items():
                flat |= {f"{who}/{form}/{metric}/{name}": float(value) for metric, value in scores.items()}
        forms = dataset.get("student", {})
        final = forms.get("one_to_one", forms.get("plain"))
        if final is not None:
            flat[f"f1/{name}"] = float(final["pair_f1"])
        flat |= {f"seconds/{stage}/{name}": float(seconds) for stage, seconds in dataset["seconds"].items()}
    return flat


def readable(program: Callable[[], Any]) -> None:
    """Run a Hydra program; print faults of the user's input as text and leave with exit code 1.

    With HYDRA_FULL_ERROR=1 everything is raised with its traceback, as Hydra does.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        program()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print without our hints
    try:
        program()
    except (DistillerError, HydraException, OmegaConfBaseException) as error:
        print(explain(error), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def explain(error: BaseException) -> str:
    """One readable message for a fault; Hydra's own come with the nearest known key."""
    if isinstance(error, DistillerError):
        return str(error) if isinstance(error, ConfigurationError) else f"error: {error}"
    text = "\n".join(line for line in str(error).splitlines() if "HYDRA_FULL_ERROR" not in line).strip()
    found = re.search(r"Could not override '([^']+)'", text)
    if found and "known keys" not in text:
        text = f"{text}\n{_hint(found[1])}".strip()
    return f"invalid configuration\n{_indented(text)}"


def _hint(key: str) -> str:
    """The nearest known key to one that Hydra refused."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    del compose, initialize_config_dir, GlobalHydra
    return nearest(key, [])


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
