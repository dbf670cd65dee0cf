"""The family-wise error rate of a run: Holm within a family, Bonferroni between families."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values in the order given; comparing each with alpha controls the error rate.

    A NaN (nothing was measured) counts as 1: a missing test must not make the others easier.
    """
    known = [1.0 if math.isnan(p) else p for p in p_values]
    if not all(0.0 <= p <= 1.0 for p in known):
        raise ValueError("p-values lie between 0 and 1")
    adjusted = [1.0] * len(known)
    running = 0.0
    for rank, place in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        running = max(running, min(1.0, (len(known) - rank) * known[place]))
        adjusted[place] = running
    return adjusted


def holm_by_family(p_values: Sequence[float], families: Sequence[Hashable]) -> list[float]:
    """Holm within each family, times the number of families, so that alpha is shared evenly.

    Otherwise hundreds of gates on single pairs would cost the few gates on categories their power.
    Compare every result with the alpha of the whole run.
    """
    members: dict[Hashable, list[int]] = {}
    for place, family in enumerate(families):
        members.setdefault(family, []).append(place)
    adjusted = [1.0] * len(p_values)
    for places in members.values():
        for place, p in zip(places, holm([p_values[i] for i in places]), strict=True):
            adjusted[place] = min(1.0, len(members) * p)
    return adjusted
