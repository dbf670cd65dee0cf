"""The one line that a gate prints: who, measured, allowed, against what, and the next step."""

from __future__ import annotations

import math

from blindspot.gates.rule import GateResult
from blindspot.gates.verdict import Verdict
from blindspot.measurements.registry import MEASUREMENTS, STATISTICS

ROUNDED = 0.0005
"""Noise below this is not mentioned."""


def first_line(
    result: GateResult,
    *,
    model: str = "",
    worst: str = "",
    controls: str = "",
    next_step: str = "",
) -> str:
    """One line with the numbers; ``±`` is half the 95 % interval.

    ``model`` names the candidate, ``worst`` the pair that contributes most, ``controls`` the
    controls of a figure of the residual stream, ``next_step`` what to do, such as the command that
    accepts the value.
    """
    line = f"{result.id}: {_body(result)}"
    if model:
        line += f", {model}"
    if worst:
        line += f"; worst pair {worst}"
    if controls:
        line += f"; {controls}"
    return f"{line}. {next_step}" if next_step else line


def _body(result: GateResult) -> str:
    known = STATISTICS.get(result.statistic)
    label = known.label if known else result.statistic
    if result.unreadable:
        told = "reported and not gated" if result.verdict is Verdict.REPORTED else "inconclusive"
        return f"{label} {told}, the model cannot be read: {result.unreadable}"
    if result.verdict is Verdict.ERROR:
        return f"{label} not measured: {result.unmeasured}"
    if result.unmeasured and result.doubt:
        return f"{label} {result.verdict}: {result.doubt}"
    if result.limit is None:
        measured = f"not measured ({result.unmeasured})" if result.unmeasured else _numbers(result)
        return f"{label} {measured}, reported and not gated: {result.reason}"
    return f"{label} {_numbers(result)}{_judged(result)}"


def _judged(result: GateResult) -> str:
    """The grounds for the verdict, after the numbers."""
    if result.verdict is Verdict.PASS:
        return ", improved" if result.improved else ""
    if result.doubt:
        return f", {result.verdict}: {result.doubt}"
    side = ", reversed: it favors the other group" if result.reversed else ""
    doubt = f"p {_p(result.p)} alone, {_p(result.adjusted)} over the run"
    size = f"{result.n} {_counted(result)}, {result.clusters} clusters"
    if result.verdict is Verdict.FAIL:
        return f"{side}, {doubt}, {size}"
    return f"{side}, beyond it but not clearly ({doubt}), {size}; more wordings would settle it"


def _counted(result: GateResult) -> str:
    """What ``n`` counts: assays read a prompt many times, with several vectors and questions."""
    return MEASUREMENTS[result.measurement].counted


def _numbers(result: GateResult) -> str:
    """Measured and allowed, with enough digits to tell them apart."""
    if result.limit is None:
        return _around(result.value, result.low, result.high, 2)
    if result.against != "limit":
        digits = _digits(abs(result.change), result.limit)
        now = _around(result.value, result.low, result.high, digits)
        change = _around(result.change, result.change_low, result.change_high, digits, "+")
        old = f"{result.baseline:.{digits}f}"
        noise = f" + {result.floor:.{digits}f} noise" if result.floor > ROUNDED else ""
        allowed = f"margin {result.limit:.{digits}f}{noise}"
        return f"{now}, {result.against} {old} (change {change}, {allowed})"
    digits = _digits(result.value, result.limit)
    now = _around(result.value, result.low, result.high, digits)
    if result.opposite == -result.limit:
        return f"{now}, limit ±{result.limit:.{digits}f}"
    if result.opposite is not None:
        return f"{now}, limits {result.opposite:.{digits}f} and {result.limit:.{digits}f}"
    kind = "limit" if result.direction == "at_most" else "floor"
    return f"{now}, {kind} {result.limit:.{digits}f}"


def _digits(value: float, limit: float) -> int:
    same = (digits for digits in (2, 3, 4) if f"{value:.{digits}f}" != f"{limit:.{digits}f}")
    return 2 if value == limit else next(same, 5)


def _around(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    # The longer side: the other one may have been clipped to what the unit allows.
    half = max(high - value, value - low)
    text = f"{value:{sign}.{digits}f}"
    return text if math.isnan(half) else f"{text} ± {half:.{digits}f}"


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"
