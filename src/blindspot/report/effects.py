"""What answers show, as report.json has it: effects, word pairs and masses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from blindspot.estimates import Estimate
from blindspot.gates.outcomes import Outcome
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import CATEGORY, FORCED_CHOICE, GENERATED, VALIDITY
from blindspot.measurements.registry import BEHAVIORAL, MEASUREMENTS
from blindspot.report.numbers import estimate_record, number
from blindspot.report.schema import Effects, Example, Mass, Pair, WorstPair
from blindspot.report.text import shortened
from blindspot.run.cases import Case
from blindspot.run.forms import name_of
from blindspot.run.observations import Observation
from blindspot.run.result import Measured, Measures
from blindspot.stimuli import Slice

WORST = 5


def by_pair(measured: Measures, part: Slice) -> list[tuple[float, Slice, Estimate]]:
    """The word pairs of a category slice, or of a word of it, the largest effect first."""
    found = []
    for words in measured.slices[part.whole].pairs:
        if not part.word or part.word in words:
            pair = replace(part, pair=words, word="")
            estimate = measured.effects(pair).judged
            if estimate.measured:
                found.append((estimate.value, pair, estimate))
    return sorted(found, key=lambda item: -item[0])


def pair_records(measured: Measured, outcomes: Sequence[Outcome]) -> list[Pair]:
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
        for value, part, estimate in by_pair(measured, whole)
    ]


def effect_records(measured: Measured, outcomes: Sequence[Outcome]) -> dict[str, list[Effects]]:
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


def mass_records(measured: Measured) -> list[Mass]:
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


def worst_records(measured: Measured, outcomes: Sequence[Outcome]) -> list[WorstPair]:
    """The pairs with the largest association in the slices whose gates failed."""
    failed = {
        part.whole
        for o in outcomes
        if o.verdict is Verdict.FAIL and is_judged(o.case) and not o.limit.reversed
        for part in o.case.parts
    }
    scored = [
        found
        for whole in sorted(failed, key=lambda part: part.id)
        for found in by_pair(measured, whole)
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


def is_judged(case: Case) -> bool:
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
