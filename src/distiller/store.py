"""A content-addressed store: what a stage once made is found again by what it was made from."""

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from distiller.artifacts import Artifact, Checkpoint
from distiller.config import Component, DistillerError, component, identity

log = logging.getLogger(__name__)
A = TypeVar("A", bound=Artifact)
MANIFEST = "manifest.json"
#: Faults of a disk that writing reports without the name of a file.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@component
class Store(Component):
    """Artifacts in folders `root/<Kind>/<key>/`, each with its data files and a manifest.

    key = SHA-256 over canonical JSON of kind, schema version, identities of the components, keys of the inputs.
    A folder appears by one rename, its manifest written last, so what is there is whole; a lock per key makes the
    second of two jobs wait and reuse. A folder whose files do not fit its manifest is made again, and so is an artifact
    whose facts call it `incomplete` (a teacher that could not be asked everything); its key names its contents as well.
    """

    root: Path = Path("outputs/store")
    _running: list[float] = field(default_factory=list, init=False, repr=False, compare=False)

    def produce(self, kind: type[A], components: Sequence[Any], inputs: Sequence[str], make: Callable[[], A]) -> A:
        """The artifact made from these components and inputs: read if it is here, else made and kept."""
        key = self.key(kind.__name__, kind.VERSION, components, inputs)

        def write(folder: Path) -> dict[str, Any]:
            made = make()
            made.write(folder)
            return made.facts

        return self._entry(kind.__name__, key, components, inputs, write, kind.read)

    def train(
        self, components: Sequence[Any], inputs: Sequence[str], make: Callable[[Path], dict[str, Any]]
    ) -> Checkpoint:
        """The checkpoint made from these: `make` fills the folder it is given and returns facts for the manifest."""
        key = self.key("Checkpoint", 1, components, inputs)
        return self._entry("Checkpoint", key, components, inputs, make, Checkpoint)

    @staticmethod
    def key(kind: str, version: int, components: Sequence[Any], inputs: Sequence[str]) -> str:
        """SHA-256 of what decides an artifact, [64 hexadecimal digits]."""
        whole = {
            "kind": kind,
            "schema": version,
            "components": [identity(c) for c in components],
            "inputs": list(inputs),
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def _entry(
        self,
        kind: str,
        key: str,
        components: Sequence[Any],
        inputs: Sequence[str],
        write: Callable[[Path], dict[str, Any]],
        read: Callable[[Path], Any],
    ) -> Any:
        folder = self.root / kind / key
        with self._writable(folder, opening=True):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.parent / f"{key}.lock")
            lock.acquire()
        try:
            manifest = _whole(folder)
            reused = manifest is not None and not manifest["facts"].get("incomplete")
            if not reused:
                described = {"components": [identity(c) for c in components], "inputs": list(inputs)}
                with self._writable(folder):
                    manifest = self._write(folder, {"kind": kind, "key": key, **described}, write)
            assert manifest is not None
            artifact = read(folder)
        finally:
            lock.release()
        if manifest["facts"].get("incomplete"):  # what is made of it must not be taken for what is made of the whole
            key = hashlib.sha256(json.dumps([key, manifest["files"]], sort_keys=True).encode()).hexdigest()
        artifact.key, artifact.seconds, artifact.reused = key, manifest["seconds"], reused
        artifact.facts = manifest["facts"]
        return artifact

    @contextmanager
    def _writable(self, folder: Path, opening: bool = False) -> Iterator[None]:
        """Tell a fault of the store's disk in one sentence; a fault of any other file passes through.

        opening: nothing else than the store is touched inside, so that every fault is the store's.
        """
        try:
            yield
        except OSError as error:
            named = None if error.filename is None else Path(str(error.filename)).absolute()
            ours = error.errno in NO_ROOM if named is None else named.is_relative_to(self.root.absolute())
            if not (ours or opening):
                raise
            raise DistillerError(
                f"store.root={self.root}: cannot write {named or folder}: {error.strerror or error}; "
                "free the disk or choose another folder with store.root="
            ) from error

    def _write(self, folder: Path, manifest: dict[str, Any], write: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        for leftover in folder.parent.glob(f".{folder.name}.*.part"):
            shutil.rmtree(leftover)  # the lock is ours, so whoever wrote this was killed
        shutil.rmtree(folder, ignore_errors=True)
        part = folder.parent / f".{folder.name}.{os.getpid()}.part"
        part.mkdir()
        try:
            self._running.append(0.0)
            start = time.perf_counter()
            try:
                facts = write(part)
            finally:
                elapsed, nested = time.perf_counter() - start, self._running.pop()
                if self._running:
                    self._running[-1] += elapsed
            manifest |= {"seconds": elapsed - nested, "facts": facts, "files": _sums(part)}
            manifest |= {"sum": _sum(manifest)}
            with open(part / MANIFEST, "w", encoding="utf-8") as file:
                json.dump(manifest, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return manifest


def _sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {p.relative_to(folder).as_posix(): file_sum(p) for p in files}


def _sum(manifest: dict[str, Any]) -> str:
    """SHA-256 of what a manifest says beside its sum, as it reads when it is written and read again."""
    told = json.loads(json.dumps({name: value for name, value in manifest.items() if name != "sum"}))
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def file_sum(path: Path) -> str:
    """SHA-256 of a file's contents, [64 hexadecimal digits]."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder whose files are as it says, or None."""
    if not folder.is_dir():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        damaged = manifest["files"] != _sums(folder) or manifest.get("sum", _sum(manifest)) != _sum(manifest)
        damaged |= not (isinstance(manifest["seconds"], float) and isinstance(manifest["facts"], dict))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        damaged = True
    if damaged:
        log.warning("%s is damaged and is made again", folder)
        return None
    return manifest
