"""Where the configuration lies."""

from pathlib import Path

from distiller.config import DistillerError


def folder(named: Path | None) -> Path:
    """The folder named, else ./conf, else the one of the source tree that this package is installed from.

    Raises:
        DistillerError: it is no configuration folder.
    """
    own = Path(__file__).parents[3] / "conf"
    found = named or (
        own if not Path("conf/config.yaml").is_file() and (own / "config.yaml").is_file() else Path("conf")
    )
    if not (found / "config.yaml").is_file():
        raise DistillerError(
            f"{found.absolute()} is no configuration folder (it has no config.yaml); name one with --conf FOLDER"
        )
    return found
