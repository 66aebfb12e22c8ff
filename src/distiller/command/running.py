"""A run or a sweep, as `python run.py` does it, from any folder with a configuration.

distiller run dataset=tables dataset.queries=a.csv dataset.candidates=b.csv
"""

import sys
from pathlib import Path
from typing import Any

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

    folder = Path("conf")
    if words[:1] == [CONF] and len(words) > 1:
        folder, words = Path(words[1]), words[2:]
    elif not (folder / "config.yaml").is_file():
        folder = Path(__file__).parents[3] / "conf"
    if not (folder / "config.yaml").is_file():
        print(
            f"error: {folder.absolute()} is no configuration folder (it has no config.yaml); name one with {CONF} FOLDER",
            file=sys.stderr,
        )
        sys.exit(1)
    sys.argv = ["distiller run", *words]
    main = hydra.main(version_base="1.3", config_path=str(folder.absolute()), config_name="config")(experiment)
    readable(main, folder)
