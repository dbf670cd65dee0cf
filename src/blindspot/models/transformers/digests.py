"""Digests of file contents, cached because large weights should be read once. No torch.

A cached digest is valid only while the file's size, both its times and its inode stay the same, and
files changed within the last seconds are not cached: a file overwritten in place, even with its old
modification time, is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock

from blindspot.errors import ModelError
from blindspot.models.transformers.notes import Notes

#: Cached files; the oldest are dropped first.
_REMEMBERED = 2000
#: Files younger than this may still change unseen: a tick of the coarsest file system is 2 s.
_SETTLED_NS = 3_000_000_000
#: Larger files are digested in pieces of this many bytes by several threads. One core digests
#: 0.4 to 1.2 GB/s, with and without instructions for it: 8 GB would take it 7 to 20 s.
PIECE = 64 * 1024**2
_THREADS = 8  # beyond, memory and disk are slower than that
_BUFFER = 1024**2
#: Seconds to wait for another process that is digesting large files before doing it too.
_PATIENCE_S = 600

#: Size, modification and change time (ns) and inode of a file.
Stamp = tuple[int, int, int, int]


def text_digest(text: str) -> str:
    """Sha256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(value: Any) -> str:
    """Sha256 of a JSON value that does not depend on the order of keys, hexadecimal."""
    return text_digest(json.dumps(value, sort_keys=True, ensure_ascii=False))


def files_digest(
    files: Iterable[Path], more: Mapping[str, Any] | None = None, *, root: Path
) -> str:
    """Sha256 over paths and contents of files and over further JSON values, hexadecimal.

    Args:
        files: below ``root``; each is identified by its relative path.
        more: further values.
        root: the base directory; moving it does not change the digest.

    Raises:
        ModelError: a file changes while it is read.
    """
    memory = _Memory(Notes("digests.json", _REMEMBERED))
    contents = {path.relative_to(root).as_posix(): memory.digest(path) for path in files}
    return json_digest({"files": contents, **(more or {})})


def stamps(files: Iterable[Path]) -> list[Stamp]:
    """The file's state, which changes when it is written to, replaced or touched."""
    return [_stamp(path) for path in files]


def content_digest(path: Path, threads: int | None = None) -> str:
    """Digest of a file's content, hexadecimal: its sha256, or for large files that of its pieces.

    Args:
        path: the file.
        threads: how many work at once; by default one a core, 8 at most. Does not change the
            digest.
    """
    size = path.stat().st_size
    if size <= PIECE:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    workers = threads or min(os.cpu_count() or 1, _THREADS)
    with ThreadPoolExecutor(workers) as pool:  # hashing and reading let other threads run
        pieces = pool.map(lambda start: _piece_digest(path, start), range(0, size, PIECE))
        whole = hashlib.sha256(f"pieces of {PIECE} in {size}\n".encode())
        for digest in pieces:
            whole.update(digest)
    return whole.hexdigest()


def _piece_digest(path: Path, start: int) -> bytes:
    digest, left = hashlib.sha256(), PIECE
    buffer = memoryview(bytearray(_BUFFER))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while left and (count := file.readinto(buffer[: min(left, _BUFFER)])):
            digest.update(buffer[:count])
            left -= count
    return digest.digest()


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class _Memory:
    """File digests by path."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known = notes.read()

    def digest(self, path: Path) -> str:
        path = path.resolve()
        now, stamp = time.time_ns(), _stamp(path)
        if known := self._remembered(path, stamp):
            return known
        settled = now - max(stamp[1], stamp[2]) > _SETTLED_NS
        if not settled or stamp[0] <= PIECE:
            return self._read_now(path, stamp, keep=settled)
        # The workers of a run need the same large files at once: one reads, the others wait.
        lock = FileLock(f"{self._notes.path}.lock", timeout=_PATIENCE_S)
        try:
            self._notes.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError:  # nowhere to cache it, or the other process takes too long
            return self._read_now(path, stamp, keep=False)
        try:
            self._known = self._notes.read()
            return self._remembered(path, stamp) or self._read_now(path, stamp, keep=True)
        finally:
            lock.release()

    def _remembered(self, path: Path, stamp: Stamp) -> str | None:
        match self._known.get(str(path)):
            case [known, way, str(digest)] if (
                way == PIECE and known == list(stamp) and len(digest) == 64
            ):
                return digest
        return None

    def _read_now(self, path: Path, stamp: Stamp, *, keep: bool) -> str:
        found = content_digest(path)
        if _stamp(path) != stamp:
            raise ModelError(
                f"{path.name} changed while it was being read; run again when it is complete"
            )
        if keep:
            self._known = self._notes.keep(str(path), [list(stamp), PIECE, found])
        return found
