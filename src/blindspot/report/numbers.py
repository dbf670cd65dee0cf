"""Numbers in reports: in the record, where a missing one is None, and in words."""

from __future__ import annotations

import math

from blindspot.estimates import Estimate
from blindspot.report.schema import Figure

MINUS = "\N{MINUS SIGN}"
#: A figure that could not be measured, or that does not apply.
NONE = "\N{EN DASH}"
_NARROW = "\N{NO-BREAK SPACE}"


def signed(value: float | None, digits: int = 2) -> str:
    """A number with its sign; zero after rounding has none."""
    if value is None:
        return NONE
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def plain(value: float | None, digits: int = 2) -> str:
    """A number that needs no sign: a limit, a margin."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def limits(limit: float | None, opposite: float | None = None, unit: str = "") -> str:
    """The limit of a gate, or both."""
    if limit is not None and opposite == -limit:
        return f"±{plain(limit)}"
    one = percent(limit) if unit == "share" else plain(limit)
    return one if opposite is None else f"{plain(opposite)} to {one}"


def percent(value: float | None) -> str:
    """A share."""
    return NONE if value is None else f"{100 * value:.0f}{_NARROW}%".replace("-", MINUS)


def figure(value: float | None, unit: str) -> str:
    """A value in its unit: shares in per cent, everything else with its sign."""
    return percent(value) if unit == "share" else signed(value)


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Both ends of an interval."""
    if low is None or high is None:
        return NONE
    if unit == "share":
        return f"{100 * low:.0f} to {percent(high)}".replace("-", MINUS)
    return f"{figure(low, unit)} to {figure(high, unit)}"


def probability(p: float | None) -> str:
    """A p-value with two significant digits."""
    if p is None:
        return NONE
    return "<\N{NO-BREAK SPACE}0.0001" if p < 0.0001 else f"{p:.2g}"


def tiny(share: float | None) -> str:
    """A probability that may be of any size, with two significant digits."""
    return NONE if share is None else f"{share:.2g}"


def stereotyped_share(effect: float) -> str:
    """An effect as the equivalent share of stereotyped answers."""
    return percent((1 + effect) / 2)


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


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
