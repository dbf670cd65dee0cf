"""The SQLite file of the answer store: opened, checked, and set aside when it is damaged.

Any number of processes may share it, and a killed one leaves only whole transactions behind. A
process that finds the file damaged, or replaced by another process, goes on with the new one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from blindspot.errors import StoreError

FILE_NAME = "answers-2.sqlite3"
BROKEN_NAME = "answers-2.broken"
#: Seconds to wait for another process that writes; its transactions take milliseconds.
WAIT_S = 60.0
#: Pages kept in memory: a run looks up its answers all over the file, which SQLite's own 2 MiB make
#: it read again and again. The answers of a model take 6 MiB.
_CACHE_KIB = 32 * 1024
#: New files tried in a row: what damages each of them at once is not an accident of one file.
_PATIENCE = 3

_SCHEMA = (
    # A key begins with its model's: the answers of a model lie together, to be removed together.
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL, "
    "checksum INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS models (key BLOB PRIMARY KEY, name TEXT NOT NULL, "
    "used INTEGER NOT NULL, answers INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0) "
    "WITHOUT ROWID",
)
_SHAPE = (
    "SELECT key, answer, checksum FROM answers LIMIT 1",
    "SELECT key, name, used, answers, size FROM models LIMIT 1",
)
_TABLES = (
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('answers', 'models')"
)
_OTHER_SHAPE = ("no such column", "no such table", "already an", "Could not decode")

Told = Callable[[str], None]
Result = TypeVar("Result")
Action = Callable[[sqlite3.Connection], Result]


class DamagedContent(sqlite3.DatabaseError):
    """A row is not what was written; SQLite itself does not look at what rows hold."""


class AnswerFile:
    """The database at ``path``, or one in memory when it is None.

    Args:
        path: the file; it and its directory are made.
        told: called with one line when a damaged file was set aside.

    Raises:
        StoreError: the directory or the file cannot be created, read or written.
    """

    def __init__(self, path: Path | None, told: Told) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._told = told
        self._file: tuple[int, int] | None = None
        try:
            self._connection = self._opened()
        except (sqlite3.Error, OSError) as error:
            raise self.error(error) from None

    def read(self, action: Action[Result]) -> Result:
        """Do something that writes nothing; again on a new file if this one is damaged.

        Raises:
            StoreError: it cannot be done.
        """
        damages = 0
        try:
            while True:
                try:
                    if self._was_replaced():
                        self._reopen()
                    return action(self._connection)
                except sqlite3.DatabaseError as error:
                    damages += 1
                    if self.path is None or not _is_damage(error) or damages > _PATIENCE:
                        raise
                    self._reopen(damaged=True)
        except (sqlite3.Error, OSError) as error:
            raise self.error(error) from None

    def write(self, action: Action[Result]) -> Result:
        """As `read`, in a transaction that nobody else writes beside: all of it or nothing."""

        def committed(connection: sqlite3.Connection) -> Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = action(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # what went wrong before is what is told
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise
            return result

        return self.read(committed)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def error(self, error: Exception | str) -> StoreError:
        """What is wrong as one line with the remedy."""
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        if busy or isinstance(error, Timeout):
            error = f"another process has kept it locked for {WAIT_S:.0f} s; end that one"
        return StoreError(
            f"answer store {self.path or 'memory'}: {error}; name a writable directory with "
            "--store DIR, or --store none"
        )

    def _reopen(self, *, damaged: bool = False) -> None:
        self._connection.close()
        self._connection = self._opened(damaged=damaged)

    def _opened(self, *, damaged: bool = False) -> sqlite3.Connection:
        """A connection to a sound file; ``damaged``: the one that was open until now is not.

        One process at a time: only one may set a file aside, and none may open it meanwhile.
        """
        if self.path is None:
            return _connect(None)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock", timeout=WAIT_S):
            if damaged and not self._was_replaced():
                self._put_aside(self.path)
            try:
                connection = _connect(self.path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._put_aside(self.path)
                connection = _connect(self.path)
            self._file = _identity(self.path)
        return connection

    def _was_replaced(self) -> bool:
        return self.path is not None and _identity(self.path) != self._file

    def _put_aside(self, path: Path) -> None:
        """Keep a damaged file for inspection under another name; an earlier one gives way."""
        aside = path.with_name(BROKEN_NAME)
        for ending in ("", "-wal", "-shm"):
            old, new = Path(f"{path}{ending}"), Path(f"{aside}{ending}")
            new.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                old.replace(new)
        self.set_aside = aside
        self._told(f"the answer store was damaged; it is kept as {aside}")


def _connect(path: Path | None) -> sqlite3.Connection:
    """Open a file, make what it lacks, and see that it can be written and has our shape."""
    connection = sqlite3.connect(path or ":memory:", timeout=WAIT_S, isolation_level=None)
    try:
        if path is not None:
            # First of all: a file that has tables keeps the mode that it has.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA cache_size={-_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")  # read-only is told now, not after hours of asking
        for statement in (*_SCHEMA, *_SHAPE):
            connection.execute(statement).fetchone()
        if connection.execute(_TABLES).fetchone() != (2,):
            raise DamagedContent("other things have the names of our tables")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file, None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (called for every access)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is no usable database, as against locked, full or read-only."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return (
        isinstance(error, DamagedContent)
        or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or any(part in str(error) for part in _OTHER_SHAPE)
    )
