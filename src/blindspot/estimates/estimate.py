"""One measured number with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

INTERVAL_LEVEL = 0.95
"""Level of every interval that is shown. Gates use p-values, adjusted over the run, instead."""

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"effect": (-1.0, 1.0), "share": (0.0, 1.0), "difference": (-2.0, 2.0)}
)
"""What a value of a unit can be; bounds are clipped to it. Other units are unbounded."""


def student(df: float, value: float) -> float:
    """Probability that Student's t with ``df`` degrees of freedom is at most ``value``."""
    from scipy.special import stdtr  # nothing that only collects tests waits for it

    return float(stdtr(df, value))


def student_quantile(df: float, share: float) -> float:
    """The value that Student's t with ``df`` degrees of freedom stays below in this share."""
    from scipy.special import stdtrit

    return float(stdtrit(df, share))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its uncertainty. Builtin floats and ints only.

    ``n`` counts the prompts behind it, ``clusters`` the levels of the cluster factor that has
    fewest, ``df`` is the degrees of freedom of the t distribution of ``value``. Too little data is
    *unmeasured*: NaN value and standard error, and a ``reason``; never 0.
    """

    value: float
    standard_error: float
    n: int
    clusters: int
    df: float
    unit: str
    reason: str = ""

    def __post_init__(self) -> None:
        numbers = (self.value, self.standard_error, self.df)
        if self.reason:
            if not all(math.isnan(number) for number in numbers):
                raise ValueError(f"an estimate with a reason not to exist has no value: {self!r}")
        elif not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"an estimate without a value needs a reason: {self!r}")
        elif self.standard_error <= 0 or self.df <= 0:
            raise ValueError(f"standard error and df of an estimate must be above 0: {self!r}")

    @classmethod
    def unmeasured(cls, reason: str, *, unit: str, n: int = 0) -> Self:
        """Not enough data for a value; ``reason`` says what is missing."""
        return cls(math.nan, math.nan, n, 0, math.nan, unit, reason)

    @property
    def measured(self) -> bool:
        """Whether there is a value."""
        return not self.reason

    def interval(self, level: float = INTERVAL_LEVEL) -> tuple[float, float]:
        """Two-sided interval, clipped to what the unit allows."""
        tail = (1.0 - level) / 2.0
        return self.lower(tail), self.upper(tail)

    def lower(self, alpha: float) -> float:
        """One-sided lower bound at error ``alpha``, clipped to the unit's range."""
        return self._clip(self.value - self._quantile(alpha) * self.standard_error)

    def upper(self, alpha: float) -> float:
        """One-sided upper bound at error ``alpha``, clipped to the unit's range."""
        return self._clip(self.value + self._quantile(alpha) * self.standard_error)

    def p_above(self, limit: float) -> float:
        """One-sided p-value of "the true value is at or below ``limit``"; NaN if unmeasured."""
        return student(self.df, (limit - self.value) / self.standard_error)

    def p_below(self, limit: float) -> float:
        """One-sided p-value of "the true value is at or above ``limit``"; NaN if unmeasured."""
        return student(self.df, (self.value - limit) / self.standard_error)

    def _quantile(self, alpha: float) -> float:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"an error rate lies between 0 and 1, not at {alpha}")
        return -student_quantile(self.df, alpha)

    def _clip(self, bound: float) -> float:
        low, high = RANGES.get(self.unit, (-math.inf, math.inf))
        return bound if math.isnan(bound) else min(max(bound, low), high)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A metric as a baseline keeps it. ``df`` None: as many as the candidate has."""

    value: float
    standard_error: float
    n: int
    df: float | None = None

    @property
    def measured(self) -> bool:
        """Whether a candidate can be compared with it."""
        return (
            math.isfinite(self.value)
            and math.isfinite(self.standard_error)
            and self.standard_error >= 0
            and (self.df is None or self.df > 0)
        )


def change_from(estimate: Estimate, baseline: Accepted) -> Estimate:
    """Estimate minus baseline, as if the two were independent.

    They share words and wordings, so this is wider than the paired comparison from per-cluster
    contributions (`Contributions.minus`); it is what can be said from a baseline file alone. The
    degrees of freedom are Welch's.
    """
    unit = "difference" if estimate.unit in ("effect", "share") else estimate.unit
    if not estimate.measured:
        return Estimate.unmeasured(estimate.reason, unit=unit, n=estimate.n)
    if not baseline.measured:
        return Estimate.unmeasured("the baseline holds no value for it", unit=unit, n=estimate.n)
    ours, theirs = estimate.standard_error**2, baseline.standard_error**2
    df = estimate.df if baseline.df is None else baseline.df
    return Estimate(
        value=estimate.value - baseline.value,
        standard_error=math.sqrt(ours + theirs),
        n=estimate.n,
        clusters=estimate.clusters,
        df=(ours + theirs) ** 2 / (ours**2 / estimate.df + theirs**2 / df),
        unit=unit,
    )
