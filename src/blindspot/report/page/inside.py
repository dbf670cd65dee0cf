"""Assays on the page: curves by layer with their controls, also as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from blindspot.gates.verdict import Verdict, worst
from blindspot.measurements.base import OVERALL
from blindspot.measurements.registry import MECHANISTIC
from blindspot.report.page.curves import Line, curves_chart
from blindspot.report.schema import Assay, Curve, Document

#: Slices drawn for each assay, the worst verdicts first; the tables have all.
DRAWN = 3


@dataclass(frozen=True, slots=True)
class Grid:
    """Curves of one quantity as a table: one row per layer, one column per curve."""

    quantity: str
    at: list[str]
    curves: list[Curve]
    intervals: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One slice of an assay."""

    slice: str
    verdict: str
    charts: list[str]
    controls: str
    grids: list[Grid]


@dataclass(frozen=True, slots=True)
class Section:
    """One assay: slices that are drawn, and those shown only in numbers."""

    title: str
    asked: str
    drawn: list[Part]
    folded: list[Part]


def sections(document: Document) -> list[Section]:
    """The assays of a run."""
    return [
        _section(document, name, mine)
        for name in MECHANISTIC
        if (mine := [one for one in document["mechanistic"] if one["measurement"] == name])
    ]


def _section(document: Document, measurement: str, assays: list[Assay]) -> Section:
    verdicts: dict[str, list[str]] = {}
    for gate in document["gates"]:
        if gate["measurement"] == measurement:
            verdicts.setdefault(gate["slice"], []).append(gate["verdict"])
    found = {name: worst(these) for name, these in verdicts.items()}
    ordered = sorted(assays, key=lambda one: found.get(one["slice"], Verdict.REPORTED).severity)
    parts = [_part(one, found.get(one["slice"], ""), place) for place, one in enumerate(ordered)]
    words = MECHANISTIC[measurement].words
    return Section(words.title, words.asked, parts[:DRAWN], parts[DRAWN:])


def _part(assay: Assay, verdict: str, place: int) -> Part:
    shown, drawn = _told_apart(assay), place < DRAWN
    charts = [_chart(assay, c, f"{place}-{n}") for n, c in enumerate(shown) if drawn]
    controls = next(
        (line for key, line in assay["controls"].items() if key.endswith(f"/{OVERALL}")), ""
    )
    return Part(
        slice=assay["slice"],
        verdict=verdict,
        charts=charts,
        controls=controls,
        grids=[Grid(c[0]["quantity"], c[0]["at"], c, intervals=drawn) for c in shown],
    )


def _told_apart(assay: Assay) -> list[list[Curve]]:
    """The curves of one chart: one quantity under several names, the main one first.

    Of several quantities with the same names only the first is drawn: the others, such as another
    reading, are in report.json.
    """
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in assay["curves"]:
        groups.setdefault((curve["reading"], curve["quantity"]), []).append(curve)
    chosen: dict[frozenset[str], list[Curve]] = {}
    for curves in sorted(groups.values(), key=len, reverse=True):
        if len(curves) > 1:
            chosen.setdefault(frozenset(curve["name"] for curve in curves), curves)
    return list(chosen.values())


def _chart(assay: Assay, curves: list[Curve], key: str) -> str:
    first, measurement = curves[0], MECHANISTIC[assay["measurement"]]
    values = [value for curve in curves for value in curve["values"] if value is not None]
    signed = min(values, default=0.0) < -0.05
    windows = any("-" in at for at in first["at"])
    counted = assay["layers"].get(f"{first['reading']}/{OVERALL}", [])
    unread = [
        number for number, at in enumerate(first["at"]) if at.isdecimal() and int(at) not in counted
    ]
    return curves_chart(
        f"{assay['measurement']}-{key}",
        [Line(one["name"], one["values"], one["low"], one["high"]) for one in curves],
        first["at"],
        title=f"{measurement.words.title}, {assay['slice']}: {first['quantity']} by layer",
        axis="layers overwritten" if windows else "layer",
        span=(-1.1, 1.1) if signed else (-0.06, 1.06),
        unread=unread,
        looks=measurement.looks,
    )
