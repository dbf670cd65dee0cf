"""Which models are being answered for by a living process: their answers must stay.

A hold is a locked file. The system lets go of the lock however the process ends, so a killed run
holds nothing, and nobody has to guess from process numbers or times.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

DIRECTORY = "in-use"


class Holds:
    """The holds of one store on its models.

    `take` and `taken` must be called inside a transaction that writes the store's database: else
    one process could find a file that another has made and not yet locked.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / DIRECTORY
        self._own: dict[bytes, FileLock] = {}

    def take(self, model: bytes) -> None:
        """Hold a model until `release`.

        Raises:
            OSError: no file can be made.
        """
        if model in self._own:
            return
        self._directory.mkdir(exist_ok=True)
        self._sweep(model)
        name = f"{model.hex()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.lock"
        lock = FileLock(self._directory / name)
        lock.acquire(timeout=0)  # the name is new: nobody else waits for it
        self._own[model] = lock

    def taken(self, model: bytes) -> bool:
        """Whether any living process holds a model, this one included."""
        return model in self._own or self._sweep(model)

    def _sweep(self, model: bytes) -> bool:
        """Remove the holds of processes that were killed; whether another one is left."""
        left = False
        for path in self._directory.glob(f"{model.hex()}-*.lock"):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                left = True
            else:
                _drop(lock)
        return left

    def release(self) -> None:
        """Let go of all models of this store."""
        while self._own:
            _drop(self._own.popitem()[1])


def _drop(lock: FileLock) -> None:
    lock.release()
    with suppress(OSError):  # names are never used again: a file that stays does no harm
        Path(lock.lock_file).unlink(missing_ok=True)
