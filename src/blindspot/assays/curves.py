"""Means by layer with their intervals, for reports and plots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blindspot.assays.base import Curve, finished
from blindspot.estimates import Clusters, Estimate, mean_estimate

Floats = NDArray[np.float64]


def by_layer(
    name: str,
    reading: str,
    quantity: str,
    values: Floats,
    clusters: Clusters,
    *,
    step: float,
    unit: str = "curve",
) -> Curve:
    """Means of values (vector, cell, layer), NaN left out.

    Args:
        name: what is shown.
        reading: which reading of the assay.
        quantity: what the values are.
        values: (vector, cell, layer).
        clusters: of (vector, cell), flat.
        step: what one value may be off by.
        unit: whose range intervals are held to.
    """
    at = tuple(map(str, range(values.shape[2])))
    found = [
        mean_estimate(values[:, :, layer].ravel(), clusters=clusters, unit=unit, step=step)
        for layer in range(values.shape[2])
    ]
    return drawn(name, reading, quantity, at, found)


def drawn(
    name: str, reading: str, quantity: str, at: tuple[str, ...], found: list[Estimate]
) -> Curve:
    """A curve through estimates."""
    table = np.array([[one.value, *one.interval()] for one in found])
    values, low, high = (tuple(finished(column)) for column in table.T)
    return Curve(name, reading, quantity, at, values, low, high)
