"""Gates: what an estimate is held against, and the verdicts of a whole run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Literal

from blindspot.estimates.estimate import Accepted, Estimate, change_from
from blindspot.estimates.messages import first_line
from blindspot.estimates.multiplicity import holm_by_family
from blindspot.estimates.statistics import MECHANISTIC, Direction, Level

ALPHA = 0.05
"""Chance that a run of a model which is at all its limits fails any gate, unless set otherwise."""

ROUNDING = 1e-6
"""Baselines keep six digits, so a model is this far from its own baseline at most."""

Against = Literal["limit", "baseline"]


class Verdict(StrEnum):
    """What a gate says. Only ``pass`` is green; ``reported`` is not a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit on one statistic of one slice. ``limit`` None: measured and reported, not gated.

    ``against="baseline"``: the limit is the margin by which the candidate may be worse. ``reason``
    says why this limit. ``readable``: whether a model that the controls cannot read makes the run
    inconclusive ("required") or is only reported ("optional").
    """

    id: str
    measurement: str
    statistic: str
    unit: str
    limit: float | None
    reason: str
    direction: Direction = "at_most"
    level: Level = "category"
    against: Against = "limit"
    readable: Literal["required", "optional"] = "required"

    def __post_init__(self) -> None:
        if self.limit is not None and not math.isfinite(self.limit):
            raise ValueError(f"gate {self.id}: its limit must be a finite number or None")
        if not self.reason.strip():
            raise ValueError(f"gate {self.id}: a limit needs its reason")

    @property
    def family(self) -> str:
        """The gates that it shares its error rate with."""
        return "mechanistic" if self.measurement in MECHANISTIC else self.level


@dataclass(frozen=True, slots=True)
class Check:
    """A gate with the estimate that it judges.

    A gate against a baseline needs ``baseline``. ``change`` is the estimate of candidate minus
    baseline when it was measured on paired prompts; without it the two count as independent.
    ``unreadable``: why the controls of the measurement do not allow a verdict, if they do not.
    """

    gate: Gate
    estimate: Estimate
    baseline: Accepted | None = None
    change: Estimate | None = None
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class GateResult:
    """A verdict with its numbers: builtins only; NaN where there is none.

    ``value``, ``low`` and ``high`` are the estimate and its 95 % interval; ``change...`` the same
    of candidate minus baseline. ``p`` is one-sided and of this gate alone; ``adjusted`` holds the
    error rate over the run and is what was compared with alpha. ``reason`` is the limit's;
    ``message`` is one line with the numbers. ``unmeasured`` and ``unreadable`` say why there is no
    number.
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
    adjusted: float
    reason: str
    unmeasured: str = ""
    unreadable: str = ""
    message: str = ""

    @property
    def improved(self) -> bool:
        """Whether the whole 95 % interval of the change is on the better side of the baseline."""
        return self.change_high < 0 if self.direction == "at_most" else self.change_low > 0

    def as_record(self) -> dict[str, str | int | float | None]:
        """For JSON: NaN, which JSON does not have, becomes None."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        } | {"verdict": self.verdict.value}


def judge(checks: Sequence[Check], alpha: float = ALPHA) -> list[GateResult]:
    """Verdicts of all gates of a run, in the order given.

    All gates must be judged together: the chance of any false failure among them stays at or below
    ``alpha``, shared evenly between the families of the run (gates on categories, gates on pairs,
    mechanistic gates), and by Holm within each. A gate fails when its estimate is beyond the limit
    at that error rate; is inconclusive when it is beyond the limit but not so clearly, or when its
    controls do not separate; and is an error when nothing was measured.
    """
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not at {alpha}")
    keys = [(check.gate.id, check.gate.against) for check in checks]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"gate {twice[0]} ({twice[1]}) is judged twice in one run")
    results = [_result(check) for check in checks]
    gated = [place for place, result in enumerate(results) if result.limit is not None]
    adjusted = holm_by_family(
        [results[place].p for place in gated], [checks[place].gate.family for place in gated]
    )
    for place, p in zip(gated, adjusted, strict=True):
        result = results[place]
        held = math.nan if result.unmeasured else p
        verdict = _verdict(result, p, alpha, readable=checks[place].gate.readable)
        results[place] = replace(result, adjusted=held, verdict=verdict)
    return [replace(result, message=first_line(result)) for result in results]


def _result(check: Check) -> GateResult:
    """Everything about a check but what depends on the other gates."""
    gate, estimate = check.gate, check.estimate
    if gate.unit != estimate.unit:
        raise ValueError(f"gate {gate.id} is in {gate.unit}, its estimate in {estimate.unit}")
    change, baseline, judged = None, math.nan, estimate
    if gate.against == "baseline":
        if check.baseline is None:
            raise ValueError(f"gate {gate.id} compares with a baseline, and none was given")
        baseline = check.baseline.value
        judged = change = check.change or change_from(estimate, check.baseline)
    low, high = estimate.interval()
    change_low, change_high = change.interval() if change else (math.nan, math.nan)
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
        baseline=baseline,
        change=change.value if change else math.nan,
        change_low=change_low,
        change_high=change_high,
        p=_p(gate, judged),
        adjusted=math.nan,
        reason=gate.reason,
        unmeasured=judged.reason,
        unreadable=check.unreadable,
    )


def _p(gate: Gate, judged: Estimate) -> float:
    if gate.limit is None:
        return math.nan
    if gate.direction == "at_most":
        return judged.p_above(gate.limit)
    return judged.p_below(-gate.limit if gate.against == "baseline" else gate.limit)


def _verdict(result: GateResult, adjusted: float, alpha: float, *, readable: str) -> Verdict:
    if result.unreadable:
        return Verdict.REPORTED if readable == "optional" else Verdict.INCONCLUSIVE
    if result.unmeasured:
        return Verdict.ERROR
    judged = result.change if result.against == "baseline" else result.value
    assert result.limit is not None
    if result.direction == "at_most":
        within = judged <= result.limit + ROUNDING
    else:
        floor = -result.limit if result.against == "baseline" else result.limit
        within = judged >= floor - ROUNDING
    if within:
        return Verdict.PASS
    return Verdict.FAIL if adjusted <= alpha else Verdict.INCONCLUSIVE
