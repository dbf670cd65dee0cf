"""Estimates of paired changes for thousands of updates at once.

The same arithmetic as `blindspot.estimates`, with an axis of updates in front; a test compares the
two. `blindspot.gates.rule` and `holm_by_family` themselves judge them. Beside it, what others do: a
fixed threshold, an unpaired z-test on two shares, and McNemar's test on flipped answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit
from scipy.stats import binom

from benchmarks.calibration.design import Design
from blindspot.estimates import ANSWER_STEP, PROBABILITY_STEP

Array = NDArray[np.float64]

STEREOTYPE: Array = np.full(4, 0.25)
BIAS: Array = np.array([-1.0, -1.0, 1.0, 1.0]) / 4
WEIGHTS: Mapping[str, Array] = {"implicit": STEREOTYPE, "explicit": BIAS}
STEPS = {"generated": ANSWER_STEP, "forced-choice": PROBABILITY_STEP}
POINT = 0.02
"""A point, 1 % of stereotyped answers, in units of effect."""


@dataclass(frozen=True)
class Parts:
    """Contributions of clusters to a value: (update,), and per factor (update, level)."""

    value: Array
    sums: dict[str, Array]
    floor: Array
    n: Array

    def minus(self, other: Parts, *, apart: Collection[str] = ()) -> Parts:
        """Difference; factors in ``apart`` count as independent."""
        sums = dict(self.sums)
        for name, part in other.sums.items():
            if name in sums and name not in apart:
                sums[name] = sums[name] - part
            else:
                sums[f"{name} (of the other)"] = part
        floor, n = self.floor + other.floor, self.n + other.n
        return Parts(self.value - other.value, sums, floor, n)

    def negative(self) -> Parts:
        """With the other sign: of values that had better be high."""
        sums = {name: -part for name, part in self.sums.items()}
        return Parts(-self.value, sums, self.floor, self.n)

    def mean(self, others: Sequence[Parts]) -> Parts:
        """Mean of this and others, measured with the same clusters."""
        parts = [self, *others]
        share = 1 / len(parts)
        return Parts(
            share * sum(part.value for part in parts),
            {name: share * sum(part.sums[name] for part in parts) for name in self.sums},
            share**2 * sum(part.floor for part in parts),
            sum(part.n for part in parts),
        )

    def spread(self) -> tuple[Array, Array]:
        """Standard error and degrees of freedom, as `Contributions.estimate` has them."""
        variances, free = [], []
        for part in self.sums.values():
            levels = part.shape[-1]
            variances.append(np.square(part).sum(-1) * levels / (levels - 1))
            free.append(levels - 1.0)
        seen = sum(variances)
        cap = np.maximum(self.n / 2, max(free))
        weighted = sum(v * d for v, d in zip(variances, free, strict=True))
        df = np.divide(weighted, seen, out=np.array(cap + 0.0 * seen), where=seen > 0)
        variance = np.maximum(seen, self.floor)
        ratio = np.divide(variance, seen, out=np.ones_like(seen), where=seen > 0)
        df = np.where((seen > 0) & (seen < variance), np.minimum(df * ratio**2, cap), df)
        return np.sqrt(variance), df


def contrast(values: Array, weights: Array, step: float, design: Design) -> Parts:
    """A weighted sum of cell means of (..., place, cell), NaN: none."""
    answered = ~np.isnan(values)
    filled = answered.sum(-2)
    means = np.where(answered, values, 0.0).sum(-2) / filled
    residuals = np.where(answered, values - means[..., None, :], 0.0)
    blocks = (residuals * (weights / filled)[..., None, :]).sum(-1)
    floor = np.square(weights * step / (filled + 1.0)).sum(-1)
    return Parts(means @ weights, design.sums(blocks), floor, answered.sum((-2, -1)))


def p_above(part: Parts, limit: float) -> Array:
    """One-sided p-values of "the true value is at or below the limit"."""
    error, free = part.spread()
    return np.asarray(stdtr(free, (limit - part.value) / error))


def lower(part: Parts, alpha: float) -> Array:
    """One-sided lower bounds."""
    error, free = part.spread()
    return np.asarray(part.value + stdtrit(free, alpha) * error)


def half_width(part: Parts) -> Array:
    """Half the two-sided 95 % interval."""
    error, free = part.spread()
    return np.asarray(-stdtrit(free, 0.025) * error)


def unpaired(before: Array, after: Array, prompts: Array) -> Array:
    """One-sided p-values of two shares of so many prompts each, taken as independent."""
    pooled = (before + after) / 2
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * 2 / prompts)
    return np.asarray(ndtr(-(after - before) / error))


def mcnemar(worse: Array, better: Array) -> Array:
    """One-sided exact p-values of so many answers that flipped either way."""
    return np.asarray(binom.sf(worse - 1, worse + better, 0.5))
