"""The console command `distiller`, thin over the Python interface: `distiller --help`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from distiller.command import applying, cache, data, giving, running, telling


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit code 1, as for every other fault of the user's input."""
        self.exit(1, f"{self.format_usage()}error: {message}\n")


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says; faults of the user's input are one sentence and exit code 1."""
    words = sys.argv[1:] if words is None else list(words)
    if words[:1] == ["run"]:  # its words are Hydra's, help included
        running.run(words[1:])
        return
    parser = _Parser(
        prog="distiller", description="Entity resolution by distilling a language model into a small student."
    )
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        running.add,
        applying.add,
        telling.add_report,
        telling.add_leaderboard,
        giving.add,
        data.add,
        cache.add,
    ):
        add(groups)
    chosen = parser.parse_args(words)
    from distiller.cli import explain
    from distiller.config import DistillerError

    try:
        chosen.action(chosen)
    except OSError as error:
        parser.exit(1, f"error: {error}\n")
    except DistillerError as error:
        parser.exit(1, f"{explain(error, Path(), [])}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")
