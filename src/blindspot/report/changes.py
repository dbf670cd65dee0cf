"""What changed against the accepted baseline and the reference, and the prompts that flipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from blindspot.gates.rule import SIGNS, Others
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import CATEGORY, OVERALL, POOLED, WORD
from blindspot.measurements.registry import LEADING, MEASUREMENTS
from blindspot.report.numbers import counted
from blindspot.report.schema import (
    Against,
    Comparison,
    Document,
    Flip,
    FlipCount,
    Gate,
    OtherVariant,
    SignatureLine,
)
from blindspot.report.sentences import OTHERS, by_turns, homonyms_said

#: Comparisons shown at first, the worst first; the rest is collapsed.
_OPEN = 8
#: Flipped prompts on the page, over both comparisons.
_FLIPS = 200


@dataclass(frozen=True, slots=True)
class Compared:
    """A gate and its comparison with one other model."""

    gate: Gate
    against: Against


@dataclass(frozen=True, slots=True)
class Change:
    """The comparison with one other model; ``pooled``: over all variants."""

    kind: Others
    name: str
    signature: list[SignatureLine]
    homonyms: str
    lead: str
    pooled: list[Compared]
    shown: list[Compared]
    folded: list[Compared]
    improved: int
    flip_counts: list[FlipCount]
    flips: list[Flip]


def changes(document: Document) -> list[Change]:
    """The comparisons of a run."""
    found = [(kind, document["comparisons"][kind]) for kind in OTHERS]
    several = sum(comparison is not None for _, comparison in found) > 1
    made = (
        _change(document, kind, comparison, _FLIPS // 2 if several else _FLIPS)
        for kind, comparison in found
    )
    return [change for change in made if change is not None]


def _change(
    document: Document, kind: Others, comparison: Comparison | None, most: int
) -> Change | None:
    compared = sorted(_compared(document, kind), key=_order)
    if comparison is None and not compared:
        return None
    pooled, categories = (
        by_turns(
            (one for one in compared if one.gate["level"] == level),
            lambda one: (one.against["verdict"], one.gate),
        )
        for level in (POOLED, CATEGORY)
    )
    words = [one for one in compared if one.gate["level"] == WORD]
    flips = comparison["flips"] if comparison else {"slices": [], "examples": []}
    return Change(
        kind=kind,
        name=comparison["name"] if comparison else document["baseline"]["model"] or "",
        signature=comparison["signature"] if comparison else [],
        homonyms=homonyms_said(comparison["signature"], kind) if comparison else "",
        lead=_lead(compared),
        pooled=pooled,
        shown=categories[:_OPEN],
        folded=categories[_OPEN:] + words,
        improved=sum(one.against["improved"] for one in compared),
        flip_counts=flips["slices"],
        flips=flips["examples"][:most],
    )


def _compared(document: Document, kind: Others) -> Iterator[Compared]:
    for gate in document["gates"]:
        if (against := gate["against"][kind]) is not None:
            yield Compared(gate, against)


def _order(one: Compared) -> tuple[int, float]:
    """The worst verdict first, then the largest change for the worse."""
    change = one.against["change"] or 0.0
    return Verdict(one.against["verdict"]).severity, -SIGNS[one.gate["direction"]] * change


def _lead(compared: list[Compared]) -> str:
    verdicts = [Verdict(one.against["verdict"]) for one in compared]
    judged = [verdict for verdict in verdicts if verdict.judged]
    if not judged:
        return "No gate was compared."
    count = Counter(judged)
    told = [f"{count[verdict]:,} {verdict.words.beside}" for verdict in Verdict if count[verdict]]
    improved = sum(one.against["improved"] for one in compared)
    if improved:
        told.append(f"{improved:,} of them better by more than the noise")
    return f"{counted(len(judged), 'gate')} compared: {', '.join(told)}."


def uncompared(document: Document) -> str:
    """Why regressions were not checked; empty if they were."""
    baseline = document["baseline"]
    if baseline["uncompared"]:
        return baseline["uncompared"]
    return "" if baseline["found"] else "there is no accepted baseline for this model"


def blind_gaps(document: Document) -> dict[str, list[OtherVariant]]:
    """`gaps_by_axis` against the reference, otherwise against the baseline."""
    comparisons = document["comparisons"]
    return gaps_by_axis(comparisons["reference"] or comparisons["baseline"])


def gaps_by_axis(found: Comparison | None) -> dict[str, list[OtherVariant]]:
    """Means of a variant in both models, in the leading reading and over all layers, by axis."""
    axes: dict[str, list[OtherVariant]] = {}
    for row in found["variants"] if found else []:
        if (
            row["reading"] in LEADING
            and row["band"] in ("", OVERALL)
            and row["statistic"] == MEASUREMENTS[row["measurement"]].judged
        ):
            axes.setdefault(row["axis"], []).append(row)
    return axes
