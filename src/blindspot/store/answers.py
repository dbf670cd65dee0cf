"""The answers of one model: an SQLite file that any number of processes read and write at once.

A killed process leaves only complete transactions. A damaged file is set aside and a damaged row is
removed; their answers are asked again. An open file counts as in use: in WAL mode SQLite locks it
while a connection is open, and the system releases the lock however the process ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from blindspot.errors import StoreError

SUFFIX = ".sqlite3"
#: A damaged file, kept for inspection; the next one replaces it.
BROKEN = ".broken"
#: Locked while a file of the directory is opened, set aside or removed.
LOCK = "lock"
#: Seconds to wait for another process; its transactions take milliseconds.
WAIT_S = 60.0

#: ``PRAGMA user_version`` of our files.
_VERSION = 3
_SCHEMA = (
    "CREATE TABLE answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL, checksum INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE model (name TEXT NOT NULL)",
    "INSERT INTO model VALUES ('')",
    f"PRAGMA user_version={_VERSION}",
)
_ENDINGS = ("", "-wal", "-shm")
_BATCH = 500  # SQLite allows at least 999 variables in one statement
#: Damaged files set aside in a row before giving up.
_PATIENCE = 3

StoredAnswer = list[Any]
Part = str | int | Sequence[str]
Told = Callable[[str], None]
Result = TypeVar("Result")
Action = Callable[[sqlite3.Connection], Result]


def key_of(*parts: Part) -> bytes:
    """Digest of what decides an answer, except the model: kind, prompt, decoding. 32 bytes."""
    text = f"[{', '.join(map(_json, parts))}]"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _json(part: Part) -> str:
    """A part as JSON, without the cost of a new encoder for each key of a run."""
    if isinstance(part, str):
        return encode_basestring(part)
    return str(part) if isinstance(part, int) else _json_list(tuple(part))


@lru_cache(maxsize=1 << 15)
def _json_list(texts: tuple[str, ...]) -> str:
    """A list as JSON: the four orders of a prompt share two lists of candidates."""
    return f"[{', '.join(map(encode_basestring, texts))}]"


class Answers:
    """The answers in the file ``path``, or in memory when it is None.

    Args:
        path: the file; it and its directory are created.
        name: the current name of the model; None to keep the stored name and time of use.
        told: called with one line about any damage.

    Raises:
        StoreError: the file cannot be created, read or written.
    """

    def __init__(self, path: Path | None, name: str | None, told: Told) -> None:
        self.path = path
        self.wrote = False
        self._name = None if name is None else name.encode("utf-8", "backslashreplace").decode()
        self._told = told
        self._inode: tuple[int, int] | None = None
        try:
            self._connection = self._opened()
        except (sqlite3.Error, OSError) as error:
            raise _fault(path, error) from None

    @property
    def name(self) -> str:
        """The name under which the model was last used."""
        query = "SELECT name FROM model"
        return str((self._do(lambda file: file.execute(query).fetchone()) or ("",))[0])

    def __len__(self) -> int:
        query = "SELECT count(*) FROM answers"
        return int(self._do(lambda file: file.execute(query).fetchone())[0])

    def get(self, keys: Iterable[bytes]) -> dict[bytes, StoredAnswer]:
        """The stored answers, by key."""
        found: dict[bytes, StoredAnswer] = {}
        damaged = []
        for key, content, checksum in self._select("key, answer, checksum", keys):
            try:
                if not isinstance(content, bytes) or checksum != _checksum(key, content):
                    raise ValueError
                found[key] = json.loads(content)
            except (ValueError, RecursionError):
                damaged.append(key)
        self.drop(damaged)
        return found

    def put(self, answers: Mapping[bytes, StoredAnswer]) -> dict[bytes, StoredAnswer]:
        """Store answers, all or none; existing ones stay unchanged.

        Returns:
            The answers as `get` gives them: a run that asks and one that reads agree.
        """
        contents = {key: json.dumps(answer).encode() for key, answer in sorted(answers.items())}
        rows = [(key, content, _checksum(key, content)) for key, content in contents.items()]
        self._write("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)
        self.wrote = True
        return {key: json.loads(content) for key, content in contents.items()}

    def known(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of the keys that have an answer, sound or damaged."""
        return {key for (key,) in self._select("key", keys)}

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove answers."""
        if rows := [(key,) for key in keys]:
            self._write("DELETE FROM answers WHERE key = ?", rows)

    def drop(self, keys: Collection[bytes]) -> None:
        """Remove answers that do not match their checksum, and say so."""
        self.remove(keys)
        if keys:
            damaged = "1 damaged answer" if len(keys) == 1 else f"{len(keys)} damaged answers"
            self._told(f"the answer store: {damaged} in {self.path}; asked again")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _select(self, columns: str, keys: Iterable[bytes]) -> list[tuple[Any, ...]]:
        """Columns of the rows with these keys."""
        wanted = list(keys)

        def select(file: sqlite3.Connection) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = []
            for start in range(0, len(wanted), _BATCH):
                some = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                rows += file.execute(f"SELECT {columns} FROM answers WHERE key IN ({marks})", some)
            return rows

        return self._do(select)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        def transaction(file: sqlite3.Connection) -> None:
            file.execute("BEGIN IMMEDIATE")
            try:
                file.executemany(statement, rows)
                file.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to report
                    if file.in_transaction:
                        file.execute("ROLLBACK")
                raise

        self._do(transaction)

    def _do(self, action: Action[Result]) -> Result:
        """Use the file; retry with a new one if it was damaged or replaced."""
        damages = 0
        try:
            while True:
                try:
                    if self.path is not None and _inode(self.path) != self._inode:
                        self._reopen(damaged=False)
                    return action(self._connection)
                except sqlite3.DatabaseError as error:
                    damages += 1
                    if self.path is None or not _is_damage(error) or damages > _PATIENCE:
                        raise
                    self._reopen(damaged=True)
        except (sqlite3.Error, OSError) as error:
            raise _fault(self.path, error) from None

    def _reopen(self, *, damaged: bool) -> None:
        self._connection.close()
        self._connection = self._opened(damaged=damaged)

    def _opened(self, *, damaged: bool = False) -> sqlite3.Connection:
        """A connection to an intact file; ``damaged``: the current one is not."""
        if self.path is None:
            return _connect(None, self._name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(LOCK), timeout=WAIT_S):
            if damaged and _inode(self.path) == self._inode:  # no other process has replaced it
                self._set_aside(self.path)
            try:
                connection = _connect(self.path, self._name)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._set_aside(self.path)
                connection = _connect(self.path, self._name)
            self._inode = _inode(self.path)
        return connection

    def _set_aside(self, path: Path) -> None:
        for earlier in path.parent.glob(f"*{BROKEN}*"):
            earlier.unlink(missing_ok=True)
        aside = path.with_suffix(BROKEN)
        for ending in _ENDINGS:
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").replace(f"{aside}{ending}")
        self._told(f"the answer store was damaged; the file was moved to {aside}")


def remove_unused(path: Path) -> bool:
    """Remove a file of answers; False if a process has it open.

    Raises:
        StoreError: it cannot be removed.
    """
    try:
        with FileLock(path.with_name(LOCK), timeout=WAIT_S):
            try:
                with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
                    file.execute("PRAGMA journal_mode=DELETE")  # refused while it is open elsewhere
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    return False
            for ending in _ENDINGS:
                Path(f"{path}{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise _fault(path, error) from None
    return True


def _connect(path: Path | None, name: str | None) -> sqlite3.Connection:
    """Open or create a file, and check that it is writable and one of ours."""
    file = sqlite3.connect(path or ":memory:", timeout=WAIT_S, isolation_level=None)
    file.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        if path is not None:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=NORMAL")
        file.execute("BEGIN IMMEDIATE")
        if not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _SCHEMA:
                file.execute(statement)
        if file.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            raise sqlite3.DatabaseError(_OTHER)
        if name is not None:  # a read-only file fails here, not after hours of work
            file.execute("UPDATE model SET name = ?", (name,))
        file.execute("COMMIT")
        if path is not None and name is not None:
            os.utime(path)
    except BaseException:
        file.close()
        raise
    return file


_OTHER = "not an answer store"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is unusable, not just locked, full or read-only."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return code in damage or _OTHER in str(error) or "no such table" in str(error)


def _fault(path: Path | None, error: Exception) -> StoreError:
    """The error, as one line with the remedy."""
    busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    what: object = getattr(error, "strerror", None) or error
    if busy or isinstance(error, Timeout):
        what = f"another process has locked it for {WAIT_S:.0f} s; stop that process"
    return StoreError(
        f"answer store {path or 'memory'}: {what}; name a writable directory with --store DIR, or "
        "--store none"
    )


def _inode(path: Path) -> tuple[int, int] | None:
    """Device and number of a file, None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (called for every access)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _checksum(key: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key))
