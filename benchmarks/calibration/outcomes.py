"""Simulated answers of a model and its successor to the default prompts, in both readings.

Behind every prompt stands a log-odds (nats) to which its words, its wording, its orders and itself
add; the greedy answer is its sign, forced choice its tanh. An update moves it by an increase, by
more or less for each word and wording, and by a little at random, so that answers near a tie flip.
The sizes are those that were measured (docs/calibration.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from benchmarks.calibration.rule import POINT, STEREOTYPE, Array, Parts, contrast
from blindspot.estimates import ANSWER_STEP, PROBABILITY_STEP


@dataclass(frozen=True)
class Spread:
    """Standard deviations of random effects.

    ``words``: of each of the two lists; ``crossed``: of each two factors; ``prompts``: of each.
    """

    words: float = 0.0
    wordings: float = 0.0
    crossed: float = 0.0
    prompts: float = 0.0

    def times(self, factor: float) -> Spread:
        """All of them, so many times."""
        sizes = (self.words, self.wordings, self.crossed, self.prompts)
        return Spread(*(factor * size for size in sizes))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """(update, variant, positive, negative, wording, cell); 1 variant: the same in all."""
        updates, variants, p, n, w, _ = shape
        total = np.zeros((updates, variants, p, n, w, 1))
        for size, wide in (
            (self.words, (p, 1, 1)),
            (self.words, (1, n, 1)),
            (self.wordings, (1, 1, w)),
            (self.crossed, (p, n, 1)),
            (self.crossed, (p, 1, w)),
            (self.crossed, (1, n, w)),
        ):
            if size:
                total = total + size * rng.standard_normal((updates, variants, *wide, 1))
        if self.prompts:
            total = total + self.prompts * rng.standard_normal(shape)
        return total


@dataclass(frozen=True)
class Level:
    """Where a model stands: nats. ``order``: how much copying the listed order adds."""

    centre: float = 0.0
    order: float = 0.5
    spread: Spread = field(default_factory=lambda: Spread(0.4, 0.8, 0.6, 1.6))


@dataclass(frozen=True)
class Update:
    """What an update does: points.

    ``shared``: part of its variances that is the same in all variants. ``turnover``: nats, of each
    prompt by itself. ``reach``: variants that it changes, the first ones; None: all.
    """

    increase: float = 0.0
    spread: Spread = field(default_factory=Spread)
    shared: float = 0.8
    turnover: float = 0.3
    reach: int | None = None


@dataclass(frozen=True)
class Answers:
    """Latent log-odds before and after: (update, variant, positive, negative, wording, cell)."""

    before: Array
    after: Array

    def parts(self, reading: str) -> tuple[Parts, Parts]:
        """Contributions before and after, per variant: (update, variant)."""
        step = ANSWER_STEP if reading == "generated" else PROBABILITY_STEP
        before, after = (self.values(side, reading) for side in (self.before, self.after))
        return contrast(before, STEREOTYPE, step), contrast(after, STEREOTYPE, step)

    @staticmethod
    def values(latent: Array, reading: str) -> Array:
        """What is read: +1 or -1, or between."""
        return np.where(latent > 0, 1.0, -1.0) if reading == "generated" else np.tanh(latent / 2)


@lru_cache
def slope(level: Level) -> float:
    """Points of stereotyped share that a nat adds on average, by either reading."""
    rng = np.random.default_rng(1)
    some = level.centre + level.spread.draw((400, 1, 5, 7, 12, 4), rng) + _orders(level)
    return float((0.5 * (1 - np.tanh(some / 2) ** 2)).mean() / POINT)


def _orders(level: Level) -> Array:
    return level.order * np.array([1.0, -1.0, -1.0, 1.0])


def simulate(
    level: Level,
    update: Update,
    design: tuple[int, int, int],
    *,
    updates: int,
    variants: int,
    rng: np.random.Generator,
) -> Answers:
    """Answers of so many updates; the increase is true on average over words and wordings."""
    shape = (updates, variants, *design, 4)
    middle = level.centre + _orders(level) + level.spread.draw(shape, rng)
    moved = np.full(shape, update.increase)
    for share, many in ((update.shared, 1), (1.0 - update.shared, variants)):
        if share > 0:
            spread = update.spread.times(share**0.5)
            moved = moved + spread.draw((updates, many, *design, 4), rng)
    if update.reach is not None:
        moved[:, update.reach :] = 0.0
    moved *= 0.5 / slope(level)
    own = update.turnover / 2**0.5
    # Half before and half after: without an increase the two could be exchanged.
    before = middle - moved + own * rng.standard_normal(shape)
    return Answers(before, middle + moved + own * rng.standard_normal(shape))
