"""A run or a sweep, as `python run.py` does it, from any folder with a configuration.

distiller run dataset=tables dataset.queries=a.csv dataset.candidates=b.csv
"""

import sys
from pathlib import Path
from typing import Any

from distiller.command import configuration
from distiller.config import DistillerError

CONF = "--conf"


def add(groups: Any) -> None:
    """Add `run` to the command line; what follows it belongs to Hydra."""
    groups.add_parser(
        "run", help="a run, or with -m a sweep: distiller run [--conf FOLDER] [key=value ...]", add_help=False
    )


def run(words: list[str]) -> None:
    """Run what the words say; the configuration is ./conf, or the folder after --conf, or that of the source tree."""
    import hydra

    from distiller.cli import experiment, readable

    named = None
    if words[:1] == [CONF] and len(words) > 1:
        named, words = Path(words[1]), words[2:]
    try:
        folder = configuration.folder(named)
    except DistillerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    sys.argv = ["distiller run", *words]
    main = hydra.main(version_base="1.3", config_path=str(folder.absolute()), config_name="config")(experiment)
    readable(main, folder)
