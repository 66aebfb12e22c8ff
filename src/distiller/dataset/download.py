"""The benchmark datasets, downloaded from the authors' repository, checked, converted and kept."""

import csv
import hashlib
import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import platformdirs
import requests
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from distiller.config import DistillerError, nearest
from distiller.dataset.convert import SOURCES, VERSION, Paths, convert

COMMIT = "7e0b77d8198e77a39c28424000813dda0162b7fe"
URL = f"https://raw.githubusercontent.com/alexZeakis/DistillER/{COMMIT}"
ATTEMPTS = 3
PAUSE = 0.5  # seconds before the second attempt; doubles each time
TIMEOUT = (10, 60)  # seconds to connect; without a byte
CHUNK = 1 << 16

log = logging.getLogger(__name__)


def obtain(name: str, cache: Path | None = None, url: str | None = None) -> Path:
    """The folder of dataset `name` below `cache`; downloaded and converted when it is not there.

    The folder appears by one rename, so what is there is whole; of two processes one downloads and one waits.

    Args:
        cache: None for the user's cache folder.
        url: where the files of the authors' repository lie, None for the repository itself. They are the same
            files anywhere: each is checked against its git blob id.

    Raises:
        DistillerError: the dataset is not in that repository, or a file cannot be had, is another one or cannot be
            written; then nothing is left but an empty lock file.
    """
    if name not in SOURCES:
        raise DistillerError(
            f"{name} is not in the authors' repository{nearest(name, list(SOURCES))}; {_elsewhere(name)}"
        )
    kept = (cache or platformdirs.user_cache_path("distiller")).expanduser() / f"benchmarks-{VERSION}"
    folder = kept / name
    if folder.is_dir():
        return folder
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with _locked(kept / f".{name}.lock", name):
            if not folder.is_dir():
                _make(name, folder, (url or URL).rstrip("/"))
    except OSError as error:
        raise DistillerError(
            f"cannot keep {name} in {kept}: {error.strerror or error}; free the disk or choose another folder with "
            "data.cache="
        ) from error
    return folder


def _locked(path: Path, name: str) -> AbstractContextManager[object]:
    """The lock at `path`, taken; says so when it has to wait."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process is downloading %s; waiting for it", name)
        return lock.acquire()


def _make(name: str, folder: Path, url: str) -> None:
    """Download and convert into a sibling folder, then rename it; the caller holds the lock."""
    part = folder.parent / f".{name}.part"
    if part.exists():
        shutil.rmtree(part)  # whoever wrote this was killed
    try:
        (part / "raw").mkdir(parents=True)
        (part / "converted").mkdir()
        files = download(name, part / "raw", url)
        convert(name, files, part / "converted")
        (part / "converted").rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def download(name: str, folder: Path, url: str) -> dict[str, Path]:
    """Every file of dataset `name` by its path in the authors' repository, checked, as it now lies in `folder`."""
    blobs = blob_ids()
    paths = Paths(SOURCES[name]).all()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files")
    files: dict[str, Path] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress, requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        for path in progress.track(paths, description=f"downloading {name}"):
            files[path] = folder / quote(path, safe="")
            address = f"{url}/{quote(path)}"
            try:
                _fetch(session, address, files[path], blobs[path])
            except _FaultError as fault:
                raise DistillerError(f"cannot download {name}: {address} {fault}; {_elsewhere(name)}") from fault
    return files


def blob_ids() -> Mapping[str, str]:
    """Git blob id, [40 hexadecimal digits], of each file of the authors' repository that is ever downloaded."""
    with (resources.files("distiller.dataset") / "sources.csv").open(encoding="utf-8") as file:
        return {row["path"]: row["git_blob_sha1"] for row in csv.DictReader(file)}


def blob_id(path: Path) -> str:
    """The id git gives a file: SHA-1 over `blob <size>`, a zero byte and the contents, [40 hexadecimal digits]."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _FaultError(Exception):
    """Why a file could not be had; its text goes on after the address."""


def _fetch(session: requests.Session, address: str, file: Path, blob: str) -> None:
    """Download one file, several times if need be, until it has the id it should have."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            with session.get(address, stream=True, timeout=TIMEOUT) as response:
                if 400 <= response.status_code < 500 and response.status_code != requests.codes.too_many_requests:
                    raise _FaultError(f"answered {response.status_code} {response.reason}")
                if not response.ok:
                    fault = f"answered {response.status_code} {response.reason}"
                    continue
                with open(file, "wb") as out:
                    for chunk in response.iter_content(CHUNK):
                        out.write(chunk)
        except ValueError as error:  # how requests refuses an address
            raise _FaultError("is no http address that can be asked") from error
        except requests.Timeout:
            fault = "did not answer in time"
        except requests.exceptions.ChunkedEncodingError:
            fault = "broke off before its end"
        except requests.RequestException as error:
            fault = f"cannot be reached ({_cause(error)})"
        else:
            if (found := blob_id(file)) == blob:
                return
            fault = f"has checksum {found} instead of {blob}"
    raise _FaultError(fault)


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection."""
    inner = error
    while (next_one := inner.__cause__ or inner.__context__) is not None:
        inner = next_one
    return getattr(inner, "strerror", None) or str(inner)


def _elsewhere(name: str) -> str:
    return f"set DISTILLER_DATA= or data.root= to a folder that holds {name}"
