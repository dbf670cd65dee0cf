"""Where the answer store is and how large it may grow."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from platformdirs import user_cache_dir

from blindspot.errors import StoreError

#: Environment variable for ``--store``.
PLACE_VARIABLE = "BLINDSPOT_STORE"
#: Name of a store that keeps nothing after the run.
NO_STORE = "none"

LIMIT_VARIABLE = "BLINDSPOT_STORE_LIMIT"
#: All prompts of one model take 8 MiB: this is room for every model of a team over years.
DEFAULT_LIMIT = 2 * 1024**3
UNLIMITED = "none"

_UNITS = ("", "K", "M", "G", "T")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def default_directory() -> Path:
    """The user's cache directory."""
    return Path(user_cache_dir("blindspot"))


def store_limit() -> int | None:
    """Largest size of the store in bytes, by ``BLINDSPOT_STORE_LIMIT``; None for no limit.

    Raises:
        StoreError: the variable is not a size.
    """
    given = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not given:
        return DEFAULT_LIMIT
    if given.lower() == UNLIMITED:
        return None
    size = parse_size(given)
    if size is None:
        raise StoreError(
            f"{LIMIT_VARIABLE}={given[:40]!r}: not a size; use bytes, or a number with K, M, G or "
            "T (powers of 1024) such as 500M or 2G, or none"
        )
    return size


def parse_size(text: str) -> int | None:
    """Bytes: ``4096``, ``500M``, ``1.5 GiB``; None for what is not a size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    size = float(match[1]) * 1024 ** _UNITS.index(match[2].upper())
    return int(size) if math.isfinite(size) else None


def size_text(size: int) -> str:
    """Bytes as ``512 B``, ``21.3 MiB`` or ``2 GiB``: at most four digits."""
    scaled, unit = float(size), 0
    while scaled >= 1023.95 and unit + 1 < len(_UNITS):  # 1023.96 would be shown as 1024.0
        scaled, unit = scaled / 1024, unit + 1
    number = f"{scaled:.0f}" if unit == 0 else f"{scaled:.1f}".removesuffix(".0")
    return f"{number} {_UNITS[unit]}{'iB' if unit else 'B'}"
