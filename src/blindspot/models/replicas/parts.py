"""Lists cut into parts that different replicas answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

#: Parts of a list for each replica: those that are done first answer what is left.
PARTS = 4
#: Fewest prompts in a part: the four orders of a pair, which share a prefix.
_LEAST = 4
#: Of a part, by which a border may move to where neighbors share less.
_SLACK = 0.25


def scopes(texts: Sequence[str], replicas: int) -> list[list[int]]:
    """Numbers of texts, in parts of similar size that keep shared beginnings together.

    Each text is in one part. The parts depend on the texts and on ``replicas`` alone.
    """
    order = sorted(range(len(texts)), key=lambda number: (texts[number], number))
    count = max(1, min(PARTS * replicas, len(order) // _LEAST))
    size = len(order) / count
    borders = [0]
    for part in range(1, count):
        ideal = round(part * size)
        slack = int(size * _SLACK)
        places = range(max(borders[-1] + 1, ideal - slack), min(len(order), ideal + slack + 1))
        borders.append(
            min(
                places,
                key=lambda place: (
                    _shared(texts[order[place - 1]], texts[order[place]]),
                    abs(place - ideal),
                ),
            )
        )
    return [order[start:stop] for start, stop in pairwise([*borders, len(order)])]


def ranges(count: int, replicas: int, least: int) -> list[range]:
    """Neighboring numbers in parts of equal size, one for each replica, of ``least`` or more."""
    parts = max(1, min(replicas, count // least))
    borders = [count * part // parts for part in range(parts + 1)]
    return [range(start, stop) for start, stop in pairwise(borders)]


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    most = min(len(one), len(other))
    return next((place for place in range(most) if one[place] != other[place]), most)
