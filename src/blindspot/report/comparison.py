"""A candidate beside its reference: every gate's figure of both, and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from blindspot.estimates import Contributions, Estimate, difference, less_represented, mean_of
from blindspot.estimates.statistics import CATEGORY, STATISTICS
from blindspot.plan.cases import Case
from blindspot.plan.run import Measured
from blindspot.report.figures import estimate_record

Pair = tuple[Contributions | None, Contributions | None]


def compare(measured: Measured, reference: Measured, cases: Sequence[Case]) -> dict[str, Any]:
    """Both models' figures of every category gate, and their difference paired by prompt.

    Of blindness also the *race-blind gap*: by which share the candidate represents the group less.
    ``variants`` are the means over the categories of a variant, ``gates`` the single ones.
    """
    gates: list[dict[str, Any]] = []
    variants: dict[tuple[str, ...], tuple[Case, list[Pair]]] = {}
    for case in cases:
        if case.level != CATEGORY:
            continue
        pair = measured.contributions(case), reference.contributions(case)
        gates.append({"id": case.id, "slice": case.part.id, **_row(case, [pair])})
        key = (*_key(case), case.part.axis, case.part.variant)
        variants.setdefault(key, (case, []))[1].append(pair)
    identity = asdict(reference.identity)
    kept = ("name", "weights", "dtype", "revision", "tokenizer", "template")
    return {
        "model": {key: identity[key] for key in kept},
        "variants": [
            {"axis": case.part.axis, "variant": case.part.variant, **_row(case, pairs)}
            for case, pairs in variants.values()
        ],
        "gates": gates,
    }


def _key(case: Case) -> tuple[str, str, str, str]:
    return case.measurement, case.statistic, case.reading, case.band


def _row(case: Case, pairs: Sequence[Pair]) -> dict[str, Any]:
    ours, theirs = (_mean([pair[side] for pair in pairs]) for side in (0, 1))
    unit = STATISTICS[case.statistic].unit
    change, less = Estimate.unmeasured("not measured in both models", unit=unit), None
    if ours is not None and theirs is not None:
        change = difference(ours, theirs)
        less = less_represented(ours, theirs) if case.statistic == "blindness" else None
    return {
        "measurement": case.measurement,
        "statistic": case.statistic,
        "reading": case.reading,
        "band": case.band,
        "candidate": _figure(ours, unit),
        "reference": _figure(theirs, unit),
        "difference": estimate_record(change),
        "less_represented": None if less is None else estimate_record(less),
    }


def _mean(parts: Sequence[Contributions | None]) -> Contributions | None:
    known = [part for part in parts if part is not None]
    return mean_of(known) if len(known) == len(parts) else None


def _figure(found: Contributions | None, unit: str) -> dict[str, Any]:
    missing = Estimate.unmeasured("not measured", unit=unit)
    return estimate_record(missing if found is None else found.estimate())
