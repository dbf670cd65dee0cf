"""Simulated answers of a model and its successor to the default prompts, in both readings.

Behind every prompt stands a log-odds (nats) to which its words, its wording, its orders and itself
add; the greedy answer is its sign, forced choice its tanh. An update moves it by an increase, by
more or less for each word and wording, and by a little at random, so that answers near a tie flip.
The sizes are those that were measured (docs/calibration.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

import numpy as np

from benchmarks.calibration.design import FACTORS, ORDERS, Design
from benchmarks.calibration.rule import POINT, STEREOTYPE, Array, Parts, contrast
from blindspot.estimates import ANSWER_STEP, PROBABILITY_STEP


@dataclass(frozen=True)
class Spread:
    """Standard deviations of random effects.

    ``crossed``: of each two factors; ``prompts``: of each.
    """

    positive: float = 0.0
    negative: float = 0.0
    wordings: float = 0.0
    crossed: float = 0.0
    prompts: float = 0.0

    def times(self, factor: float) -> Spread:
        """All of them, so many times."""
        sizes = (self.positive, self.negative, self.wordings, self.crossed, self.prompts)
        return Spread(*(factor * size for size in sizes))

    def draw(self, design: Design, lead: tuple[int, ...], rng: np.random.Generator) -> Array:
        """(*lead, place, order)."""
        total = np.zeros((*lead, len(design), 1))
        for factors, size in (
            (FACTORS[:1], self.positive),
            (FACTORS[1:2], self.negative),
            (FACTORS[2:], self.wordings),
            *((both, self.crossed) for both in combinations(FACTORS, 2)),
        ):
            if size:
                shape = [design.sizes[factor] for factor in factors]
                drawn = size * rng.standard_normal((*lead, *shape))
                total += drawn[(..., *(design.codes[factor] for factor in factors))][..., None]
        if self.prompts:
            total = total + self.prompts * rng.standard_normal((*lead, len(design), ORDERS))
        return total


@dataclass(frozen=True)
class Level:
    """Where a model stands: nats. ``order``: how much copying the listed order adds."""

    centre: float = 0.0
    order: float = 0.5
    spread: Spread = field(default_factory=lambda: Spread(0.4, 0.4, 0.8, 0.6, 1.6))


@dataclass(frozen=True)
class Update:
    """What an update does: points.

    ``shared``: part of its variances that is the same in all variants. ``turnover``: nats, of each
    prompt by itself. ``reach``: variants that it changes, the first ones; None: all. ``word``: the
    list of which it changes the first word alone; "": all words.
    """

    increase: float = 0.0
    spread: Spread = field(default_factory=Spread)
    shared: float = 0.8
    turnover: float = 0.3
    reach: int | None = None
    word: str = ""


@dataclass(frozen=True)
class Answers:
    """Latent log-odds before and after: (update, variant, place, cell)."""

    design: Design
    before: Array
    after: Array

    def parts(self, reading: str) -> tuple[Parts, Parts]:
        """Contributions before and after, per variant: (update, variant)."""
        step = ANSWER_STEP if reading == "generated" else PROBABILITY_STEP
        before, after = (self.values(side, reading) for side in (self.before, self.after))
        one, other = (contrast(side, STEREOTYPE, step, self.design) for side in (before, after))
        return one, other

    @staticmethod
    def values(latent: Array, reading: str) -> Array:
        """What is read: +1 or -1, or between."""
        return np.where(latent > 0, 1.0, -1.0) if reading == "generated" else np.tanh(latent / 2)


@lru_cache
def slope(level: Level) -> float:
    """Points of stereotyped share that a nat adds on average, by either reading."""
    rng = np.random.default_rng(1)
    design = Design.made(5, 7, 12, 12)
    some = level.centre + level.spread.draw(design, (400, 1), rng) + _orders(level)
    return float((0.5 * (1 - np.tanh(some / 2) ** 2)).mean() / POINT)


def _orders(level: Level) -> Array:
    return level.order * np.array([1.0, -1.0, -1.0, 1.0])


def simulate(
    level: Level,
    update: Update,
    design: Design,
    *,
    updates: int,
    variants: int,
    rng: np.random.Generator,
) -> Answers:
    """Answers of so many updates; the increase is true on average over words and wordings."""
    lead = (updates, variants)
    shape = (*lead, len(design), ORDERS)
    middle = level.centre + _orders(level) + level.spread.draw(design, lead, rng)
    moved = np.full(shape, update.increase)
    for share, many in ((update.shared, 1), (1.0 - update.shared, variants)):
        if share > 0:
            spread = update.spread.times(share**0.5)
            moved = moved + spread.draw(design, (updates, many), rng)
    if update.reach is not None:
        moved[:, update.reach :] = 0.0
    if update.word:
        moved[:, :, design.codes[update.word] != 0] = 0.0
    moved *= 0.5 / slope(level)
    own = update.turnover / 2**0.5
    # Half before and half after: without an increase the two could be exchanged.
    before = middle - moved + own * rng.standard_normal(shape)
    return Answers(design, before, middle + moved + own * rng.standard_normal(shape))
