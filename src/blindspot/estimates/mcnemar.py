"""Failures of two models on the same prompts: McNemar's exact test as an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from blindspot.estimates.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Discordant(Estimate):
    """Change of the share of failures, with exact p-values.

    Only prompts that one of the two models fails say anything: ``worse`` are failed by the
    candidate alone, ``better`` by the other one alone. As many are expected of both if nothing
    changed. A limit forgives its share of all ``n`` prompts.
    """

    worse: int = 0
    better: int = 0

    def p_above(self, limit: float) -> float:
        """Chance of as many failures of the candidate alone, if its change is ``limit``."""
        if math.isinf(limit):
            return float(limit > 0)
        forgiven = math.floor(limit * self.n + 1e-9)
        worse = max(0, self.worse - max(0, forgiven))
        better = self.better + max(0, -forgiven)
        return _at_least(worse, worse + better)

    def p_below(self, limit: float) -> float:
        """Chance of as few failures of the candidate alone, if its change is ``limit``."""
        if math.isinf(limit):
            return float(limit < 0)
        forgiven = math.ceil(limit * self.n - 1e-9)
        better = self.better + max(0, forgiven)
        worse = self.worse + max(0, -forgiven)
        return _at_least(better, worse + better)


def _at_least(hits: int, of: int) -> float:
    """Probability of at least so many heads of so many throws; 1 of none."""
    from scipy.special import bdtrc

    return float(bdtrc(hits - 1, of, 0.5)) if hits > 0 else 1.0


def mcnemar(ours: ArrayLike, theirs: ArrayLike) -> Estimate:
    """Change of the share of failures, candidate minus other.

    Args:
        ours: (prompt,) 1 where the candidate fails, 0 where it does not; NaN where nothing is
            known, which leaves the prompt out.
        theirs: the same of the other model, prompt by prompt.
    """
    one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    known = ~(np.isnan(one) | np.isnan(other))
    n = int(known.sum())
    if not n:
        return Estimate.unmeasured("no prompt was answered by both", unit="difference")
    worse, better = (int((sign * (one - other)[known] > 0).sum()) for sign in (1, -1))
    return Discordant(
        value=(worse - better) / n,
        standard_error=math.sqrt(max(1, worse + better)) / n,
        n=n,
        clusters=n,
        df=float(max(1, n - 1)),
        unit="difference",
        worse=worse,
        better=better,
    )
