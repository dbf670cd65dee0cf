"""The family-wise error rate of a run: Holm within families, weighted Bonferroni between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Family = TypeVar("Family", bound=Hashable)


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


def shares_of(
    families: Collection[Family], weight: Callable[[Family], float], alpha: float = 1.0
) -> dict[Family, float]:
    """What each family has of ``alpha``: the part of its weight in the sum of all."""
    total = sum(map(weight, families))
    return {family: alpha * weight(family) / total for family in families}


def holm_by_family(
    p_values: ArrayLike,
    families: Sequence[Hashable],
    sizes: Mapping[Hashable, int] | None = None,
    weight: Callable[[Hashable], float] = lambda _: 1.0,
) -> Floats:
    """Holm within each family, divided by the share of alpha that the family has.

    Without families, hundreds of gates on single words would cost the few gates on categories their
    power. Compare every result with the alpha of the whole run. Source: Genovese, Roeder &
    Wasserman, False discovery control with p-value weighting, Biometrika 93 (2006): weights that do
    not depend on the data keep the error rate.

    Args:
        p_values: (..., test).
        families: (test,), the family of each.
        sizes: tests of every family of the run, where not all of them are among these.
        weight: of a family; its share of alpha is its part of the sum of all weights.
    """
    known = np.asarray(p_values, np.float64)
    sizes = Counter(families) if sizes is None else sizes
    shares = shares_of(sizes, weight)
    adjusted = np.ones_like(known)
    for family in dict.fromkeys(families):
        at = [place for place, one in enumerate(families) if one == family]
        held = holm(known[..., at], sizes[family])
        adjusted[..., at] = np.minimum(1.0, held / shares[family])
    return adjusted
