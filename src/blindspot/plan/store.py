"""Answers by content: what was asked once of the same weights is never asked again.

One SQLite file, so that any number of processes may share it and a killed run leaves only whole
transactions behind. A key is the digest of everything that decides the answer.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from filelock import FileLock

from blindspot.errors import StoreError

FILE_NAME = "answers-1.sqlite3"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
)
_BATCH = 500  # SQLite allows at least 999 variables in one statement

Answer = list[Any]


def key_of(*parts: str | int | Sequence[str]) -> bytes:
    """Digest of what decides an answer: model fingerprint, kind, prompt, decoding."""
    return hashlib.sha256(
        json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()


class Store:
    """Answers on disk in ``directory``, or in memory when it is None.

    Raises:
        StoreError: the directory or the file cannot be created, read or written.
    """

    def __init__(self, directory: Path | None) -> None:
        self.path = directory / FILE_NAME if directory else None
        self.set_aside: Path | None = None
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._error(error) from None
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if self.path is None or not _is_broken(error):
                raise self._error(error) from None
            with FileLock(f"{self.path}.lock"):  # another process may have mended it meanwhile
                try:
                    self._connection = self._open()
                except sqlite3.DatabaseError:
                    self._put_aside()
                    try:
                        self._connection = self._open()
                    except sqlite3.Error as again:
                        raise self._error(again) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path or ":memory:", timeout=60)
        try:
            if self.path is not None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
            with connection:
                connection.execute(_SCHEMA)
            connection.execute("SELECT key FROM answers LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_aside(self) -> None:
        """Keep a broken file for inspection under another name; start anew."""
        assert self.path is not None
        aside = self.path.with_suffix(".broken")
        try:
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise self._error(error) from None
        self.set_aside = aside

    def _error(self, error: Exception) -> StoreError:
        where = self.path or "memory"
        return StoreError(
            f"answer store {where}: {error}; name a writable directory with --store DIR, or "
            "--store none"
        )

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """The answers that are known, by key."""
        wanted = list(keys)
        found: dict[bytes, Answer] = {}
        try:
            for start in range(0, len(wanted), _BATCH):
                some = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, answer FROM answers WHERE key IN ({marks})"
                with closing(self._connection.execute(query, some)) as rows:
                    found.update((bytes(key), json.loads(answer)) for key, answer in rows)
        except (sqlite3.Error, ValueError) as error:
            raise self._error(error) from None
        return found

    def put(self, answers: Mapping[bytes, Answer]) -> None:
        """Keep answers, all of them or none."""
        rows = [(key, json.dumps(answer)) for key, answer in answers.items()]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is no usable database, as against locked, full or read-only."""
    return getattr(error, "sqlite_errorcode", None) in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ) or "no such column" in str(error)
