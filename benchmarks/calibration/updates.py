"""Simulated updates: changes that vary over words and wordings as those of real updates do.

A change of a category slice is a table (positive, negative, wording), the orders already balanced:
what a contrast of `blindspot.estimates` sees when everything is answered. Real tables are taken
apart into what each word, each wording and each of their combinations adds; a simulated update
gives every word and wording what a drawn one had in a drawn update, with a drawn sign, so that
nothing changes on average and all readings and variants stay as dependent as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.calibration.answers import Answers
from benchmarks.calibration.rule import POINT, WEIGHTS, Array

AXES = (0, 1, 2)
MAIN = ((0,), (1,), (2,))
NAMES = {
    (0,): "positive word",
    (1,): "negative word",
    (2,): "wording",
    (0, 1): "pair of words",
    (0, 2): "positive word x wording",
    (1, 2): "negative word x wording",
    (0, 1, 2): "rest",
}


def change(before: Answers, after: Answers, name: str) -> Array:
    """Change of a slice in a reading, (positive, negative, wording), unanswered ones left out."""
    found = after[name] - before[name]
    weights = WEIGHTS[name.split("/", maxsplit=1)[0]]
    mean = np.nanmean(found, axis=(0, 1, 2), keepdims=True)
    return np.where(np.isnan(found), mean, found) @ weights


def answered_change(before: Answers, after: Answers, name: str) -> Array:
    """Change of the share answered, in the same shape."""
    return (~np.isnan(after[name]) * 1.0 - ~np.isnan(before[name])).mean(-1)


def taken_apart(table: Array) -> dict[tuple[int, ...], Array]:
    """What each level of each set of factors adds to the mean; they sum up to the table less it."""
    parts: dict[tuple[int, ...], Array] = {(): table.mean(keepdims=True)}
    for size in (1, 2, 3):
        for kept in combinations(AXES, size):
            gone = tuple(axis for axis in AXES if axis not in kept)
            lower = [part for known, part in parts.items() if set(known) < set(kept)]
            parts[kept] = table.mean(axis=gone, keepdims=True) - sum(lower)
    del parts[()]
    return parts


def components(table: Array) -> dict[tuple[int, ...], float]:
    """Variance of each random effect in squared units of the table, unbiased: below 0 by chance."""
    shape, parts = table.shape, taken_apart(table)
    squares = {}
    for kept, part in parts.items():
        free = np.prod([shape[axis] - 1 for axis in kept])
        repeated = table.size / part.size
        squares[kept] = repeated * float(np.square(part).sum()) / free
    found: dict[tuple[int, ...], float] = {}
    for kept in sorted(squares, key=len, reverse=True):
        above = sum(
            found[more] * np.prod([shape[axis] for axis in AXES if axis not in more])
            for more in found
            if set(kept) < set(more)
        )
        repeated = np.prod([shape[axis] for axis in AXES if axis not in kept])
        found[kept] = (squares[kept] - above) / repeated
    return found


def points(variance: float) -> float:
    """Standard deviation in points, with the sign of the estimated variance."""
    return float(np.sign(variance) * np.sqrt(abs(variance)) / POINT)


@dataclass(frozen=True)
class Pool:
    """Real changes of one category in all that is read of it, taken apart: name -> update -> parts.

    ``apart``: names whose wordings are others' (statements, not associations).
    """

    tables: Mapping[str, Sequence[dict[tuple[int, ...], Array]]]

    @classmethod
    def of(cls, changes: Mapping[str, Sequence[Array]]) -> Pool:
        """From tables of the same updates under each name."""
        sizes = {len(tables) for tables in changes.values()}
        assert len(sizes) == 1
        return cls({name: [taken_apart(t) for t in tables] for name, tables in changes.items()})

    def draw(self, updates: int, rng: np.random.Generator) -> dict[str, Array]:
        """Updates of which none changes anything on average: name -> (update, p, n, w)."""
        names = list(self.tables)
        many = len(self.tables[names[0]])
        which = rng.integers(many, size=updates)
        drawn: dict[tuple[str, tuple[int, ...]], tuple[Array, ...]] = {}
        result = {}
        for name in names:
            kind = name.split("/", maxsplit=1)[0]
            stack = {kept: np.stack([t[kept] for t in self.tables[name]]) for kept in NAMES}
            shape = tuple(max(part.shape[1 + axis] for part in stack.values()) for axis in AXES)
            total = np.zeros((updates, *shape))
            for kept, part in stack.items():
                # Words are the same in all that is read; wordings are in one measurement.
                owner = kind if 2 in kept else ""
                if (owner, kept) not in drawn:
                    drawn[owner, kept] = self._choice(kept, shape, many, which, rng)
                update, level, sign = drawn[owner, kept]
                if len(kept) == 1:
                    flat = part.reshape(many, -1)
                    # A sum to zero over the levels takes a share 1/k of the variance away.
                    grown = np.sqrt(shape[kept[0]] / (shape[kept[0]] - 1))
                    wide = [updates, 1, 1, 1]
                    wide[1 + kept[0]] = shape[kept[0]]
                    total += (grown * sign * flat[update, level]).reshape(wide)
                else:
                    total += sign * part[which]
            result[name] = total
        return result

    @staticmethod
    def _choice(
        kept: tuple[int, ...],
        shape: tuple[int, ...],
        many: int,
        which: Array,
        rng: np.random.Generator,
    ) -> tuple[Array, ...]:
        if len(kept) == 1:
            size = (len(which), shape[kept[0]])
            signs = rng.choice((-1.0, 1.0), size)
            return rng.integers(many, size=size), rng.integers(shape[kept[0]], size=size), signs
        wide = tuple(shape[axis] if axis in kept else 1 for axis in AXES)
        return which, which, rng.choice((-1.0, 1.0), (len(which), *wide))


def planted(
    shape: tuple[int, int, int],
    updates: int,
    rng: np.random.Generator,
    *,
    increase: float,
    deviations: Mapping[tuple[int, ...], float],
    skewed: bool = False,
) -> Array:
    """Updates with a true increase (points), (update, p, n, w) in units of effect.

    ``deviations``: of the random effects, in points. ``skewed``: of the words and wordings, few
    take most of it.
    """
    total = np.full((updates, *shape), increase)
    for kept, size in deviations.items():
        wide = tuple(shape[axis] if axis in kept else 1 for axis in AXES)
        draw = (
            rng.exponential(size=(updates, *wide)) - 1.0
            if skewed and len(kept) == 1
            else rng.standard_normal((updates, *wide))
        )
        total = total + size * draw
    return POINT * total
