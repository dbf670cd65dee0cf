"""Numbers as reports write them: builtins only, None where there is none."""

from __future__ import annotations

import math

from blindspot.estimates import Estimate
from blindspot.report.schema import Figure


def number(value: float) -> float | None:
    """A float for JSON."""
    return None if math.isnan(value) else value


def estimate_record(estimate: Estimate) -> Figure:
    """An estimate with its 95 % interval."""
    low, high = estimate.interval()
    return Figure(
        value=number(estimate.value),
        standard_error=number(estimate.standard_error),
        low=number(low),
        high=number(high),
        n=estimate.n,
        clusters=estimate.clusters,
        unit=estimate.unit,
        reason=estimate.reason,
    )
