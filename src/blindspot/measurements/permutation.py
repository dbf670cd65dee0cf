"""Permutation test: the chance that two kinds of things separate as clearly with shuffled labels.

With three words of a kind, bounds by a t distribution say next to nothing at the error rates that
many layers ask for (2 degrees of freedom), and a correction for each layer counts layers as if they
were independent. Permuting the words makes no assumption about their spread, and every permutation
takes the maximum over layers, which accounts for the correlation between layers (Westfall and Young
1993). It is exact if words of both kinds are exchangeable, as they are for a network with random
weights.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 5000
"""Most permutations: all up to this number (3,432 of seven and seven), else a random sample."""

SEED = 0

_ROUNDING = 1e-9


def chance(ours: Floats, theirs: Floats, *, least: float = 0.0) -> Floats:
    """One-sided p-values of the null hypothesis "theirs are not higher than ours".

    Each is the share of permutations in which *any* column separates the two kinds as clearly as
    this column separates the true ones: the family-wise error rate over all columns is controlled.

    Args:
        ours: (thing, column).
        theirs: (thing, column), the same columns.
        least: columns that vary too little for any permutation to separate them by this much are
        not tested.

    Returns:
        (column,); 1 for a column that is not tested, or holds NaN.
    """
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"(thing, column) of the same columns, not {ours.shape}, {theirs.shape}")
    if not len(ours) or not len(theirs):
        return np.ones(ours.shape[1])
    values = np.concatenate([ours, theirs])
    values = values - values.mean(axis=0)
    spread = np.sqrt(np.square(values).mean(axis=0))
    # For a given spread, means of two parts differ most if each part is constant.
    needed = least * np.sqrt(len(ours) * len(theirs)) / len(values)
    tried = spread > max(needed, _ROUNDING)  # False for NaN
    # Columns are comparable in units of the overall spread, which no permutation changes.
    scaled = np.divide(values, spread, out=np.zeros_like(values), where=tried)
    marked = _exchanges(len(ours), len(theirs))
    parted = (marked / len(theirs) - ~marked / len(ours)) @ scaled
    largest = parted.max(axis=1)
    shares = (largest[:, None] >= parted[0] - _ROUNDING).mean(axis=0)
    return np.where(tried, shares, 1.0)


def least_chance(ours: int, theirs: int) -> float:
    """The smallest p-value that this many things of two kinds can reach."""
    return 1.0 / min(comb(ours + theirs, ours), MOST)


@lru_cache(maxsize=64)
def _exchanges(ours: int, theirs: int) -> NDArray[np.bool_]:
    """(permutation, thing) what counts as theirs; the first row is the true labelling."""
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
