"""What the answer store holds, model by model, and how it is kept within its limit."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial

from blindspot.store.file import AnswerFile
from blindspot.store.holds import Holds

#: Rows and pages in one transaction: others wait for milliseconds, and the log stays small.
_ROWS = 1000
_PAGES = 1000
_AMOUNT = "count(*), coalesce(sum(length(key) + length(answer)), 0)"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The answers of one model: how many, how large (bytes), last used when (seconds since 1970).

    ``name``: by which it was asked for last; ``key``: with which the keys of its answers begin.
    """

    key: bytes
    name: str
    used: int
    answers: int
    size: int

    @property
    def id(self) -> str:
        """Tells checkpoints of one name apart."""
        return self.key.hex()[:8]


def stored_models(file: AnswerFile) -> list[StoredModel]:
    """All models, the least recently used first."""

    def select(connection: sqlite3.Connection) -> list[StoredModel]:
        rows = connection.execute(
            "SELECT key, name, used, answers, size FROM models ORDER BY used, key"
        )
        return [StoredModel(*row) for row in rows]

    return file.read(select)


def occupied(file: AnswerFile) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (file.read(partial(_pragma, name)) for name in _SIZES)
    return (pages - free) * size


def allocated(file: AnswerFile) -> int:
    """Bytes of the file."""
    pages, _, size = (file.read(partial(_pragma, name)) for name in _SIZES)
    return pages * size


_SIZES = ("page_count", "freelist_count", "page_size")


def _pragma(name: str, connection: sqlite3.Connection) -> int:
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found


def evict(file: AnswerFile, holds: Holds, limit: int) -> list[StoredModel]:
    """Remove the least recently used models until the rest fits; what is in use stays.

    Args:
        file: the database.
        holds: tell which models are in use.
        limit: bytes that may remain.

    Returns:
        What was removed.
    """
    if allocated(file) <= limit:
        return []
    removed = []
    for model in stored_models(file):
        if occupied(file) <= limit:
            break
        if remove(file, holds, model):
            removed.append(model)
    reclaim(file)
    return removed


def count(connection: sqlite3.Connection, model: bytes, answers: int, size: int) -> None:
    """Note that so many answers of so many bytes were added."""
    connection.execute(
        "UPDATE models SET answers = answers + ?, size = size + ? WHERE key = ?",
        (answers, size, model),
    )


def count_again(connection: sqlite3.Connection, model: bytes) -> None:
    """Note what there is of a model; reads all of it."""
    connection.execute(
        f"UPDATE models SET (answers, size) = "
        f"(SELECT {_AMOUNT} FROM answers WHERE key >= ? AND key <= ?) WHERE key = ?",
        (*_range(model), model),
    )


def _range(model: bytes) -> tuple[bytes, bytes]:
    """The first and the last key that an answer of a model can have."""
    return model, model + b"\xff" * 24


def remove(file: AnswerFile, holds: Holds, model: StoredModel) -> bool:
    """Remove the answers of a model; False if a process uses it, or begins to meanwhile."""

    def some(connection: sqlite3.Connection) -> int | None:
        if holds.taken(model.key):
            return None
        removed, size, last = connection.execute(
            f"SELECT {_AMOUNT}, max(key) FROM (SELECT key, answer FROM answers "
            "WHERE key >= ? AND key <= ? ORDER BY key LIMIT ?)",
            (*_range(model.key), _ROWS),
        ).fetchone()
        connection.execute("DELETE FROM answers WHERE key >= ? AND key <= ?", (model.key, last))
        count(connection, model.key, -removed, -size)
        if removed < _ROWS:
            connection.execute("DELETE FROM models WHERE key = ?", (model.key,))
        found: int = removed
        return found

    while (removed := file.write(some)) is not None:
        if removed < _ROWS:
            return True
    return False


def reclaim(file: AnswerFile) -> None:
    """Give the space of removed answers back to the file system."""

    def some(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()

    free = file.read(partial(_pragma, "freelist_count"))
    while free:
        file.read(some)
        before, free = free, file.read(partial(_pragma, "freelist_count"))
        if free >= before:  # another process frees as fast, or the file was made without this mode
            return
