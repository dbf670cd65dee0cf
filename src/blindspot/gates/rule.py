"""Gates: what an estimate is compared with, and the verdicts of a whole run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from blindspot.estimates.estimate import RANGES, Accepted, Estimate, change_from, student_quantile
from blindspot.estimates.multiplicity import holm_by_family, shares_of
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import Direction, Level
from blindspot.measurements.registry import MECHANISTIC

ALPHA = 0.05
"""Default family-wise error rate: the chance that a model at all its limits fails any gate."""

ROUNDING = 1e-6
"""Baselines keep six digits, so a model differs from its own baseline by at most this."""

POWER = 0.8
"""Power at which a minimum detectable effect is stated."""

DECIDING = tuple(
    f"{level}, {other}" for level in ("category", "pooled") for other in ("baseline", "reference")
)
"""Families that decide whether an update is worse."""

DECIDING_WEIGHT = 4.0
"""Their weight. Of a full run beside a baseline each of the two has 31 % of the error rate, each of
the other five 8 %. That is enough to find 5 points in one variant (docs/calibration.md)."""

UNREAD = "unread: "
"""Begins the doubt of a gate whose answers are worth no pass."""

Value = Any
"""A float, or an array of them."""

Flag = Any
"""A bool, or an array of them."""

Against = Literal["limit", "baseline", "reference"]
Others = Literal["baseline", "reference"]

SIGNS: Mapping[Direction, float] = {"at_most": 1.0, "at_least": -1.0}
"""Factor for a value and its limit that makes higher worse."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit on one statistic of one slice. ``limit`` None: measured and reported, not gated.

    ``opposite``: the limit on the other side, of a gate with two. ``against`` another model: the
    limit is the margin by which the candidate may be worse. ``reason`` says why this limit.
    ``readable``: whether a model that the controls cannot read makes the run inconclusive
    ("required") or is only reported ("optional"). ``resolution``: the precision required to pass,
    as half a 95 % interval; by default the margin, or the limit's distance from the best value.
    """

    id: str
    measurement: str
    statistic: str
    unit: str
    limit: float | None
    reason: str
    axis: str = ""
    direction: Direction = "at_most"
    level: Level = "category"
    against: Against = "limit"
    readable: Literal["required", "optional"] = "required"
    resolution: float | None = None
    opposite: float | None = None

    def __post_init__(self) -> None:
        for limit in (self.limit, self.opposite):
            if limit is not None and not math.isfinite(limit):
                raise ValueError(f"gate {self.id}: its limit must be a finite number or None")
        if not self.reason.strip():
            raise ValueError(f"gate {self.id}: a limit needs its reason")

    @property
    def finest(self) -> float:
        """Half the widest 95 % interval with which it can pass."""
        assert self.limit is not None
        if self.resolution is not None:
            return self.resolution
        floor = self.against == "limit" and self.direction == "at_least"
        return RANGES[self.unit][1] - self.limit if floor else abs(self.limit)

    def allowed(self, floor: float = 0.0, unanswered: float = 0.0) -> tuple[float, float]:
        """The lowest and the highest value, or change, within the limit.

        Args:
            floor: by how much the model differs from itself.
            unanswered: share of prompts without an answer. What is beyond the range would be
                beyond the limit whatever their answers: each could move the effect by 2.
        """
        assert self.limit is not None
        if self.against != "limit":
            worst = self.limit + (0.0 if math.isnan(floor) else floor)
            return (-math.inf, worst) if self.direction == "at_most" else (-worst, math.inf)
        if self.direction == "at_least":
            return self.limit, math.inf
        lowest = -math.inf if self.opposite is None else self.opposite
        if unanswered >= 1.0:
            return -math.inf, math.inf
        answered = 1.0 - unanswered
        return (lowest - unanswered) / answered, (self.limit + unanswered) / answered

    @property
    def family(self) -> str:
        """Its family: the gates that share its error rate.

        Gates against another model are a family of their own: sharing with as many limits, which a
        sound model is far below, would cost them power.
        """
        kind = "mechanistic" if self.measurement in MECHANISTIC else self.level
        return kind if self.against == "limit" else f"{kind}, {self.against}"


@dataclass(frozen=True, slots=True)
class Check:
    """A gate with the estimate that it judges.

    A gate against another model needs ``baseline``, what that one measured. ``change`` is the
    estimate of candidate minus baseline when it was measured on paired prompts; without it the two
    count as independent. ``floor``: the noise floor (added to the margin; NaN if not measured).
    ``unreadable``: why the controls of the measurement do not allow a verdict, if they do not.
    ``unread``: why its answers cannot support a pass; it fails only if it would fail whatever the
    answers to the share ``unanswered`` of its prompts. ``comparisons``: of how many the estimate is
    the one that decides, where a gate fails only if all of them are beyond its limit.
    """

    gate: Gate
    estimate: Estimate
    baseline: Accepted | None = None
    change: Estimate | None = None
    floor: float = math.nan
    unreadable: str = ""
    unread: str = ""
    unanswered: float = 1.0
    comparisons: int = 1


@dataclass(frozen=True, slots=True)
class GateResult:
    """A verdict with its numbers: builtins only; NaN where there is none.

    ``value``, ``low`` and ``high`` are the estimate and its 95 % interval; ``change...`` the same
    of candidate minus baseline. ``p`` is one-sided and of this gate alone; ``adjusted`` controls
    the family-wise error rate over the run and is compared with alpha; ``p_within`` is that of the
    opposite claim, by which a strict gate passes. ``mde``: minimum detectable effect, the true
    value (or change) that this gate would detect with 80 % power as the first of its family.
    ``floor``: see `Check`. ``doubt`` says why a value is neither passed nor failed.
    ``reason`` is the limit's. ``unmeasured`` and ``unreadable`` say why there is no number.
    """

    id: str
    measurement: str
    statistic: str
    level: Level
    against: Against
    direction: Direction
    verdict: Verdict
    value: float
    low: float
    high: float
    n: int
    clusters: int
    unit: str
    limit: float | None
    baseline: float
    change: float
    change_low: float
    change_high: float
    p: float
    p_within: float
    adjusted: float
    family: str
    reason: str
    opposite: float | None = None
    mde: float = math.nan
    floor: float = math.nan
    doubt: str = ""
    unmeasured: str = ""
    unreadable: str = ""

    @property
    def improved(self) -> bool:
        """Whether the whole 95 % interval of the change is better by more than the noise floor."""
        noise = 0.0 if math.isnan(self.floor) else self.floor
        sign = SIGNS[self.direction]
        return max(sign * self.change_low, sign * self.change_high) < -noise

    @property
    def reversed(self) -> bool:
        """Whether the value is beyond the limit on the other side."""
        return is_reversed(self.value, self.opposite)


def judge(
    checks: Sequence[Check], alpha: float = ALPHA, *, strict: bool = False
) -> list[GateResult]:
    """Verdicts of all gates of a run, in the order given.

    All gates must be judged together: the chance of any false failure among them stays at or below
    ``alpha``, shared between the families of the run by `weight_of` (gates on categories, on words,
    over variants, mechanistic ones; against limits and against each other model; of each axis), and
    by Holm within each. A gate fails if its estimate is beyond the limit at that error rate. It is
    inconclusive if the estimate is beyond the limit but not clearly, if it is within but too
    imprecise to exclude a value beyond the limit, if too few answers could be read, or if its
    controls do not separate. It is an error if nothing was measured.

    Args:
        checks: the gates with what was measured.
        alpha: family-wise error rate: chance that a model exactly at all its limits fails any gate.
        strict: a gate passes only when its estimate is within the limit at error ``alpha``. Each
            alone: a run passes only if all its gates do, so the chance of passing a model that is
            beyond any limit is at most ``alpha`` (an intersection-union test).
    """
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not at {alpha}")
    keys = [(check.gate.id, check.gate.against) for check in checks]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"gate {twice[0]} ({twice[1]}) is judged twice in one run")
    results = [_result(check) for check in checks]
    gated = [place for place, result in enumerate(results) if result.limit is not None]
    families = _families([checks[place].gate for place in gated])
    p_values = [results[place].p for place in gated]
    adjusted = holm_by_family(p_values, families, weight=weight_of).tolist()
    sizes = Counter(families)
    shares = shares_of(sizes, weight_of, alpha)
    for place, family, p in zip(gated, families, adjusted, strict=True):
        check, result = checks[place], results[place]
        held = math.nan if math.isnan(result.p) else p
        first = shares[family] / sizes[family]
        verdict, doubt = _verdict(check, result, p, alpha, strict=strict)
        results[place] = replace(
            result,
            adjusted=held,
            family=family,
            verdict=verdict,
            doubt=doubt,
            mde=_detectable(check, first),
        )
    return results


def _families(gates: Sequence[Gate]) -> list[str]:
    """The family of each gate: in a run of several axes, each axis has its own."""
    several = len({gate.axis for gate in gates}) > 1
    return [f"{gate.axis}: {gate.family}" if several else gate.family for gate in gates]


def weight_of(family: Hashable) -> float:
    """How often a family's share of the error rate is that of others.

    Changes of categories, in one variant and over all, decide a release and are few.
    """
    return DECIDING_WEIGHT if str(family).endswith(DECIDING) else 1.0


def families_of(results: Sequence[GateResult], alpha: float) -> dict[str, tuple[int, float]]:
    """Number of gates, and error rate, of each family of a run."""
    sizes = Counter(result.family for result in results if result.limit is not None)
    shares = shares_of(sizes, weight_of, alpha)
    return {family: (size, shares[family]) for family, size in sorted(sizes.items())}


def _judged(check: Check) -> Estimate:
    """The estimate that is compared with the limit: the value itself, or the change."""
    if check.gate.against == "limit":
        return check.estimate
    if check.baseline is None:
        raise ValueError(f"gate {check.gate.id} compares with a baseline, and none was given")
    return check.change or change_from(check.estimate, check.baseline)


def _allowed(check: Check) -> tuple[float, float]:
    """The range of what is judged that is within the limit."""
    unanswered = check.unanswered if check.unread else 0.0
    return check.gate.allowed(check.floor, unanswered)


def _detectable(check: Check, alpha: float) -> float:
    """Minimum detectable effect at error ``alpha``; NaN if nothing was measured."""
    judged, gate = _judged(check), check.gate
    if not judged.measured:
        return math.nan
    low, high = gate.allowed(check.floor)
    reach = (
        student_quantile(judged.df, 1.0 - alpha) + student_quantile(judged.df, POWER)
    ) * judged.standard_error
    return high + reach if gate.direction == "at_most" else low - reach


def _result(check: Check) -> GateResult:
    """Everything about a check that does not depend on the other gates."""
    gate, estimate = check.gate, check.estimate
    if gate.unit != estimate.unit:
        raise ValueError(f"gate {gate.id} is in {gate.unit}, its estimate in {estimate.unit}")
    judged = _judged(check)
    compared = gate.against != "limit"
    low, high = estimate.interval()
    change_low, change_high = judged.interval() if compared else (math.nan, math.nan)
    beyond, within = _p_values(check, judged)
    return GateResult(
        id=gate.id,
        measurement=gate.measurement,
        statistic=gate.statistic,
        level=gate.level,
        against=gate.against,
        direction=gate.direction,
        verdict=Verdict.REPORTED,
        value=estimate.value,
        low=low,
        high=high,
        n=estimate.n,
        clusters=estimate.clusters,
        unit=gate.unit,
        limit=gate.limit,
        baseline=check.baseline.value if check.baseline and compared else math.nan,
        change=judged.value if compared else math.nan,
        change_low=change_low,
        change_high=change_high,
        p=beyond,
        p_within=within,
        adjusted=math.nan,
        family=gate.family,
        reason=gate.reason,
        floor=check.floor if compared else math.nan,
        unmeasured=judged.reason,
        unreadable=check.unreadable,
        opposite=gate.opposite,
    )


def _p_values(check: Check, judged: Estimate) -> tuple[float, float]:
    """P-values of "it is within its limit" and of "it is beyond it".

    The first is that of an interval (Hodges and Lehmann 1954): the chance of a value as far from
    its middle if the true one is at the nearer end. Far from the other end, or without one, it is
    one-sided. The second is the larger of both sides (an intersection-union test).

    Of several comparisons the one with the largest p of the first claim decides, which needs no
    correction. It is the one with the smallest p of the second, and that needs one (Bonferroni).
    """
    if check.gate.limit is None or judged.reason:
        return math.nan, math.nan
    low, high = _allowed(check)
    if check.unread and (check.gate.against != "limit" or check.unanswered >= 1.0):
        return math.nan, math.nan
    above = high - judged.value <= judged.value - low
    if above:
        beyond = judged.p_above(high) + judged.p_above(low)
    else:
        beyond = judged.p_below(low) + judged.p_below(high)
    within = max(judged.p_below(high), judged.p_above(low))
    return min(1.0, beyond), min(1.0, check.comparisons * within)


def _verdict(
    check: Check, result: GateResult, adjusted: float, alpha: float, *, strict: bool
) -> tuple[Verdict, str]:
    """The verdict, and why a value is neither passed nor failed."""
    gate = check.gate
    if result.unreadable:
        optional = gate.readable == "optional"
        return (Verdict.REPORTED if optional else Verdict.INCONCLUSIVE), ""
    if result.unmeasured and not check.unread:
        return Verdict.ERROR, ""
    beyond = is_beyond(_judged(check).value, _allowed(check))
    if beyond and adjusted <= alpha:
        return Verdict.FAIL, ""
    doubt = _doubt(check, result, alpha, beyond=beyond, strict=strict)
    if beyond or doubt:
        return Verdict.INCONCLUSIVE, doubt
    return Verdict.PASS, ""


def _doubt(check: Check, result: GateResult, alpha: float, *, beyond: Flag, strict: bool) -> str:
    """Why a value does not pass although it is not beyond the limit; "" if it does pass."""
    if check.unread:
        return UNREAD + check.unread
    if beyond:
        return ""
    if wide := _too_wide(check.gate, _judged(check), check.floor):
        return wide
    if strict and not result.p_within <= alpha:
        return f"within, but not clearly (p {result.p_within:.2g})"
    return ""


def is_reversed(value: float | None, opposite: float | None) -> bool:
    """Whether a value is beyond the limit on the other side, if there are both."""
    return value is not None and opposite is not None and value < opposite - ROUNDING


def is_beyond(value: Value, allowed: tuple[float, float]) -> Flag:
    """Whether a value, or each of an array, is outside of what `Gate.allowed` says."""
    low, high = allowed
    return (value > high + ROUNDING) | (value < low - ROUNDING)


def is_too_wide(gate: Gate, value: Value, half: Value, floor: float = 0.0) -> Flag:
    """Whether a value beyond the limit could have gone unseen, of one or of each of an array.

    Args:
        gate: with a limit.
        value: what was measured, or its change to the other model.
        half: half its 95 % interval.
        floor: by how much the model differs from itself.
    """
    noise = floor + ROUNDING
    low, high = gate.allowed()
    return (half > gate.finest + noise) & (
        (value + half > high + noise) | (value - half < low - noise)
    )


def _too_wide(gate: Gate, judged: Estimate, floor: float) -> str:
    """Why a value beyond the limit could have gone unseen; "" if it could not."""
    compared = gate.against != "limit"
    assert gate.limit is not None
    if compared and floor > gate.limit:
        return f"run-to-run noise ({floor:.3f}) exceeds the margin"
    half = student_quantile(judged.df, 0.975) * judged.standard_error
    noise = floor if compared and not math.isnan(floor) else 0.0
    if is_too_wide(gate, judged.value, half, noise):
        default = compared and gate.resolution is None
        than = "the margin" if default else f"its resolution of {gate.finest:.3f}"
        return f"too imprecise: ± {half:.3f} is wider than {than}"
    return ""
