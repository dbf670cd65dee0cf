"""How easily chance would part two kinds of things so far: by exchanging which is of which kind.

With three words of a kind, bounds by a t distribution say next to nothing at the error rates that
many layers ask for (2 degrees of freedom), and a correction for each layer counts layers as if they
were independent. Exchanging the words makes no assumption on their spread, and the largest of all
layers is taken in every exchange, so that what layers share is shared there as well (Westfall and
Young 1993). It is exact where words of both kinds are alike, as all words are to a network with
random weights.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 5000
"""Exchanges: all of them up to so many (3,432 of seven and seven), else so many drawn ones."""

SEED = 0

_ROUNDING = 1e-9


def chance(ours: Floats, theirs: Floats, *, least: float = 0.0) -> Floats:
    """One-sided p-values of "theirs lie no higher than ours: all are alike".

    Each is the share of exchanges in which *any* column parts the two kinds as clearly as this
    column parts the true ones: the chance of one false alarm among all columns is held.

    Args:
        ours: (thing, column).
        theirs: (thing, column), the same columns.
        least: columns that vary so little that no exchange could part them by this much are not
            among those that are tried.

    Returns:
        (column,); 1 for a column that is not tried, or holds NaN.
    """
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"(thing, column) of the same columns, not {ours.shape}, {theirs.shape}")
    if not len(ours) or not len(theirs):
        return np.ones(ours.shape[1])
    values = np.concatenate([ours, theirs])
    values = values - values.mean(axis=0)
    spread = np.sqrt(np.square(values).mean(axis=0))
    # Means of two parts differ most for the same spread where each part is all alike.
    needed = least * np.sqrt(len(ours) * len(theirs)) / len(values)
    tried = spread > max(needed, _ROUNDING)  # False for NaN
    # In units of the spread of all, which no exchange changes, columns can be compared.
    scaled = np.divide(values, spread, out=np.zeros_like(values), where=tried)
    marked = _exchanges(len(ours), len(theirs))
    parted = (marked / len(theirs) - ~marked / len(ours)) @ scaled
    largest = parted.max(axis=1)
    shares = (largest[:, None] >= parted[0] - _ROUNDING).mean(axis=0)
    return np.where(tried, shares, 1.0)


def least_chance(ours: int, theirs: int) -> float:
    """The smallest p-value that so many things of two kinds can have."""
    return 1.0 / min(comb(ours + theirs, ours), MOST)


@lru_cache(maxsize=64)
def _exchanges(ours: int, theirs: int) -> NDArray[np.bool_]:
    """(exchange, thing) who counts as theirs; the first is the truth."""
    size = ours + theirs
    if comb(size, theirs) > MOST:
        drawn = np.random.default_rng(SEED).random((MOST, size))
        marked = drawn.argsort(axis=1).argsort(axis=1) < theirs
        marked[0] = np.arange(size) >= ours
    else:
        chosen = np.array(list(combinations(range(size), theirs)))[::-1]  # the truth comes last
        marked = np.zeros((len(chosen), size), np.bool_)
        np.put_along_axis(marked, chosen, values=True, axis=1)
    marked.flags.writeable = False
    return marked
