"""A saved student for others: as a file for servers without torch, or as a repository on the hub.

distiller export outputs/runs/.../student student.onnx
distiller push outputs/runs/.../student organisation/name
"""

import argparse
from pathlib import Path
from typing import Any


def add(groups: Any) -> None:
    """Add `export` and `push` to the command line."""
    export = groups.add_parser("export", help="write a saved encoder as one ONNX file")
    push = groups.add_parser("push", help="upload a saved student as a repository of the hub")
    for each in (export, push):
        each.add_argument("student", type=Path, help="folder of the student, or of the run that made it")
    export.add_argument("file", type=Path, help="where to write, such as student.onnx")
    export.set_defaults(action=_export)
    push.add_argument("repo", metavar="REPO", help="organisation/name")
    push.add_argument("--public", action="store_true", help="for everybody to see; default: for its owner alone")
    push.set_defaults(action=_push)


def _export(chosen: argparse.Namespace) -> None:
    from distiller import saved

    print(f"written to {saved.load(chosen.student).to_onnx(chosen.file)}")


def _push(chosen: argparse.Namespace) -> None:
    from distiller import saved

    print(f"uploaded to {saved.load(chosen.student).push_to_hub(chosen.repo, private=not chosen.public)}")
