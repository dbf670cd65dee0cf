"""The base of all effects: checked prompts, and the shares answered and refused.

Estimates are computed on access: for most word pairs only the judged effect is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from blindspot.estimates.clusters import BoolArray, Clusters, Contributions, FloatArray, contrasts
from blindspot.estimates.estimate import RANGES, Estimate

ROUNDING = 1e-9
"""How far a mean of probabilities may lie outside of its range by floating point alone."""


@dataclass(frozen=True, eq=False)
class Shares:
    """How many prompts were answered and refused, computed on access.

    ``values``: (prompt,) float64, NaN without an answer; ``refusals``: (prompt,) bool, None where
    refusals were not told apart.
    """

    values: FloatArray
    refusals: BoolArray | None
    clusters: Clusters

    @classmethod
    def of(cls, values: FloatArray, refused: ArrayLike | None, clusters: Clusters) -> Shares:
        """Of checked values: a refusal is no answer, so its value is NaN."""
        if refused is None:
            return cls(values, None, clusters)
        flags = checked_flags("refused", refused, values.size)
        if (flags & ~np.isnan(values)).any():
            raise ValueError("refused: a refused prompt has no answer, its value must be NaN")
        return cls(values, flags, clusters)

    @cached_property
    def answered(self) -> Contributions:
        """Share of prompts answered."""
        answered = ~np.isnan(self.values)
        return plain_mean(answered.astype(np.float64), self.clusters, unit="share", step=1.0)

    @cached_property
    def refused(self) -> Estimate:
        """Share of prompts refused."""
        if self.refusals is None:
            return Estimate.unmeasured("refusals were not told apart", unit="share")
        refused = self.refusals.astype(np.float64)
        return plain_mean(refused, self.clusters, unit="share", step=1.0).estimate()


@dataclass(frozen=True, eq=False)
class Effects:
    """What the effects of all prompts have in common: the judged effect and the shares answered."""

    effects: tuple[Contributions, ...]
    shares: Shares

    @property
    def contributions(self) -> Contributions:
        """Of the effect that is judged."""
        return self.effects[0]

    @cached_property
    def judged(self) -> Estimate:
        """The effect that gates judge."""
        return self.contributions.estimate()

    @property
    def answered(self) -> Contributions:
        """Of the validity."""
        return self.shares.answered

    @cached_property
    def validity(self) -> Estimate:
        """The share of prompts answered."""
        return self.answered.estimate()

    @property
    def refused(self) -> Estimate:
        """The share of prompts refused."""
        return self.shares.refused


def checked_values(values: ArrayLike, size: int, unit: str) -> FloatArray:
    """Values as (prompt,) float64: NaN or within what the unit allows, but for rounding."""
    data = np.asarray(values, np.float64)
    if data.shape != (size,):
        raise ValueError(f"values: shape ({size},) as the clusters have, not {data.shape}")
    low, high = RANGES.get(unit, (-np.inf, np.inf))
    outside = (data < low - ROUNDING) | (data > high + ROUNDING) | np.isinf(data)
    if outside.any():
        raise ValueError(f"values: outside the range of {unit} ({low:g} to {high:g}), or infinite")
    return np.clip(data, low, high)


def checked_flags(name: str, flags: ArrayLike, size: int) -> BoolArray:
    """Flags as (prompt,) bool; numbers other than 0 and 1 are a mistake, not a truth value."""
    array = np.asarray(flags)
    if array.shape != (size,):
        raise ValueError(f"{name}: shape ({size},) as the clusters have, not {array.shape}")
    result = array.astype(np.bool_)
    if array.size and not (result == array).all():
        raise ValueError(f"{name}: expected booleans")
    return result


def plain_mean(values: FloatArray, clusters: Clusters, *, unit: str, step: float) -> Contributions:
    """Mean of (prompt,) values with equal weights for all cells, without NaN."""
    cells = np.zeros(values.size, np.int64)
    one = np.ones((1, 1))
    (mean,) = contrasts(values, cells, one, clusters, names=("any",), step=step, unit=unit)
    return mean
