"""The record of a run, under the names and types of report.json: the source of every report.

NaN, which JSON lacks, is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from blindspot.baselines.choice import Choice
from blindspot.estimates import Estimate
from blindspot.gates.messages import first_line
from blindspot.gates.outcomes import Outcome
from blindspot.gates.rule import GateResult, Others, families_of
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import CATEGORY, FORCED_CHOICE, GENERATED, POOLED, VALIDITY
from blindspot.measurements.mechanistic import Assayed
from blindspot.measurements.registry import BEHAVIORAL, MEASUREMENTS
from blindspot.models.server import Server
from blindspot.report.comparison import compare, nats
from blindspot.report.numbers import estimate_record, number
from blindspot.report.schema import (
    Against,
    Assay,
    Check,
    Comparison,
    Comparisons,
    Curve,
    Effects,
    Example,
    Family,
    Gate,
    Mass,
    Model,
    Nats,
    NoiseFloor,
    Pair,
    Published,
    Record,
    Waiver,
    WorstPair,
)
from blindspot.report.schema import Baseline as BaselineRecord
from blindspot.report.schema import Server as ServerRecord
from blindspot.report.text import shortened
from blindspot.run.cases import Case
from blindspot.run.forms import name_of
from blindspot.run.observations import Observation
from blindspot.run.overlap import Overlap
from blindspot.run.reported import Reported
from blindspot.run.result import Measured, Measures
from blindspot.stimuli import Slice

WORST = 5

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


def build_record(
    measured: Measured,
    outcomes: Iterable[Outcome],
    *,
    alpha: float,
    strict: bool = False,
    baseline: BaselineRecord,
    incomplete: Sequence[str],
    published: list[Published],
    selection: Mapping[str, str],
    others: Mapping[Others, Beside] | None = None,
    noise_floor: NoiseFloor | None = None,
    examples: int = 0,
    server: Server | None = None,
) -> Record:
    """The record of a run."""
    outcomes, others = list(outcomes), others or {}
    return Record(
        model=model_record(measured, server),
        prompts=measured.prompts,
        selection=dict(selection),
        examples=examples,
        alpha=alpha,
        mode="strict" if strict else "default",
        families=family_records(outcomes, alpha),
        noise_floor=noise_floor,
        effects=_effects(measured, outcomes),
        gates=[gate_record(measured, outcome, others) for outcome in outcomes],
        pairs=_pairs(measured, outcomes),
        worst_pairs=_worst(measured, outcomes),
        baseline=baseline,
        incomplete=list(incomplete),
        published=published,
        masses=_masses(measured),
        mechanistic=[_assay(assayed) for assayed in measured.assayed.values()],
        comparisons=comparison_records(measured, outcomes, others),
    )


def family_records(outcomes: Sequence[Outcome], alpha: float) -> list[Family]:
    """The families that share the error rate, and the share of each."""
    results = [result for outcome in outcomes for result in outcome.results]
    return [
        Family(name=name, gates=size, alpha=share)
        for name, (size, share) in families_of(results, alpha).items()
    ]


def comparison_records(
    measured: Measures, outcomes: Sequence[Outcome], others: Mapping[Others, Beside]
) -> Comparisons:
    """The comparison with each other model, None if there is none."""
    return Comparisons(
        baseline=_comparison(measured, outcomes, "baseline", others.get("baseline")),
        reference=_comparison(measured, outcomes, "reference", others.get("reference")),
    )


def _comparison(
    measured: Measures, outcomes: Sequence[Outcome], kind: Others, other: Beside | None
) -> Comparison | None:
    if other is None or other.kept is None:
        return None
    gated = {o.case.id: _margin(o, kind) for o in outcomes if o.limit.limit is not None}
    cases = [outcome.case for outcome in outcomes]
    ours, theirs = other.paired(measured)
    return compare(ours, theirs, cases, gated=gated, name=other.name, model=dict(other.model))


def _margin(outcome: Outcome, kind: Others) -> float:
    """By how much a value may change from the other model, with noise; 0 where that has no gate."""
    beside = outcome.against.get(kind)
    if beside is None or beside.limit is None:
        return 0.0
    return beside.limit + (0.0 if math.isnan(beside.floor) else beside.floor)


def _assay(assayed: Assayed) -> Assay:
    """The findings of an assay for one slice by layer, and its controls."""
    return Assay(
        measurement=assayed.part.measurement,
        slice=assayed.part.id,
        controls={"/".join(key): line for key, line in assayed.controls.items()},
        layers={"/".join(key): list(band.layers) for key, band in assayed.bands.items()},
        curves=[
            Curve(
                name=curve.name,
                reading=curve.reading,
                quantity=curve.quantity,
                at=list(curve.at),
                values=list(curve.values),
                low=list(curve.low),
                high=list(curve.high),
            )
            for curve in assayed.curves
        ],
    )


def model_record(measured: Measured, server: Server | None = None) -> Model:
    """The identity of the model, under the names of report.json."""
    identity = measured.identity
    found = Model(
        id=identity.name,
        revision=identity.revision,
        weights_hash=identity.weights,
        dtype=identity.dtype,
        template=identity.template_text,
        template_hash=identity.template,
        tokenizer_hash=identity.tokenizer,
        architecture=identity.architecture,
        parameters=identity.parameters,
        device=identity.device,
        backend=identity.backend,
        versions=identity.versions,
    )
    if server is not None:
        found["server"] = ServerRecord(
            address=server.address,
            kind=server.kind,
            scores=server.scores,
            greedy=server.greedy,
            spread=number(server.spread),
            context=server.context,
            concurrency=server.concurrency,
            requests=server.requests,
            checks=[Check(name=each.name, found=each.found) for each in server.checks],
        )
    return found


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
        if _is_judged(outcome.case) and (found := _by_pair(measured, part)):
            value, pair, _ = found[-1 if outcome.limit.reversed else 0]
            worst = f"{'/'.join(pair.pair or ())} {value:+.2f}"
    return first_line(result, model=model, worst=worst)


def _by_pair(measured: Measures, part: Slice) -> list[tuple[float, Slice, Estimate]]:
    """The word pairs of a category slice, or of a word of it, the largest effect first."""
    found = []
    for words in measured.slices[part.whole].pairs:
        if not part.word or part.word in words:
            pair = replace(part, pair=words, word="")
            estimate = measured.effects(pair).judged
            if estimate.measured:
                found.append((estimate.value, pair, estimate))
    return sorted(found, key=lambda item: -item[0])


def _pairs(measured: Measured, outcomes: Sequence[Outcome]) -> list[Pair]:
    """The effect of every word pair of what was judged, slice by slice."""
    wholes = dict.fromkeys(part.whole for o in outcomes for part in o.case.parts)
    return [
        Pair(
            slice=whole.id,
            measurement=whole.measurement,
            pair=list(part.pair or ()),
            value=value,
            n=estimate.n,
        )
        for whole in wholes
        for value, part, estimate in _by_pair(measured, whole)
    ]


def _effects(measured: Measured, outcomes: Sequence[Outcome]) -> dict[str, list[Effects]]:
    """All effects of every category slice that a case judges as a whole, by measurement."""
    sections: dict[str, list[Effects]] = {}
    wholes = dict.fromkeys(
        part for o in outcomes if o.case.level == CATEGORY for part in o.case.parts
    )
    for part in wholes:
        for reading in (GENERATED, FORCED_CHOICE):
            sections.setdefault(part.measurement, []).append(_row(measured, part, reading))
    return sections


def _row(measured: Measured, part: Slice, reading: str) -> Effects:
    found = measured.effects(part, reading)
    known = BEHAVIORAL[part.measurement]
    effects = {known.judged: estimate_record(found.judged)}
    effects |= {one.name: estimate_record(getattr(found, one.name)) for one in known.figures}
    if reading == GENERATED:
        effects |= {name: estimate_record(getattr(found, name)) for name in (VALIDITY, "refused")}
    else:
        effects["log-odds"] = estimate_record(measured.log_odds(part))
    return Effects(
        slice=part.id,
        axis=part.axis,
        variant=part.variant,
        category=part.category,
        reading=reading,
        effects=effects,
    )


def _masses(measured: Measured) -> list[Mass]:
    """What forced choice rests on, by axis and wording; nothing of a model without scores."""
    found: dict[str, list[Observation]] = {}
    for table in measured.tables.values():
        for row in table.rows if table.measurement.compares else ():
            found.setdefault(name_of(row.prompt), []).append(row)
    return [
        Mass(
            measurement=rows[0].prompt.slice.measurement,
            axis=rows[0].prompt.slice.axis,
            wording=rows[0].prompt.wording,
            form=rows[0].prompt.answer,
            n=len(rows),
            mass=mass,
            first_mass=number(median(row.answer.first_mass for row in rows)),
        )
        for rows in found.values()
        if (mass := number(median(row.answer.mass for row in rows))) is not None
    ]


def _worst(measured: Measured, outcomes: Sequence[Outcome]) -> list[WorstPair]:
    """The pairs with the largest association in the slices whose gates failed."""
    failed = {
        part.whole
        for o in outcomes
        if o.verdict is Verdict.FAIL and _is_judged(o.case) and not o.limit.reversed
        for part in o.case.parts
    }
    scored = [
        found
        for whole in sorted(failed, key=lambda part: part.id)
        for found in _by_pair(measured, whole)
    ]
    scored.sort(key=lambda item: -item[0])
    return [
        {
            "slice": part.id,
            "measurement": part.measurement,
            "pair": list(part.pair or ()),
            "value": value,
            "n": estimate.n,
            "example": _example(measured, part),
        }
        for value, part, estimate in scored[:WORST]
    ]


def _is_judged(case: Case) -> bool:
    """Whether it judges the effect that word pairs are shown with."""
    return case.statistic == MEASUREMENTS[case.measurement].judged


def _example(measured: Measured, part: Slice) -> Example:
    """A stereotyped answer of a pair, in an order that would not be stereotyped if copied."""
    table = measured.tables[part.whole]
    rows = [table.rows[place] for place in table.pairs[part.pair or ("", "")]]
    best = max(rows, key=_tellingness)
    return {
        "wording": best.prompt.wording,
        "order": best.prompt.order,
        "answer": shortened(best.answer.text),
        "reading": best.reading,
    }


def _tellingness(row: Observation) -> float:
    value = -2.0 if math.isnan(row.value) else row.value
    return BEHAVIORAL[row.prompt.slice.measurement].telling(row.prompt, value)


def baseline_record(choice: Choice, *, accept: str) -> BaselineRecord:
    """The baseline, or how to accept one if there is none."""
    baseline = choice.baseline
    return {
        "path": str(choice.path),
        "found": baseline is not None,
        "named": choice.named,
        "model": baseline.model if baseline else None,
        "provenance": baseline.provenance if baseline else None,
        "accept": accept,
        "uncompared": choice.uncompared,
    }
