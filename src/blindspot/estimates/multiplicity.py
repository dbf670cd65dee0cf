"""The family-wise error rate of a run: Holm within a family, Bonferroni between families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p_values: ArrayLike, size: int = 0) -> Floats:
    """Holm-adjusted p-values; comparing each with alpha holds the error rate.

    A NaN (nothing was measured) counts as 1: a missing test must not make the others easier.

    Args:
        p_values: (..., test); every row is adjusted by itself.
        size: tests of the family, if there are more than these; the p of the others is 1.

    Returns:
        (..., test), in the order given.

    Raises:
        ValueError: a p-value does not lie between 0 and 1.
    """
    known = np.asarray(p_values, np.float64)
    known = np.where(np.isnan(known), 1.0, known)
    if not ((known >= 0.0) & (known <= 1.0)).all():
        raise ValueError("p-values lie between 0 and 1")
    present = known.shape[-1]
    order = np.argsort(known, axis=-1, kind="stable")
    factors = max(size, present) - np.arange(present)
    ranked = np.minimum(1.0, np.take_along_axis(known, order, -1) * factors)
    adjusted = np.empty_like(known)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(ranked, axis=-1), -1)
    return adjusted


def holm_by_family(
    p_values: ArrayLike,
    families: Sequence[Hashable],
    sizes: Mapping[Hashable, int] | None = None,
) -> Floats:
    """Holm within each family, times the number of families, so that alpha is shared evenly.

    Otherwise hundreds of gates on single words would cost the few gates on categories their power.
    Compare every result with the alpha of the whole run.

    Args:
        p_values: (..., test).
        families: (test,), the family of each.
        sizes: tests of every family of the run, where not all of them are among these.
    """
    known = np.asarray(p_values, np.float64)
    sizes = Counter(families) if sizes is None else sizes
    adjusted = np.ones_like(known)
    for family in dict.fromkeys(families):
        at = [place for place, one in enumerate(families) if one == family]
        adjusted[..., at] = np.minimum(1.0, len(sizes) * holm(known[..., at], sizes[family]))
    return adjusted
