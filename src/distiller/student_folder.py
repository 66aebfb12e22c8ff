"""A student's folder: weights, a recipe in JSON that says how to apply them, and a model card.

Only files of data are in it or read from it: nothing is executed, and components are built from classes of this package alone.
"""

import importlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from distiller import features
from distiller.artifacts import Checkpoint
from distiller.blocker.base import Blocker
from distiller.blocker.tfidf import Tfidf
from distiller.config import Component, ConfigurationError, DistillerError, declares, rebuilt, written
from distiller.disambiguation.base import Disambiguation
from distiller.model_card import text
from distiller.store import MANIFEST, file_sum
from distiller.student.base import Student
from distiller.trainer import Trainer

FORMAT = 1
RECIPE, CARD = "distiller.json", "README.md"
#: The components of a recipe, each with what it must be.
PARTS: dict[str, type] = {
    "blocker": Blocker,
    "student": Student,
    "disambiguation": Disambiguation,
    "trainer": Trainer,
}
GROUPS = {*PARTS, "elicitation"}  # where classes of components, and of parts of them, may come from
DATA = {".json", ".txt", ".safetensors", ".model", ".jinja"}  # kinds of files that are read without running anything
ADAPTER = "adapter_config.json"


def write(folder: Path, parts: dict[str, Any], checkpoint: Checkpoint, about: dict[str, Any]) -> None:
    """Write the student that a checkpoint holds, and everything needed to apply it; an older student there is replaced.

    parts: the components of `PARTS`. about: what else is known, as plain JSON; `model_card.text` makes the card of it. Files
    of the checkpoint are linked where the file system can, so that a folder costs no space; they are never written to again.

    Raises:
        DistillerError: there is something else in the folder than a student.
    """
    if folder.exists() and not (folder / RECIPE).is_file():
        raise DistillerError(f"{folder} is there and holds no student; choose a folder that does not exist yet")
    names = sorted(_names(checkpoint.folder) - {MANIFEST, CARD})
    blocker = parts["blocker"]
    recipe = {
        "format": FORMAT,
        "features": features.VERSION if declares(parts["student"], "USES_FEATURES") else None,
        "student_version": parts["student"].VERSION,
        **{name: written(parts[name]) for name in PARTS},
        "files": {name: file_sum(checkpoint.folder / name) for name in names},
        "about": about,
    }
    if not blocker.ANY_TABLES:
        recipe["blocker"] = written(Tfidf(chunk=20_000))
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, older = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}part") for kind in ("", "old."))
    for leftover in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(leftover)  # of a process that was killed
    try:
        for name in names:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            _link(checkpoint.folder / name, part / name)
        (part / RECIPE).write_text(json.dumps(recipe, indent=1), encoding="utf-8")
        (part / CARD).write_text(text(recipe), encoding="utf-8")
        if folder.exists():
            folder.rename(older)  # whole or away, never half removed
        try:
            part.rename(folder)
        except OSError:
            if older.exists():
                older.rename(folder)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(older, ignore_errors=True)


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The components of `PARTS` by name, and what is known about the student, from its folder.

    Raises:
        DistillerError: there is no student in it, one of another version, one whose files are damaged, or one that names what
            is no component of this package.
    """
    place = folder / RECIPE
    recipe = _recipe(place)
    built = {name: _built(recipe[name], name, kind, place) for name, kind in PARTS.items()}
    student: Student = built["student"]
    used = features.VERSION if declares(student, "USES_FEATURES") else None
    for what, own, its in (
        ("features", used, recipe["features"]),
        ("student", student.VERSION, recipe["student_version"]),
    ):
        if own != its:
            raise DistillerError(
                f"{folder} was made with version {its} of its {what}, this is {own}: train it again, or use the version of "
                "distiller-er that it was made with"
            )
    _check_files(folder, recipe["files"])
    return built, recipe["about"]


def files(folder: Path) -> list[str]:
    """Names of the files that make up the student in a folder; what else lies there is none of it."""
    return [RECIPE, CARD, *_recipe(folder / RECIPE)["files"]]


def _recipe(place: Path) -> dict[str, Any]:
    try:
        recipe = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DistillerError(
            f"{place.parent} holds no student (it has no {RECIPE}); give the folder `student` of a run"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DistillerError(f"{place} cannot be read ({error}); make the student again or fetch it anew") from error
    if not isinstance(recipe, dict) or recipe.get("format") != FORMAT:
        raise DistillerError(
            f"{place} is of another format than {FORMAT}; use the version of distiller-er that it was made with"
        )
    needed = {"features", "student_version", "files", "about", *PARTS}
    lost = sorted(needed - recipe.keys()) + [
        name for name in (*PARTS, "files", "about") if not isinstance(recipe.get(name, {}), dict)
    ]
    if lost:
        raise DistillerError(f"{place} is damaged (see {lost[0]!r}); make the student again or fetch it anew")
    return recipe


def _check_files(folder: Path, sums: dict[str, Any]) -> None:
    """Make sure that the files of a student are data, whole and those it was saved with.

    Raises:
        DistillerError: one is missing, has other contents, or is of a kind that can run code when it is read.
    """
    for name, its in sums.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or path.suffix not in DATA:
            raise DistillerError(
                f"{folder / RECIPE} names {name}, which is no file of data in its folder; do not trust this folder"
            )
        if not (folder / path).is_file():
            raise DistillerError(f"{folder} lacks {name}; make the student again or fetch it anew")
        if file_sum(folder / path) != its:
            raise DistillerError(
                f"{folder / path} is not as it was when the student was saved; make it again or fetch it anew"
            )
    adapter = folder / ADAPTER
    if not adapter.is_file():
        return
    if "adapter_model.safetensors" not in sums:
        raise DistillerError(f"{folder} has an adapter without adapter_model.safetensors; do not trust this folder")
    settings = json.loads(adapter.read_text(encoding="utf-8"))
    if settings.get("megatron_config") or settings.get("auto_mapping"):
        raise DistillerError(f"{adapter} names code of others to load; do not trust this folder")


def _built(plain: Any, name: str, kind: type, place: Path) -> Any:
    """One component of the recipe, of this package and of the right kind."""
    foreign = [target for target in _targets(plain) if not _is_ours(target)]
    if foreign:
        raise DistillerError(
            f"{place}: {name} names {foreign[0]}, which is no component of distiller; do not trust this folder"
        )
    try:
        made = rebuilt(plain)
    except ConfigurationError as error:
        raise DistillerError(f"{place}: {name} cannot be built: {'; '.join(error.faults)}") from error
    if not isinstance(made, kind):
        raise DistillerError(f"{place}: {name} is no {kind.__name__.lower()}, but {type(made).__name__}")
    return made


def _targets(plain: Any) -> Iterator[Any]:
    if isinstance(plain, dict):
        yield from ([plain["_target_"]] if "_target_" in plain else [])
        for value in plain.values():
            yield from _targets(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from _targets(value)


def _is_ours(target: Any) -> bool:
    """Whether a name is that of a component which a student may be made of; no module of others is imported to find out."""
    module, _, name = str(target).rpartition(".")
    words = module.split(".")
    if words[0] != "distiller" or len(words) < 2 or words[1] not in GROUPS:
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return (
        isinstance(found, type) and issubclass(found, Component) and found.__module__ == module and is_dataclass(found)
    )
