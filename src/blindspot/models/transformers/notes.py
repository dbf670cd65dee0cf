"""Facts about files that are expensive to compute, in the user's cache directory. No torch."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir

from blindspot import files


class Notes:
    """JSON values by key, in a file that may be missing, broken or not writable.

    Args:
        name: of the file.
        most: values that are kept, the latest first.
    """

    def __init__(self, name: str, most: int) -> None:
        self.path = Path(user_cache_dir("blindspot")) / name
        self._most = most

    def read(self) -> dict[str, Any]:
        """All values; none if there is no such file."""
        with suppress(OSError, ValueError):
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(known, dict):
                return known
        return {}

    def keep(self, key: str, value: Any) -> dict[str, Any]:
        """Add a value to those of other processes; returns all that are kept."""
        known = self.read()
        known.pop(key, None)
        known[key] = value
        known = dict(list(known.items())[-self._most :])
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(self.path, json.dumps(known))
        return known
