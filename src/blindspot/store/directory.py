"""The answer store: a directory with one file for every model.

The fingerprint alone decides the file. Evicting or clearing a model removes its file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from blindspot.errors import StoreError
from blindspot.store.answers import SUFFIX, Answers, Told, remove_unused
from blindspot.store.place import LIMIT_VARIABLE, size_text, store_limit

#: Directory of the files within the store; every format has its own name.
FOLDER = "answers-3"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One file: number of answers, size (bytes), time of last use (seconds since 1970).

    ``name``: the last name of the model; ``id``: distinguishes checkpoints of one name.
    """

    path: Path
    name: str
    used: float
    answers: int
    size: int

    @property
    def id(self) -> str:
        """The beginning of the file's name."""
        return self.path.name[:8]


def _silent(_: str) -> None:
    pass


class Store:
    """Answers by model, in ``directory`` or in memory when it is None.

    Args:
        directory: created with the first file.
        told: called with one line about damage or evicted models.
        otherwise: the store to use if this one cannot be opened.

    Raises:
        StoreError: the limit in the environment is not a size.
    """

    def __init__(
        self, directory: Path | None, *, told: Told = _silent, otherwise: Store | None = None
    ) -> None:
        self.path = directory / FOLDER if directory else None
        self._told = told
        self._otherwise = otherwise
        self._limit = store_limit() if directory else None
        self._open: dict[str, Answers] = {}

    def of(self, fingerprint: str, name: str) -> Answers:
        """The answers of a model, protected from removal until `close`.

        Raises:
            StoreError: the file cannot be created, read or written.
        """
        file = hashlib.sha256(fingerprint.encode()).hexdigest()[:32] + SUFFIX
        if file not in self._open:
            path = self.path / file if self.path else None
            try:
                self._open[file] = Answers(path, name, self._told)
            except StoreError as error:
                if self._otherwise is None:
                    raise
                self._told(f"answers are stored for this run only: {error}")
                self._open[file] = self._otherwise.of(fingerprint, name)
        return self._open[file]

    def models(self) -> list[StoredModel]:
        """All models, the least recently used first.

        Raises:
            StoreError: a file cannot be read.
        """
        return sorted(self._models(), key=lambda model: (model.used, model.path))

    def _models(self) -> Iterator[StoredModel]:
        for path in self._files():
            with suppress(FileNotFoundError):  # another process removes it
                used, size = path.stat().st_mtime, _size(path)
                with closing(Answers(path, None, self._told)) as answers:
                    yield StoredModel(path, answers.name, used, len(answers), size)

    def _files(self) -> list[Path]:
        if self.path is None:
            return []
        try:
            return [path for path in sorted(self.path.iterdir()) if path.suffix == SUFFIX]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"answer store {self.path}: {error.strerror}") from None

    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(_size, self._files()))

    def close(self) -> None:
        """Close the files, and enforce the limit if anything was written."""
        own = [each for each in self._open.values() if each.path and each.path.parent == self.path]
        wrote = any(answers.wrote for answers in own)
        for answers in self._open.values():
            answers.close()
        if wrote and self._limit is not None:
            try:
                self._trim(self._limit)
            except (StoreError, OSError) as error:  # the run is unaffected; the next one will trim
                self._told(str(error))
        self._open.clear()

    def _trim(self, limit: int) -> None:
        """Remove the least recently used models until the rest fits; files in use stay."""
        if (size := self.size()) <= limit:
            return
        removed = []
        for model in self.models():
            if size > limit and model.path.name not in self._open and remove_unused(model.path):
                size -= model.size
                removed.append(model.name)
        if removed:
            self._told(
                f"the answer store reached its limit of {size_text(limit)} ({LIMIT_VARIABLE}) and "
                f"removed the answers of {', '.join(dict.fromkeys(removed))}"
            )


def _size(path: Path) -> int:
    """Bytes of a file and of its write-ahead log."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
