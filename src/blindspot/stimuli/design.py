"""Which prompts are asked: a balanced fraction of all word pairs in all wordings. Pure data.

What limits the precision of an effect is how many words and wordings it rests on, not how often
each word meets each wording. So a wording file may ask every pair in a few of its wordings only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import ceil, gcd

from blindspot.files import digest

Pair = tuple[str, str]
ALL = "all"
PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Selection:
    """The prompts of a run, out of all that the stimuli can make.

    Attributes:
        limit: at most so many word pairs a category.
        published: only the words that a category says are published.
        fraction: of what wording files ask by default; None asks every pair in every wording.
    """

    limit: int | None = None
    published: bool = False
    fraction: Fraction | None = Fraction(1)

    @classmethod
    def of(cls, limit: int | None, words: str, fraction: str) -> Selection:
        """From the values of ``--limit``, ``--words`` and ``--fraction``."""
        share = None if fraction == ALL else Fraction(fraction)
        return cls(limit, words == PUBLISHED, share)

    @property
    def conditions(self) -> dict[str, str]:
        """As reports and baselines record it."""
        return {
            "fraction": ALL if self.fraction is None else str(self.fraction),
            "words": PUBLISHED if self.published else ALL,
            "limit": "none" if self.limit is None else str(self.limit),
        }


DEFAULT_SELECTION = Selection()


@dataclass(frozen=True, slots=True)
class Block:
    """The wordings of one file: how many, and in how many of them each pair is asked (all)."""

    size: int
    per_pair: int | None = None


@lru_cache(maxsize=512)
def cells(
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    wordings: tuple[str, ...],
    per_pair: int,
    fraction: Fraction,
) -> tuple[frozenset[Pair], ...]:
    """The word pairs that each wording meets, in the order of ``wordings``.

    Every word meets every wording about equally often: the counts differ by at most 1 (in a few
    shapes 2). A smaller fraction is a part of a larger one. Words and wordings are ranked by their
    digests, so neither their order in a file nor any seed changes what is asked.

    Args:
        positive: words of one list.
        negative: words of the other.
        wordings: their ids.
        per_pair: wordings that each pair meets, at most all of them.
        fraction: of these cells, above 0 and up to 1.
    """
    rows, columns, ids = _ranked(positive), _ranked(negative), _ranked(wordings)
    shape = len(rows), len(columns), len(ids)
    slope, shifts = _latin(*shape, per_pair)
    wanted = ceil(fraction * len(rows) * len(columns) * per_pair)
    met: dict[str, set[Pair]] = {wording: set() for wording in wordings}
    for shift in shifts:
        places = list(product(range(len(rows)), range(len(columns))))
        if wanted < len(places):
            places = _even(shape, slope)
        for i, j in places[: max(0, wanted)]:
            met[ids[(slope * i + j + shift) % len(ids)]].add((rows[i], columns[j]))
        wanted -= len(places)
    return tuple(frozenset(met[wording]) for wording in wordings)


def _ranked(names: tuple[str, ...]) -> list[str]:
    return sorted(names, key=digest)


@lru_cache(maxsize=64)
def _latin(rows: int, columns: int, wordings: int, layers: int) -> tuple[int, tuple[int, ...]]:
    """Slope and shifts: in layer k, pair (i, j) meets wording slope * i + j + shifts[k].

    Of all slopes, and of steps between layers that continue the runs of one of the lists, the ones
    that spread wordings best over the words, and then over all pairs.
    """
    best: tuple[tuple[int, int], int, tuple[int, ...]] | None = None
    first = min(layers, 4)  # the more layers, the less it matters
    for slope in range(wordings):
        for step in dict.fromkeys((columns, slope * rows, wordings // 2, 1)):
            shifts = _shifts(step % wordings, wordings, layers)
            unevenness = _unevenness(rows, columns, wordings, slope, shifts[:first])
            if best is None or unevenness < best[0]:
                best = unevenness, slope, shifts
            if max(unevenness) <= 1:
                return slope, shifts
    assert best is not None, "a file has at least one wording"
    return best[1:]


def _shifts(step: int, wordings: int, layers: int) -> tuple[int, ...]:
    """A shift for each layer, all different: multiples of the step, then those next to them."""
    turn = wordings // gcd(step, wordings)
    return tuple((layer * step + layer // turn) % wordings for layer in range(layers))


def _unevenness(
    rows: int, columns: int, wordings: int, slope: int, shifts: tuple[int, ...]
) -> tuple[int, int]:
    """Largest difference between two wordings after any layer: in pairs of a word, and in all."""
    of_row = [[0] * wordings for _ in range(rows)]
    of_column = [[0] * wordings for _ in range(columns)]
    of_word, of_all = 0, 0
    for shift in shifts:
        for i, row in enumerate(of_row):
            for j, column in enumerate(of_column):
                wording = (slope * i + j + shift) % wordings
                row[wording] += 1
                column[wording] += 1
        of_word = max(of_word, *(max(each) - min(each) for each in (*of_row, *of_column)))
        totals = [sum(row[wording] for row in of_row) for wording in range(wordings)]
        of_all = max(of_all, max(totals) - min(totals))
    return of_word, of_all


@lru_cache(maxsize=64)
def _even(shape: tuple[int, int, int], slope: int) -> list[tuple[int, int]]:
    """The places of a layer: every beginning uses words and wordings about equally often."""
    rows, columns, wordings = shape
    left = [list(range(columns)) for _ in range(rows)]
    of_column, of_wording = [0] * columns, [0] * wordings
    of_row_in = [[0] * wordings for _ in range(rows)]
    of_column_in = [[0] * wordings for _ in range(columns)]
    chosen = []
    for turn in range(rows * columns):
        i = turn % rows

        def burden(j: int, i: int = i) -> int:
            wording = (slope * i + j) % wordings
            together = of_row_in[i][wording] + of_column_in[j][wording]
            alone = columns * of_column[j] + wordings * of_wording[wording]
            return alone + max(shape) * together

        j = min(left[i], key=burden)
        left[i].remove(j)
        chosen.append((i, j))
        wording = (slope * i + j) % wordings
        of_column[j] += 1
        of_wording[wording] += 1
        of_row_in[i][wording] += 1
        of_column_in[j][wording] += 1
    return chosen
