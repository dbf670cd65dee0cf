"""One gate as report.json has it: its figures, its comparisons and its message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blindspot.gates.messages import first_line
from blindspot.gates.outcomes import Outcome
from blindspot.gates.rule import GateResult, Others
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import CATEGORY, POOLED
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.report.comparison import nats
from blindspot.report.effects import by_pair, is_judged
from blindspot.report.numbers import estimate_record, number
from blindspot.report.schema import Against, Gate, Nats, Waiver
from blindspot.run.overlap import Overlap
from blindspot.run.reported import Reported
from blindspot.run.result import Measured, Measures

Judged = Measured | Reported


@dataclass(frozen=True)
class Beside:
    """A model to compare with: its name, identity and scores.

    ``overlap``: both models on their common prompts, if they were not asked the same ones.
    """

    name: str
    model: Mapping[str, Any]
    kept: Measures | None
    overlap: Overlap | None = None

    def paired(self, ours: Measures) -> tuple[Measures, Measures]:
        """Both on the prompts that both were asked; this one has scores."""
        if self.overlap is not None:
            return self.overlap.ours, self.overlap.theirs
        assert self.kept is not None
        return ours, self.kept


def gate_record(measured: Judged, outcome: Outcome, others: Mapping[Others, Beside]) -> Gate:
    """One gate: its value against its limit and against the other models of the run."""
    limit, case = outcome.limit, outcome.case

    def against(kind: Others) -> Against | None:
        result = outcome.against.get(kind)
        return None if result is None else _against(measured, outcome, result, others[kind])

    return {
        "id": case.id,
        "measurement": case.measurement,
        "statistic": case.statistic,
        "slice": case.part.id,
        "axis": case.part.axis,
        "variant": case.part.variant,
        "category": case.part.category,
        "kind": case.kind,
        "reading": case.reading,
        "band": case.band,
        "level": case.level,
        "word": case.part.word,
        "variants": list(case.variants),
        "family": limit.family,
        "verdict": outcome.verdict,
        "value": number(limit.value),
        "standard_error": number(outcome.estimate.standard_error),
        "low": number(limit.low),
        "high": number(limit.high),
        "n": limit.n,
        "clusters": limit.clusters,
        "prompts": outcome.prompts,
        "limit": limit.limit,
        "opposite": limit.opposite,
        "limit_verdict": limit.verdict,
        "direction": limit.direction,
        "p": number(limit.p),
        "adjusted": number(limit.adjusted),
        "mde": number(limit.mde),
        "against": {"baseline": against("baseline"), "reference": against("reference")},
        "waiver": _waiver(outcome),
        "unit": limit.unit,
        "reason": limit.reason,
        "mass": number(measured.mass(case)),
        "missing": outcome.missing or limit.unmeasured,
        "unreadable": limit.unreadable,
        "doubt": limit.doubt,
        "controls": measured.controls(case),
        "message": _message(measured, outcome),
        "test": "",
    }


def _against(measured: Judged, outcome: Outcome, result: GateResult, other: Beside) -> Against:
    """A gate against another model; ``nats``: paired change of the log-odds."""
    case, change = outcome.case, None
    known = BEHAVIORAL.get(case.measurement)
    if case.level == CATEGORY and known and case.statistic == known.judged and other.kept:
        change = estimate_record(nats(*other.paired(measured), case.part))
    return {
        "verdict": result.verdict,
        "value": number(result.baseline),
        "margin": result.limit,
        "floor": number(result.floor),
        "change": number(result.change),
        "low": number(result.change_low),
        "high": number(result.change_high),
        "p": number(result.p),
        "adjusted": number(result.adjusted),
        "mde": number(result.mde),
        "improved": result.improved,
        "prompts": None if case.mechanistic else (other.overlap or measured).asked(case),
        "nats": change and Nats(value=change["value"], low=change["low"], high=change["high"]),
    }


def _waiver(outcome: Outcome) -> Waiver | None:
    if (waiver := outcome.waiver) is None:
        return None
    return {
        "gate": waiver.gate,
        "reason": waiver.reason,
        "expires": waiver.expires.isoformat(),
        "expired": outcome.expired,
    }


def _message(measured: Judged, outcome: Outcome) -> str:
    """The first line of a failure: the worst of the results, and its waiver."""
    line, waiver = _judged_line(measured, outcome), outcome.waiver
    if waiver is None or not outcome.judged.judged:
        return line
    if outcome.expired:
        return (
            f"{outcome.case.id}: its waiver expired on {waiver.expires} ({waiver.reason}); renew "
            f"or remove it; {line.removeprefix(outcome.case.id + ': ')}"
        )
    return f"{line}; waived until {waiver.expires}: {waiver.reason}"


def _judged_line(measured: Judged, outcome: Outcome) -> str:
    verdict = outcome.judged
    if outcome.missing and verdict is Verdict.ERROR:
        return f"{outcome.case.id}: not compared: {outcome.missing}"
    result = next((r for r in outcome.results if r.verdict is verdict), outcome.limit)
    identity = measured.identity
    model = f"{identity.name} @{identity.weights[:7]}"
    worst = ""
    if outcome.case.mechanistic:
        return first_line(result, model=model, controls=measured.controls(outcome.case))
    if verdict is Verdict.FAIL and outcome.case.level != POOLED:
        part = outcome.case.parts[0]
        if is_judged(outcome.case) and (found := by_pair(measured, part)):
            value, pair, _ = found[-1 if outcome.limit.reversed else 0]
            worst = f"{'/'.join(pair.pair or ())} {value:+.2f}"
    return first_line(result, model=model, worst=worst)
