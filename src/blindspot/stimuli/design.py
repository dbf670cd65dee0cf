"""Which prompts are asked: a balanced fraction of all word pairs in all wordings. Pure data.

What limits the precision of an effect is how many words and wordings it rests on, not how often
each word meets each wording. So a wording file may ask every pair in a few of its wordings only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import ceil, gcd
from typing import NamedTuple

from blindspot.files import digest

Pair = tuple[str, str]
ALL = "all"
PUBLISHED = "published"


def fraction_of(text: str) -> Fraction | None:
    """A fraction above 0 and up to 1 as it is written, such as 1/4; None if it is none."""
    written = re.fullmatch(r"[1-9][0-9]{0,5}(/[1-9][0-9]{0,5})?", text)
    return Fraction(text) if written and Fraction(text) <= 1 else None


@dataclass(frozen=True, slots=True)
class Selection:
    """The prompts of a run, out of all that the stimuli can make.

    Attributes:
        limit: at most so many word pairs a category.
        published: only the words that a category says are published.
        fraction: of what is asked by default, which is what wording files say or, of an axis that
            names one, a fraction of that; None asks every pair in every wording.
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


class Turn(NamedTuple):
    """How a list of identifiers takes turns: its length, and factors for the place of a cell."""

    length: int
    by_row: int
    by_layer: int

    def place(self, i: int, j: int, k: int) -> int:
        """The place in the list for pair (i, j) in layer k."""
        return (j + self.by_row * i + self.by_layer * k) % self.length


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which identifiers of a variant a word pair has in a wording, whatever else is asked.

    ``rows``, ``columns``, ``wordings``: ranks by name; ``layers``: by shift, as in `cells`.
    """

    rows: Mapping[str, int]
    columns: Mapping[str, int]
    wordings: Mapping[str, int]
    slope: int
    layers: Mapping[int, int]
    turns: tuple[Turn, Turn]

    def of(self, pair: Pair, wording: str) -> tuple[int, int]:
        """Places in the positive and in the negative list of identifiers."""
        i, j = self.rows[pair[0]], self.columns[pair[1]]
        k = self.layers[(self.wordings[wording] - self.slope * i - j) % len(self.wordings)]
        one, other = self.turns
        return one.place(i, j, k), other.place(i, j, k)


@lru_cache(maxsize=512)
def rotation(
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    wordings: tuple[str, ...],
    per_pair: int,
    identifiers: tuple[int, int],
) -> Rotation:
    """How so many positive and negative identifiers take turns in the cells of `cells`.

    In the default fraction every word meets all of a list about equally often, and so does every
    wording.
    """
    rows, columns, ids = (
        {name: at for at, name in enumerate(_ranked(names))}
        for names in (positive, negative, wordings)
    )
    shape = len(rows), len(columns), len(ids)
    slope, shifts = _latin(*shape, per_pair)
    shifts += tuple(shift for shift in range(len(ids)) if shift not in shifts)
    turns = _turns(shape, slope, shifts, per_pair, identifiers)
    layers = {shift: k for k, shift in enumerate(shifts)}
    return Rotation(rows, columns, ids, slope, layers, turns)


@lru_cache(maxsize=64)
def _turns(
    shape: tuple[int, int, int],
    slope: int,
    shifts: tuple[int, ...],
    asked: int,
    lengths: tuple[int, int],
) -> tuple[Turn, Turn]:
    """The turns that use the lists evenly, in each word and wording, and combine them freely.

    The first list as evenly as can be. The second one as evenly in words, but in a wording by one
    less so: then it meets all of the first, instead of always the same ones. Evenly in the layers
    that are ``asked`` by default, and as far as possible in all, which have these ``shifts``.
    """
    rows, columns, wordings = shape
    every = [*product(range(len(shifts)), range(rows), range(columns))]
    default = every[: min(asked, 4) * rows * columns]  # the more layers, the less it matters

    def unevenness(turn: Turn, met: list[tuple[int, int, int]]) -> tuple[int, int]:
        """Largest difference between two identifiers in a word, and in a wording."""
        counts = [[0] * turn.length for _ in range(sum(shape))]
        for k, i, j in met:
            place = turn.place(i, j, k)
            for at in (i, rows + j, rows + columns + (slope * i + j + shifts[k]) % wordings):
                counts[at][place] += 1
        spread = [max(each) - min(each) for each in counts]
        return max(spread[: rows + columns]), max(spread[rows + columns :])

    def evenest(length: int, allowed: int) -> list[Turn]:
        turns = [Turn(length, *factors) for factors in product(range(length), repeat=2)]
        found = {turn: unevenness(turn, default) for turn in turns}
        least = min(found.values(), key=max)
        least = least[0], least[1] + allowed
        return [turn for turn, (w, v) in found.items() if w <= least[0] and v <= least[1]]

    def over_all(turn: Turn) -> int:
        return max(unevenness(turn, every))

    def combined(turn: Turn) -> int:
        return len({(one.place(i, j, k), turn.place(i, j, k)) for k, i, j in default})

    one = min(evenest(lengths[0], 0), key=over_all)
    others = evenest(lengths[1], 1)
    most = max(map(combined, others))
    return one, min((turn for turn in others if combined(turn) == most), key=over_all)


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
