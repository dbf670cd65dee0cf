"""The record of a run, under the names and types of report.json: the source of every report.

NaN, which JSON lacks, is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from blindspot.baselines.choice import Choice
from blindspot.gates.outcomes import Outcome
from blindspot.gates.rule import Others, families_of
from blindspot.measurements.mechanistic import Assayed
from blindspot.models.server import Server
from blindspot.report.comparison import compare
from blindspot.report.effects import effect_records, mass_records, pair_records, worst_records
from blindspot.report.gate import Beside, gate_record
from blindspot.report.numbers import number
from blindspot.report.schema import (
    Assay,
    Check,
    Comparison,
    Comparisons,
    Curve,
    Family,
    Model,
    NoiseFloor,
    Published,
    Record,
)
from blindspot.report.schema import Baseline as BaselineRecord
from blindspot.report.schema import Server as ServerRecord
from blindspot.run.result import Measured, Measures


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
        effects=effect_records(measured, outcomes),
        gates=[gate_record(measured, outcome, others) for outcome in outcomes],
        pairs=pair_records(measured, outcomes),
        worst_pairs=worst_records(measured, outcomes),
        baseline=baseline,
        incomplete=list(incomplete),
        published=published,
        masses=mass_records(measured),
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
