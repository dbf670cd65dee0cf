"""Answers by content: a key is the digest of everything that decides the answer."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from blindspot.errors import StoreError
from blindspot.store.contents import (
    StoredModel,
    allocated,
    count,
    count_again,
    evict,
    reclaim,
    remove,
    stored_models,
)
from blindspot.store.file import FILE_NAME, AnswerFile, DamagedContent, Told
from blindspot.store.holds import Holds
from blindspot.store.limit import VARIABLE, size_text, store_limit

_BATCH = 500  # SQLite allows at least 999 variables in one statement
#: Bytes at the beginning of a key that are its model's; 2^32 models would have to meet in a store.
MODEL_BYTES = 8
_KEY_BYTES = 32

Answer = list[Any]
Row = tuple[bytes, bytes, int]
Part = str | int | Sequence[str]


@lru_cache(maxsize=16)
def model_key(fingerprint: str | int) -> bytes:
    """What the keys of all answers of a model begin with."""
    return _digest([fingerprint])[:MODEL_BYTES]


def key_of(fingerprint: str | int, *parts: Part) -> bytes:
    """Digest of what decides an answer: model fingerprint, kind, prompt, decoding. 32 bytes."""
    rest = _digest([fingerprint, *parts])[: _KEY_BYTES - MODEL_BYTES]
    return model_key(fingerprint) + rest


def _digest(parts: Iterable[Part]) -> bytes:
    text = f"[{', '.join(map(_written, parts))}]"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _written(part: Part) -> str:
    """A part as JSON, whose own encoder is made anew for each of a run's keys."""
    if isinstance(part, str):
        return encode_basestring(part)
    return str(part) if isinstance(part, int) else _list_written(tuple(part))


@lru_cache(maxsize=1 << 15)
def _list_written(texts: tuple[str, ...]) -> str:
    """A list as JSON: the four orders of a prompt have two lists of candidates between them."""
    return f"[{', '.join(map(encode_basestring, texts))}]"


def _silent(_: str) -> None:
    pass


class Store:
    """Answers on disk in ``directory``, or in memory when it is None.

    Args:
        directory: made if it is missing.
        told: called with one line for what a user should know: a damaged file that was set aside,
            models whose answers were removed to keep the limit.

    Raises:
        StoreError: the directory or the file cannot be created, read or written, or the limit of
            the environment is no size.
    """

    def __init__(self, directory: Path | None, *, told: Told = _silent) -> None:
        self.path = directory / FILE_NAME if directory else None
        self._told = told
        self._limit = store_limit() if directory else None
        self._holds = Holds(directory) if directory else None
        self._file = AnswerFile(self.path, told)
        self._names: dict[bytes, str] = {}
        self._wrote = False

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file is kept that this store met."""
        return self._file.set_aside

    def use(self, fingerprint: str, name: str) -> None:
        """Note that a model is used now; until `close` nobody removes its answers."""
        key = model_key(fingerprint)
        if key in self._names:
            return
        named = name.encode("utf-8", "backslashreplace").decode()

        def note(connection: sqlite3.Connection) -> None:
            if self._holds is not None:
                self._holds.take(key)
            connection.execute(
                "UPDATE models SET name = ?, used = ? WHERE key = ?", (named, _now(), key)
            )

        self._file.write(note)
        self._names[key] = named

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """The answers that are known, by key."""
        wanted = list(keys)

        def select(connection: sqlite3.Connection) -> dict[bytes, Answer]:
            found: dict[bytes, Answer] = {}
            for start in range(0, len(wanted), _BATCH):
                some = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, answer, checksum FROM answers WHERE key IN ({marks})"
                rows = connection.execute(query, some).fetchall()
                found |= zip((key for key, *_ in rows), _unpacked(rows), strict=True)
            return found

        return self._file.read(select)

    def put(self, answers: Mapping[bytes, Answer]) -> dict[bytes, Answer]:
        """Keep answers, all of them or none; what is known already stays as it is.

        Returns:
            The answers as `get` gives them, so that a run that asks and one that reads agree.
        """
        rows: dict[bytes, list[Row]] = {}
        for key, answer in sorted(answers.items()):  # neighbours lie on the same pages
            content = json.dumps(answer).encode("ascii")
            rows.setdefault(key[:MODEL_BYTES], []).append((key, content, _checksum(key, content)))

        def insert(connection: sqlite3.Connection) -> None:
            for model, some in rows.items():
                self._insert(connection, model, some)

        self._file.write(insert)
        self._wrote = True
        return {key: json.loads(content) for some in rows.values() for key, content, _ in some}

    def _insert(self, connection: sqlite3.Connection, model: bytes, rows: list[Row]) -> None:
        if self._holds is not None:
            self._holds.take(model)
        connection.execute(
            "INSERT OR IGNORE INTO models (key, name, used) VALUES (?, ?, ?)",
            (model, self._names.get(model, ""), _now()),
        )
        inserted = connection.executemany(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows
        ).rowcount
        if inserted == len(rows):
            size = sum(len(key) + len(content) for key, content, _ in rows)
            count(connection, model, inserted, size)
        else:  # another run has put some of them meanwhile
            count_again(connection, model)

    def models(self) -> list[StoredModel]:
        """All models that have answers, the least recently used first."""
        return stored_models(self._file)

    def size(self) -> int:
        """Bytes of the file."""
        return allocated(self._file)

    def remove(self, models: Iterable[StoredModel]) -> list[StoredModel]:
        """Remove the answers of models; those that were, because no process uses them."""
        assert self._holds is not None
        removed = [model for model in models if remove(self._file, self._holds, model)]
        reclaim(self._file)
        return removed

    def close(self) -> None:
        """Keep the limit if anything was written, and let go of the file."""
        try:
            if self._wrote and self._holds is not None and self._limit is not None:
                self._trim(self._holds, self._limit)
        finally:
            self._file.close()
            if self._holds is not None:
                self._holds.release()

    def _trim(self, holds: Holds, limit: int) -> None:
        try:
            removed = evict(self._file, holds, limit)
        except StoreError as error:  # a run is none the worse for it: the next one will trim
            self._told(str(error))
            return
        if removed:
            names = ", ".join(dict.fromkeys(model.name for model in removed))
            self._told(
                f"the answer store reached its limit of {size_text(limit)} ({VARIABLE}); no longer "
                f"kept are the answers of {names}"
            )


def _checksum(key: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key))


def _unpacked(rows: Sequence[tuple[object, object, object]]) -> list[Answer]:
    """The answers in some rows, read as one text: to begin anew with each takes twice as long.

    Raises:
        DamagedContent: a row is not what was written.
    """
    contents: list[bytes] = []
    for key, content, checksum in rows:
        if (
            not isinstance(key, bytes)
            or not isinstance(content, bytes)
            or checksum != _checksum(key, content)
        ):
            raise DamagedContent("an answer is not what was written")
        contents.append(content)
    answers: list[Answer] = json.loads(b"[%b]" % b",".join(contents))
    return answers


def _now() -> int:
    return int(time.time())
