"""Digests of file contents, remembered so that large weights are read once. No torch.

What is remembered of a file holds only while its size, both its times and its inode stay the same,
and nothing is remembered of a file that was changed within the last seconds: a file overwritten in
place, even with its old modification time, is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir

#: Files remembered, the latest first to stay.
_REMEMBERED = 2000
#: Files younger than this may still change unseen: a tick of the coarsest file system is 2 s.
_SETTLED_NS = 3_000_000_000


def text_digest(text: str) -> str:
    """Sha256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(value: Any) -> str:
    """Sha256 of a JSON value that does not depend on the order of keys, hexadecimal."""
    return text_digest(json.dumps(value, sort_keys=True, ensure_ascii=False))


def files_digest(files: Iterable[Path], more: Mapping[str, Any] | None = None) -> str:
    """Sha256 over names and contents of files and over further JSON values, hexadecimal."""
    memory = _Memory(Path(user_cache_dir("blindspot")) / "digests.json")
    contents = {path.name: memory.digest(path) for path in files}
    memory.keep()
    return json_digest({"files": contents, **(more or {})})


class _Memory:
    """File digests by path, in a JSON file that may be missing, broken or not writable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            known = json.loads(path.read_text(encoding="utf-8"))
            self._known = known if isinstance(known, dict) else {}

    def digest(self, path: Path) -> str:
        path = path.resolve()
        before = path.stat()
        stamp = [before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino]
        match self._known.get(str(path)):
            case [known, str(digest)] if known == stamp and len(digest) == 64:
                return digest
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - max(before.st_mtime_ns, before.st_ctime_ns) > _SETTLED_NS:
            self._known.pop(str(path), None)
            self._known[str(path)] = [stamp, found]
            self._changed = True
        return found

    def keep(self) -> None:
        if not self._changed:
            return
        latest = dict(list(self._known.items())[-_REMEMBERED:])
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix="digests-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(latest, file)
            Path(temporary).replace(self._path)
