"""The benchmark datasets: what there is, and where it lies.

distiller data
distiller data abt-buy dblp-acm
"""

import argparse
from pathlib import Path
from typing import Any

from distiller.command import configuration
from distiller.config import DistillerError, nearest


def add(groups: Any) -> None:
    """Add `data` to the command line."""
    data = groups.add_parser("data", help="list the benchmark datasets, or fetch and check some of them")
    data.add_argument("names", nargs="*", help="datasets to fetch, unless they lie at hand, and to check")
    data.add_argument(
        "--conf", type=Path, default=None, help="folder of the configuration; default: ./conf, else the source tree's"
    )
    data.set_defaults(action=_data)


def _data(chosen: argparse.Namespace) -> None:
    folder = configuration.folder(chosen.conf)
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from distiller.config import build

    choices = sorted(path.stem for path in (folder / "dataset").glob("*.yaml"))
    if not chosen.names:
        for name in choices:
            first = (folder / "dataset" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
            print(f"{name:26}{first.removeprefix('# ') if first.startswith('#') else ''}".rstrip())
        return
    for name in chosen.names:
        if name not in choices:
            raise DistillerError(f"there is no dataset {name!r}{nearest(name, choices)}")
        with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
            config = compose("config", [f"dataset={name}", "logger=none"])
        dataset = build(OmegaConf.create(OmegaConf.to_container(config.dataset, resolve=True)))  # type: ignore[arg-type]
        for part in dataset.parts().values():
            records = part.load()
            known = "unknown" if records.matches is None else f"{records.matches.num_rows:,}"
            place = f" in {records.folder}" if records.folder else ""
            print(
                f"{records.name}: {len(records.query_ids):,} queries, {len(records.candidate_ids):,} candidates, "
                f"{known} matches{place}"
            )
