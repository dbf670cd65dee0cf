"""A candidate against another model: the changes, and the prompts that flipped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from blindspot.estimates import (
    Contributions,
    Estimate,
    beyond,
    difference,
    less_represented,
    mean_estimate,
    mean_of,
)
from blindspot.measurements.base import CATEGORY, OVERALL, Statistic
from blindspot.measurements.registry import LEADING, STATISTICS, signature
from blindspot.measurements.tables import Floats, Table
from blindspot.report.numbers import estimate_record
from blindspot.report.schema import (
    BesideOther,
    Comparison,
    Figure,
    Flip,
    FlipCount,
    Flips,
    SignatureLine,
)
from blindspot.report.text import shortened
from blindspot.run.cases import Case
from blindspot.run.overlap import common
from blindspot.run.result import Measures
from blindspot.stimuli import Slice

Pair = tuple[Contributions | None, Contributions | None]

#: Prompts that flipped, for people to read: the worse ones first.
EXAMPLES = 200


def compare(
    ours: Measures,
    theirs: Measures,
    cases: Sequence[Case],
    *,
    gated: Mapping[str, float],
    name: str,
    model: dict[str, Any],
) -> Comparison:
    """The changes between two models, paired by prompt.

    ``variants``: means over the categories of a variant, and for blindness the relative loss of the
    group; ``gates``: every category gate;
    ``signature``: means over all that is gated of an axis; ``flips``: generated answers whose
    reading changed.

    Args:
        ours: the candidate.
        theirs: the other model.
        cases: the gates of the run.
        gated: ids of those with a limit, each with the margin by which it may change: the others
            are controls and not part of a signature.
        name: of the other model.
        model: its identity.
    """
    pairs = {
        case.id: (ours.contributions(case), theirs.contributions(case))
        for case in cases
        if case.level == CATEGORY
    }
    judged = [case for case in cases if case.id in pairs]
    variants: dict[tuple[str, ...], list[Case]] = {}
    for case in judged:
        key = (case.measurement, case.statistic, case.reading, case.band)
        variants.setdefault((*key, case.part.axis, case.part.variant), []).append(case)
    return {
        "name": name,
        "model": model,
        "prompts": sum(
            len(common(table, theirs.slices[part])[0])
            for part, table in ours.slices.items()
            if part in theirs.slices
        ),
        "variants": [
            {
                "axis": some[0].part.axis,
                "variant": some[0].part.variant,
                **_row(some[0], [pairs[case.id] for case in some]),
            }
            for some in variants.values()
        ],
        "gates": [
            {"id": case.id, "slice": case.part.id, **_row(case, [pairs[case.id]])}
            for case in judged
        ],
        "signature": list(_signature(judged, gated, pairs)),
        "flips": flips(ours.slices, theirs.slices),
    }


def nats(ours: Measures, theirs: Measures, part: Slice) -> Estimate:
    """Paired change of the mean log-odds of a category slice, in nats; > 0 is worse."""
    one, other = ours.slices.get(part.whole), theirs.slices.get(part.whole)
    if one is None or other is None:
        return Estimate.unmeasured("not measured in both models", unit="nats")
    places, others = common(one, other)
    if not len(places):
        return Estimate.unmeasured("no prompt in common", unit="nats")
    change = _signs(one)[places] * (one.log_odds[places] - other.log_odds[others])
    return mean_estimate(change, clusters=one.clusters.take(places))


def flips(ours: Mapping[Slice, Table], theirs: Mapping[Slice, Table]) -> Flips:
    """Generated answers whose reading changed: how many by slice, and some examples.

    ``p``: exact McNemar test, two-sided: as many for the worse as for the better.
    """
    from scipy.stats import binomtest  # the slowest import of a run

    slices: list[FlipCount] = []
    worst: list[Flip] = []
    others: list[Flip] = []
    parts = sorted(ours.keys() & theirs.keys())
    most = max(1, EXAMPLES // max(1, len(parts)))  # each slice gets its share of the examples
    for part in parts:
        one, other = ours[part], theirs[part]
        places, beside = common(one, other)
        sign = _signs(one)[places]
        change = sign * (one.generated[places] - other.generated[beside])
        worse, better = int((change > 0).sum()), int((change < 0).sum())
        slices.append(
            {
                "measurement": part.measurement,
                "slice": part.id,
                "n": int((~np.isnan(change)).sum()),
                "worse": worse,
                "better": better,
                "p": float(binomtest(worse, worse + better).pvalue) if worse + better else None,
            }
        )
        shown = 0
        order = np.argsort(-np.nan_to_num(change, nan=0.0), kind="stable")
        for at, there, by in zip(places[order], beside[order], change[order], strict=True):
            if shown < most and one.readings[at] != other.readings[there]:
                shown += 1
                found = worst if by > 0 else others
                found.append(_example(part, one, int(at), other, int(there)))
    return {"slices": slices, "examples": [*worst, *others][:EXAMPLES]}


def _example(part: Slice, one: Table, at: int, other: Table, there: int) -> Flip:
    return {
        "measurement": part.measurement,
        "slice": part.id,
        "wording": one.wordings[at],
        "order": one.order(at),
        "words": list(one.words[at]),
        "prompt": one.prompt(at),
        "before": {"answer": shortened(other.texts[there]), "reading": other.readings[there]},
        "after": {"answer": shortened(one.texts[at]), "reading": one.readings[at]},
    }


def _signs(table: Table) -> Floats:
    """The sign of a value: -1 if agreeing is the reverse of the stereotype."""
    return table.measurement.signs(table.second_order)


def _signature(
    cases: Sequence[Case], gated: Mapping[str, float], pairs: Mapping[str, Pair]
) -> Iterator[SignatureLine]:
    """The figures that alignment is known to change, over all categories and variants of an axis.

    Where homonyms were read too: what became of them, and by how much more words for groups moved.
    Each line has the smallest margin of its gates; homonyms, which have none, that of the others.
    """
    for name, statistic, known in signature():
        mine = [
            case
            for case in cases
            if case.statistic == statistic
            and case.reading in LEADING
            and case.band in ("", OVERALL)
        ]
        axes: dict[str, list[Pair]] = {}
        margins: dict[str, float] = {}
        for case in mine:
            if case.id in gated:
                axis = case.part.axis
                axes.setdefault(axis, []).append(pairs[case.id])
                margins[axis] = min(margins.get(axis, math.inf), gated[case.id])
        homonyms = [pairs[case.id] for case in mine if case.kind == "homonym"]
        for axis, found in axes.items():
            one = f"{name}/{axis}" if len(axes) > 1 else name
            title = f"{known.signature}, {axis}" if len(axes) > 1 else known.signature
            yield _signed(one, title, known, found, margins[axis])
        if not (homonyms and known.of_group):
            continue
        least = min(margins.values(), default=0.0)
        yield _signed(f"{name}/homonyms", "the same of homonyms", known, homonyms, least)
        for axis, found in axes.items():
            one, title = f"{name}/{axis}-homonyms", f"{axis} minus homonyms"
            yield _beyond(one, title, found, homonyms, margins[axis])


def _signed(
    name: str, title: str, statistic: Statistic, found: Sequence[Pair], margin: float
) -> SignatureLine:
    both = _both(found)
    change = Estimate.unmeasured("not measured in both models", unit=statistic.unit)
    if both is not None:
        change = difference(*both)
    return _line(name, title, both, change, margin)


def _beyond(
    name: str, title: str, groups: Sequence[Pair], homonyms: Sequence[Pair], margin: float
) -> SignatureLine:
    """The change of words for groups minus that of homonyms, candidate minus the other model.

    What a model does to every ambiguous word cancels: what is left is about groups.
    """
    ours, theirs = _both(groups), _both(homonyms)
    if ours is None or theirs is None:
        change = Estimate.unmeasured("not measured in both models", unit="position")
    else:
        change = beyond(ours, theirs)
    return _line(name, title, None, change, margin)


def _both(found: Sequence[Pair]) -> tuple[Contributions, Contributions] | None:
    """The means of what was measured in both models; None of nothing."""
    known = [pair for pair in found if _known(pair)]
    one, other = (_mean([pair[side] for pair in known]) if known else None for side in (0, 1))
    return None if one is None or other is None else (one, other)


def _line(
    name: str,
    title: str,
    both: tuple[Contributions, Contributions] | None,
    change: Estimate,
    margin: float,
) -> SignatureLine:
    row = estimate_record(change)
    return {
        "name": name,
        "title": title,
        "theirs": both[1].value if both else None,
        "ours": both[0].value if both else None,
        "change": row["value"],
        "low": row["low"],
        "high": row["high"],
        "direction": _direction(row, margin),
    }


def _known(pair: Pair) -> bool:
    return all(each is not None and not each.reason for each in pair)


def _direction(row: Figure, margin: float) -> Literal["up", "down", "unchanged", "not measured"]:
    """The direction in which a figure moved: its whole interval is beyond the margin."""
    if row["low"] is None or row["high"] is None:
        return "not measured"
    if row["low"] > margin:
        return "up"
    return "down" if row["high"] < -margin else "unchanged"


def _row(case: Case, pairs: Sequence[Pair]) -> BesideOther:
    ours, theirs = (_mean([pair[side] for pair in pairs]) for side in (0, 1))
    unit = STATISTICS[case.statistic].unit
    change, less = Estimate.unmeasured("not measured in both models", unit=unit), None
    if ours is not None and theirs is not None:
        change = difference(ours, theirs)
        less = less_represented(ours, theirs) if STATISTICS[case.statistic].of_group else None
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


def _figure(found: Contributions | None, unit: str) -> Figure:
    missing = Estimate.unmeasured("not measured", unit=unit)
    return estimate_record(missing if found is None else found.estimate())
