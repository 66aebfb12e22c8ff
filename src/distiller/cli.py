"""A run from the command line: faults as sentences, a folder with everything needed to do it again."""

import errno
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distiller.budget import SPENT
from distiller.config import ConfigurationError, DistillerError, build, nearest
from distiller.experiment import Experiment
from distiller.logger.secrets import hide_in_yaml, without_secrets
from distiller.sweep import job
from distiller.sweep.names import register

#: What a disk says when nothing can be written to it: a fault of the place, not of the program.
UNWRITABLE = {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
#: Extras of ours that bring a launcher, by the package of its plugin.
PLUGINS = {"hydra_joblib_launcher": "joblib", "hydra_submitit_launcher": "submitit"}

register()  # here, because every process that runs a job imports this module before it knows the job's folder


def experiment(config: DictConfig) -> float:
    """Build, run and score the experiment that `config` describes; return the number a sweeper optimises.

    Everything is written into Hydra's run folder. A fault of the user's input ends a single run with its text and exit
    code 1. A job of a sweep that fails, for whatever reason, writes `failure.json` and is worth NaN, so that the others go
    on; one whose finished scorecard is there is not done again.
    """
    hydra = HydraConfig.get()
    _hide_what_was_typed(hydra)
    if hydra.mode is RunMode.MULTIRUN:
        return _job(config, Path(hydra.runtime.output_dir), list(hydra.overrides.task))
    try:
        built = build(config)
        if built.sweep.dry or built.sweep.name is not None:
            raise DistillerError(
                "sweep.dry and sweep.name are for sweeps: add -m, or see until=forecast for a single run"
            )
        return _experiment(config, built)[0]
    except DistillerError as error:
        print(explain(error, Path(), []), file=sys.stderr)
        sys.exit(1)


def _hide_what_was_typed(hydra: Any) -> None:
    """Take keys and passwords out of the files in which Hydra keeps the command line as it was typed."""
    folder = Path(hydra.runtime.output_dir)
    written = list((folder / hydra.output_subdir).glob("*.yaml")) if hydra.output_subdir else []
    for path in [*written, Path(hydra.sweep.dir) / "multirun.yaml"] if hydra.mode is RunMode.MULTIRUN else written:
        hide_in_yaml(path)


def _job(config: DictConfig, folder: Path, overrides: list[str]) -> float:
    """One job of a sweep; what it was worth, NaN if it failed."""
    start = time.perf_counter()
    try:
        built = build(config)
        signed = job.signature(built)
        if finished := job.kept(folder, signed):
            job.keep(finished)
            return float("nan") if finished.objective is None else finished.objective
        job.begin(folder)
        value, complete = _experiment(config, built)
        if built.until != "config":
            job.end(folder, overrides, value, start, signed, complete)
        return value
    except Exception as error:
        print(f"{folder.name}: failed: {job.fail(folder, overrides, error, start)}", file=sys.stderr)
        return float("nan")


def _experiment(config: DictConfig, built: Experiment) -> tuple[float, bool]:
    """What a sweeper optimises, and whether the teacher was asked everything."""
    if built.until == "config":
        return float("nan"), True
    from rich.console import Console

    from distiller import pipeline, saved, score_table, scorecard
    from distiller.report.logged import log_findings
    from distiller.tracking import Tracker

    scorecard.check_objective(built.objective)
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    hidden = without_secrets(settings)
    told = OmegaConf.to_yaml(config if hidden == settings else OmegaConf.create(hidden), resolve=True)
    (folder / "config.yaml").write_text(told, encoding="utf-8")
    sweep = Path(hydra.sweep.dir).name if hydra.mode is RunMode.MULTIRUN else None
    log = built.logger.open(folder, settings, sweep)
    failed = True
    try:
        tracker = Tracker(folder, log)
        lines = pipeline.run(built, tracker)
        card = scorecard.scorecard(built, lines, tracker)
        scorecard.write(folder, card, lines, built.disambiguation)
        saved.save_run(folder / "student", built, lines, card)
        log.numbers(_flat(card))
        log_findings(log, card, lines, built.disambiguation)
        Console().print(score_table.table(card))
        Console().print(f"written to {folder}", soft_wrap=True, highlight=False)
        value = scorecard.objective(built, card)
        failed = False
    finally:
        log.close(failed)
    return value, not any(line.teacher is not None and line.teacher.facts.get("incomplete") for line in lines)


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
        spent = {key: value for key, value in dataset.get("spent", {}).items() if key in SPENT}
        flat |= {f"spent/{key}/{name}": float(value) for key, value in spent.items()}
        flat |= {f"seconds/{stage}/{name}": float(seconds) for stage, seconds in dataset["seconds"].items()}
    n = len(card["datasets"])
    flat |= {f"seconds/{stage}": float(seconds) * n for stage, seconds in card["mean"]["seconds"].items()}
    if spent := card["mean"].get("spent"):
        flat |= {"tokens": float(spent["tokens_in"] + spent["tokens_out"]), "cost": float(spent["cost"])}
    return flat


def readable(program: Callable[[], Any], conf: Path) -> None:
    """Run a Hydra program; print faults of the user's input as text and leave with exit code 1.

    `conf` is the folder of the configuration, to find the nearest known key or choice to one that Hydra refused. With
    HYDRA_FULL_ERROR=1 everything is raised with its traceback, as Hydra does.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        program()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print without our hints
    try:
        program()
    except (DistillerError, HydraException, OmegaConfBaseException) as error:
        print(explain(error, conf, sys.argv[1:]), file=sys.stderr)
        sys.exit(1)
    except (ImportError, RuntimeError) as error:
        missing = re.search(r"hydra_plugins\.(\w+)\.", str(error))
        if missing is None or missing[1] not in PLUGINS:
            raise
        print(f"error: this launcher {_needs(PLUGINS[missing[1]])}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = error.filename or "the folder of the run"
        print(
            f"error: cannot write {place}: {error.strerror}; free the disk or choose another folder with hydra.run.dir=",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def explain(error: BaseException, conf: Path, words: list[str]) -> str:
    """One readable message for a fault of the command line `words`, without keys and passwords."""
    return without_secrets(_explained(error, conf, words))


def _explained(error: BaseException, conf: Path, words: list[str]) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    if isinstance(error, DistillerError):
        return f"error: {error}"
    text = " ".join(str(error).split())
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        group, _, field = key.partition(".")
        if group not in _groups_of_a_run(conf) and (conf / group).is_dir():  # its choices are parts of other parts
            inner = f"teacher.{key}=VALUE" if field else f"{group}@teacher.{group}=CHOICE"
            text = f"{key}: belongs to a teacher that is a language model, such as teacher=llama3-8b; write {inner}"
        else:
            text = f"{key}: there is no such key{_nearest_key(key, conf, words)}"
    elif found := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        text = f"{found[1]}={found[2]}: there is no such choice{nearest(found[2], _choices(conf / found[1]))}"
        plugin = found[2].partition("_")[0]
        if found[1] == "hydra/launcher" and plugin in PLUGINS.values():
            text = f"{found[1]}={found[2]}: {_needs(plugin)}"
    return f"invalid configuration\n  {text}"


def _needs(extra: str) -> str:
    return f"needs a plugin of Hydra: pip install 'distiller-er[{extra}]'"


def _groups_of_a_run(conf: Path) -> list[str]:
    """Groups that the main configuration chooses from: the parts of an experiment."""
    listed: Any = OmegaConf.to_container(OmegaConf.load(conf / "config.yaml"), resolve=False)
    return [key.partition("@")[0] for each in listed["defaults"] if isinstance(each, dict) for key in each]


def _choices(group: Path) -> list[str]:
    return [path.stem for path in group.glob("*.yaml")]


def _nearest_key(key: str, conf: Path, words: list[str]) -> str:
    """The known key nearest to one that the composed configuration does not have."""
    from hydra import compose, initialize_config_dir

    chosen = [word for word in words if "/" not in word and (conf / word.split("=")[0].lstrip("+~")).is_dir()]
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        config: Any = compose("config", chosen)
    parent, _, name = key.rpartition(".")
    while parent and not isinstance(OmegaConf.select(config, parent), DictConfig):
        parent, _, name = parent.rpartition(".")
    known = OmegaConf.select(config, parent) if parent else config
    return nearest(name, [str(k) for k in known if k != "_target_"])
