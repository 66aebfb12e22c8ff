"""Every reply is kept under its whole request, for all jobs on one machine, so that no prompt is paid for twice."""

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distiller.config import DistillerError
from distiller.engine.base import Reply, Request, request_key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, revision TEXT, engine TEXT NOT NULL,
    request TEXT NOT NULL, reply TEXT NOT NULL, made REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_model ON replies (model);
"""


@dataclass(frozen=True)
class Asker:
    """Who is asked: the model, its revision, and the identity of the engine (`config.identity`) that runs it."""

    model: str
    revision: str | None
    engine: Any

    def key(self, request: Request) -> str:
        """The key of the reply to a request."""
        return request_key(self.model, self.revision, self.engine, request)


class ReplyCache:
    """A SQLite file of replies, and locks that say who is asking for which.

    A lock is one byte of a file beside the database, locked by the operating system: it is free again the moment its owner
    ends, however that happens, and needs no clock. It holds between the processes of one machine.
    Replies with an error are never kept.
    """

    def __init__(self, path: Path):
        self.path = path
        with self._readable():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.touch(
                    0o666, exist_ok=False
                )  # SQLite itself would keep other users from writing, whatever the umask
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")  # what was paid for survives a power cut
            self._connection.executescript(_SCHEMA)
        self._locks = _Locks.of(path.with_name(path.name + ".lock"))

    def close(self) -> None:
        """Give the connection back, and all claims that are still held."""
        self._locks.release_all(self)
        self._connection.close()

    def __enter__(self) -> "ReplyCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DistillerError(
                f"the reply cache {self.path} cannot be used ({error}); free the disk, mend its permissions, "
                "or choose another folder with store.root="
            ) from error

    def get(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        with self._readable():
            row = self._connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return Reply.from_json(json.loads(row[0])) if row else None

    def put(self, asker: Asker, request: Request, reply: Reply) -> None:
        """Keep a reply; one that is there already stays."""
        if reply.error is None:
            self._insert([(asker, request, reply, time.time())])

    def _insert(self, entries: Iterable[tuple[Asker, Request, Reply, float]]) -> int:
        rows = [
            (
                asker.key(request),
                asker.model,
                asker.revision,
                json.dumps(asker.engine, sort_keys=True),
                json.dumps(request.as_json(), ensure_ascii=False),
                json.dumps(reply.as_json(), ensure_ascii=False),
                made,
            )
            for asker, request, reply, made in entries
        ]
        with self._readable():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                before = self._connection.total_changes
                self._connection.executemany("INSERT OR IGNORE INTO replies VALUES (?,?,?,?,?,?,?)", rows)
                added = self._connection.total_changes - before
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        return added

    def claim(self, key: str) -> bool:
        """Whether this object may ask for the reply of a key; False while somebody else, in any process, is asking."""
        with self._readable():
            return self._locks.acquire(key, self)

    def release(self, key: str) -> None:
        """Let others ask for the reply of a key that was claimed."""
        self._locks.release(key, self)

    def of_model(self, model: str, most: int = 2000) -> list[tuple[Request, Reply]]:
        """The latest replies of a model with their requests, at most so many, to learn from what it costs."""
        with self._readable():
            rows = self._connection.execute(
                "SELECT request, reply FROM replies WHERE model = ? ORDER BY made DESC LIMIT ?", (model, most)
            ).fetchall()
        return [(Request.from_json(json.loads(a)), Reply.from_json(json.loads(b))) for a, b in rows]

    def knows(self, asker: Asker) -> bool:
        """Whether any reply of this model on this engine is kept."""
        engine = json.dumps(asker.engine, sort_keys=True)
        with self._readable():
            found = self._connection.execute(
                "SELECT 1 FROM replies WHERE model = ? AND revision IS ? AND engine = ? LIMIT 1",
                (asker.model, asker.revision, engine),
            ).fetchone()
        return found is not None

    def count(self) -> int:
        """Number of replies kept."""
        with self._readable():
            return int(self._connection.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    def lines(self) -> Iterator[str]:
        """Every reply with its request as one line of JSON, in the order of their keys."""
        with self._readable():
            rows = self._connection.execute(
                "SELECT model, revision, engine, request, reply, made FROM replies ORDER BY key"
            )
            for model, revision, engine, request, reply, made in rows:
                entry = {"model": model, "revision": revision, "engine": json.loads(engine)}
                entry |= {"request": json.loads(request), "reply": json.loads(reply), "made": made}
                yield json.dumps(entry, ensure_ascii=False)

    def add_lines(self, lines: Iterable[str], source: str) -> tuple[int, int]:
        """Take in lines that `lines` gave, all or none; (replies added, replies that were here already).

        Raises:
            DistillerError: a line is no such entry; it names `source` and the line, and nothing is added.
        """
        entries = [_entry(line, f"{source}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
        added = self._insert(entries)
        return added, len(entries) - added

    def add(self, asker: Asker, pairs: Iterable[tuple[Request, Reply]]) -> tuple[int, int]:
        """Take in replies that somebody else recorded; (replies added, replies that were here already)."""
        entries = [(asker, request, reply, time.time()) for request, reply in pairs]
        added = self._insert(entries)
        return added, len(entries) - added


def _entry(line: str, place: str) -> tuple[Asker, Request, Reply, float]:
    try:
        entry = json.loads(line)
        asker = Asker(entry["model"], entry["revision"], entry["engine"])
        request, reply = Request.from_json(entry["request"]), Reply.from_json(entry["reply"])
        if reply.text is None and reply.scores is None:
            raise ValueError("the reply has neither text nor scores")
        return asker, request, reply, float(entry["made"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise DistillerError(f"{place} is no entry of a reply cache ({said}); nothing was imported") from error


class _Locks:
    """Locks on single bytes of one file; all caches of a process share them, since closing the file would free them all."""

    _open: dict[tuple[Path, int], "_Locks"] = {}
    _guard = threading.Lock()

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._held: dict[str, object] = {}

    @classmethod
    def of(cls, path: Path) -> "_Locks":
        place = (path.resolve(), os.getpid())
        with cls._guard:
            if place not in cls._open:
                try:
                    cls._open[place] = cls(place[0])
                except OSError as error:
                    raise DistillerError(f"the reply cache's lock file {path} cannot be opened ({error})") from error
            return cls._open[place]

    @staticmethod
    def _byte(key: str) -> int:
        return int(key[:15], 16)

    def acquire(self, key: str, owner: object) -> bool:
        with self._guard:
            if key in self._held:
                return self._held[key] is owner
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte(key))
            except (BlockingIOError, PermissionError):  # which of the two depends on the system
                return False
            self._held[key] = owner
            return True

    def release(self, key: str, owner: object) -> None:
        with self._guard:
            if self._held.get(key) is owner:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._byte(key))
                del self._held[key]

    def release_all(self, owner: object) -> None:
        for key in [key for key, holder in self._held.items() if holder is owner]:
            self.release(key, owner)
