"""The noise floor: by how much a model differs from itself (an A/A test).

The same prompts are asked again in another batch size and order. Differences that go either way
average out over the prompts of a gate; a shift in one direction does not. Two runs of the *same*
model would show both, so a gate allows for them on top of its margin.

Gates on the residual stream have no prompts to sample. Instead whole figures are measured twice,
and the largest difference of any is the noise floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEAST = 8
"""Fewer prompts answered both times give no noise floor."""

_ONE_SIDED = 1.645  # the 95 % quantile of a normal distribution


@dataclass(frozen=True, slots=True)
class Noise:
    """Differences of the same prompts asked twice, or of the same figures measured twice.

    All in the unit of the estimate. ``shift``: mean difference; ``spread``: root mean square of the
    differences; ``most``: the largest, whatever its sign; ``n``: prompts, or figures.
    """

    shift: float
    spread: float
    most: float
    n: int

    @classmethod
    def between(cls, first: ArrayLike, again: ArrayLike, *, least: int = LEAST) -> Noise:
        """From (prompt,) values of both times; NaN, without an answer, is omitted.

        ``least``: fewer prompts answered both times give no noise floor.
        """
        one, other = np.asarray(first, np.float64), np.asarray(again, np.float64)
        if one.shape != other.shape or one.ndim != 1:
            raise ValueError(f"values of the same prompts, not {one.shape} and {other.shape}")
        both = (other - one)[~np.isnan(one) & ~np.isnan(other)]
        if both.size < least:
            return cls(math.nan, math.nan, math.nan, int(both.size))
        spread = float(np.sqrt(np.square(both).mean()))
        return cls(float(both.mean()), spread, float(np.abs(both).max()), int(both.size))

    def floor(self, n: int) -> float:
        """The noise floor of an estimate from ``n`` prompts; NaN if not measured.

        The part of the shift that is beyond chance counts in full, the rest by the square root of
        the number of prompts, at 95 %.
        """
        if math.isnan(self.shift):
            return math.nan
        certain = max(0.0, abs(self.shift) - _ONE_SIDED * self.spread / math.sqrt(self.n))
        return certain + _ONE_SIDED * self.spread / math.sqrt(max(n, 1))
