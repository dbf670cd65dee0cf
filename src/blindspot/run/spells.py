"""Lists of work cut by the time that their parts take."""

from __future__ import annotations

import time
from collections.abc import Iterator


def spells(count: int, *, first: int, short: float, long: float) -> Iterator[slice]:
    """Parts of a list that take some seconds each.

    Args:
        count: length of the list.
        first: items of the first part.
        short: seconds; twice as many follow where a part takes less.
        long: seconds; fewer follow where a part takes more.
    """
    start, size = 0, first
    while start < count:
        began = time.monotonic()
        yield slice(start, start + size)
        took = time.monotonic() - began
        start += size
        if took < short:
            size *= 2
        elif took > long:
            size = max(1, int(size * long / took))
