"""Lists of work cut by the time that their parts take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

#: A smaller part was of no use if its items took this many times as long.
_DEARER = 1.25


def spells(count: int, *, first: int, short: float, long: float) -> Iterator[slice]:
    """Parts of a list that take some seconds each.

    A smaller part that is no faster by item is not made smaller again, and the parts grow back: the
    steps of an answer cost the same for one row as for many.

    Args:
        count: length of the list.
        first: items of the first part.
        short: seconds; twice as many follow where a part takes less.
        long: seconds; fewer follow where a part takes more.
    """
    start, size, least = 0, first, 1
    larger, cheapest = size, math.inf  # the part before a smaller one, and its seconds by item
    while start < count:
        began = time.monotonic()
        yield slice(start, start + size)
        took = time.monotonic() - began
        start += size
        if size < larger and took / size > _DEARER * cheapest:
            size = least = larger
        elif took < short:
            size *= 2
        elif took > long and size > least:
            larger, cheapest = size, took / size
            size = max(least, int(size * long / took))
