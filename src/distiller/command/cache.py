"""Replies of language models, to share or to take in.

distiller cache export replies.jsonl.gz
distiller cache import replies.jsonl.gz
distiller cache import abt-buy/annotations/qwen2.5-32b.jsonl.gz dataset=abt-buy teacher=qwen2.5-32b
"""

import argparse
import gzip
from pathlib import Path
from typing import Any

from distiller import cli, recordings
from distiller.command import configuration
from distiller.config import ConfigurationError, DistillerError
from distiller.engine.reply_cache import ReplyCache


def add(groups: Any) -> None:
    """Add `cache` and its actions to the command line."""
    cache = groups.add_parser("cache", help="replies of language models, to share or to take in")
    actions = cache.add_subparsers(required=True, metavar="ACTION")
    out = actions.add_parser("export", help="write every reply with its request as one line of JSON")
    out.add_argument("file", type=Path, help="where to write; gzipped if it ends in .gz, - for the screen")
    out.set_defaults(action=_export)
    take = actions.add_parser(
        "import",
        help="take in exported replies, or recorded answers of a model",
        description="Takes in files that `export` wrote. Files of recorded answers (annotations) need the words of a run "
        "that would ask for them, such as dataset=abt-buy teacher=qwen2.5-32b, and are kept as replies to its prompts.",
    )
    take.add_argument("files", nargs="+", help="files to take in, and key=value words of a run")
    take.add_argument(
        "--conf", type=Path, default=None, help="folder of the configuration; default: ./conf, else the source tree's"
    )
    take.set_defaults(action=_import)
    for each in (out, take):
        each.add_argument("--store", type=Path, default=Path("outputs/store"), help="store.root of the runs")


def _path(store: Path) -> Path:
    from distiller.teacher.llm import CACHE

    return store / CACHE


def _export(chosen: argparse.Namespace) -> None:
    path = _path(chosen.store)
    if not path.is_file():
        raise DistillerError(f"{path} does not exist, so there are no replies to export; name the store with --store")
    with ReplyCache(path) as cache:
        if str(chosen.file) == "-":
            for line in cache.lines():
                print(line)
            return
        part = chosen.file.with_name(f".{chosen.file.name}.part")
        opened = gzip.open if chosen.file.suffix == ".gz" else open
        try:
            with opened(part, "wt", encoding="utf-8") as file:
                count = 0
                for line in cache.lines():
                    file.write(line + "\n")
                    count += 1
            part.rename(chosen.file)
        finally:
            part.unlink(missing_ok=True)
    print(f"{count:,} replies written to {chosen.file}")


def _import(chosen: argparse.Namespace) -> None:
    overrides = [word for word in chosen.files if "=" in word and not Path(word).exists()]
    files = [Path(word) for word in chosen.files if word not in overrides]
    if not files:
        raise DistillerError("cache import needs at least one file")
    with ReplyCache(_path(chosen.store)) as cache:
        for file in files:
            try:
                with recordings.open_text(file) as lines:
                    content = lines.read().splitlines()
            except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
                raise DistillerError(f"{file} cannot be read ({error}); fetch it again") from error
            if content and recordings.is_annotation(content[0]):
                added, known = _import_annotations(cache, file, content, overrides, chosen)
            else:
                added, known = cache.add_lines(content, str(file))
            print(f"{file}: {added:,} replies added, {known:,} known already")


def _import_annotations(
    cache: ReplyCache, file: Path, content: list[str], overrides: list[str], chosen: argparse.Namespace
) -> tuple[int, int]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from distiller.budget import Ledger
    from distiller.config import build
    from distiller.experiment import Experiment
    from distiller.pipeline import task_of
    from distiller.teacher.llm import LLM

    conf = configuration.folder(chosen.conf)
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            config = compose("config", [*overrides, f"store.root={chosen.store}", "logger=none"])
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigurationError([cli.explain(error, conf, overrides).partition("\n  ")[2]]) from error
    experiment: Experiment = build(config)
    teacher, datasets = experiment.teacher, experiment.dataset.parts()
    if not isinstance(teacher, LLM) or len(datasets) != 1:
        raise DistillerError(
            f"{file} holds recorded answers: say of which dataset and teacher they are, for example "
            "dataset=abt-buy teacher=qwen2.5-32b"
        )
    (dataset,) = datasets.values()
    task = task_of(experiment, dataset.load(), Ledger.without_limit())
    recorded = recordings.annotations(file, content)
    queries = recordings.asked(recorded, task.candidates.query_ids)
    return cache.add(teacher.asker, recordings.replies(recorded, teacher.requests(task, queries)))
