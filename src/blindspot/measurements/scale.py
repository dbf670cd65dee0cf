"""Where readings lie between those of two controls: -1 at the low one, +1 at the high one.

A reading has its own units and zero, which depend on the question; a position does not, so
positions of different questions, layers and models can be averaged and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FARTHEST = 2.0
"""Positions are clipped here: one cell whose controls happen to be close must not decide."""


@dataclass(frozen=True, eq=False)
class Scale:
    """A scale for each cell, (cell, layer): ``middle`` and ``reach`` are half-way and half-width.

    ``usable``: where the controls are far enough apart for a scale; elsewhere ``reach`` is
    meaningless and there are no positions. ``curved``: readings are log-odds (nats), of which the
    last ones are all certainty: positions are then the difference of the two probabilities, without
    the preference that a question has by itself, over that of the controls. Otherwise they are on
    the straight line between these.
    """

    middle: Floats
    reach: Floats
    usable: NDArray[np.bool_]
    curved: bool

    @classmethod
    def between(cls, low: Floats, high: Floats, *, least: float, curved: bool) -> Self:
        """A scale between mean readings of the controls, (cell, layer); NaN where unknown.

        Args:
            low: of the control at -1.
            high: of the one at +1.
            least: least difference in a usable cell, > 0.
            curved: whether readings are log-odds.
        """
        if low.shape != high.shape or least <= 0:
            raise ValueError(f"a scale from {low.shape} to {high.shape} readings, {least} apart")
        usable = high - low >= least
        reach = np.where(usable, high - low, least) / 2.0
        return cls((low + high) / 2.0, reach, usable, curved)

    def positions(self, readings: Floats) -> Floats:
        """Positions of readings (vector, cell, layer), at most `FARTHEST` out; NaN if unusable."""
        found = np.clip(self._unbounded(readings), -FARTHEST, FARTHEST)
        return np.where(self.usable, found, np.nan)

    def slopes(self, readings: Floats) -> tuple[Floats, Floats]:
        """Sensitivity of mean positions to the low and to the high control, (cell, layer).

        0 where a reading is clipped or missing, and where the scale is not usable.
        """
        place = self._unbounded(readings)
        if self.curved:
            shape = np.tanh(self.reach / 2.0)
            shift = -(1.0 - np.tanh((readings - self.middle) / 2.0) ** 2) / (4.0 * shape)
            stretch = place * (1.0 - shape**2) / (4.0 * shape)
        else:
            shift, stretch = -0.5 / self.reach + 0.0 * place, place / (2.0 * self.reach)
        moved = self.usable & (np.abs(place) < FARTHEST)  # False for NaN
        counted = np.maximum(np.count_nonzero(~np.isnan(place), axis=0), 1)
        low, high = (
            np.where(moved, shift + sign * stretch, 0.0).sum(axis=0) / counted
            for sign in (1.0, -1.0)
        )
        return low, high

    def _unbounded(self, readings: Floats) -> Floats:
        if not self.curved:
            return (readings - self.middle) / self.reach
        return np.tanh((readings - self.middle) / 2.0) / np.tanh(self.reach / 2.0)
