"""Bias by category: levels, order and identifier effects, implicit versus explicit, validity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from blindspot.gates.rule import Others
from blindspot.measurements.base import (
    CATEGORY,
    FORCED_CHOICE,
    GENERATED,
    VALIDITY,
    Difference,
    Figure,
)
from blindspot.measurements.behavioral import Behavioral
from blindspot.measurements.registry import BEHAVIORAL, DIFFERENCES
from blindspot.report.page.charts import Dot, Row, Series, plane_chart, rows_chart
from blindspot.report.schema import Document, Effects, Gate
from blindspot.report.schema import Figure as Value
from blindspot.report.sentences import OTHERS


@dataclass(frozen=True, slots=True)
class Level:
    """One category slice: its effect in this and other models, and its other figures."""

    heading: str
    effects: Effects
    forced: Effects | None
    name: str
    gate: Gate | None
    validity: Gate | None
    baseline: Value | None
    reference: Value | None

    @property
    def figure(self) -> Value:
        """The effect itself."""
        return self.effects["effects"][self.name]

    def of(self, name: str) -> Value | None:
        """Another effect of the slice."""
        return self.effects["effects"].get(name)

    def of_model(self, kind: Others) -> Value | None:
        """The same effect of another model."""
        return self.reference if kind == "reference" else self.baseline


@dataclass(frozen=True, slots=True)
class Levels:
    """One measurement by category, as a chart and in numbers.

    ``axis``: of a run over several, otherwise "".
    """

    measurement: str
    axis: str
    title: str
    rows: list[Level]
    chart: str
    beside: tuple[Figure, ...]
    beside_chart: str
    has_baseline: bool
    has_reference: bool


def levels(document: Document) -> list[Levels]:
    """Effects of the measurements by prompts; of several axes, each has its own."""
    found = []
    for one in BEHAVIORAL.values():
        if one.statistics[one.judged].unit != "effect":
            continue  # its values are not between a stereotype and its reverse
        by_axis: dict[str, list[Level]] = {}
        for row in _rows(document, one):
            by_axis.setdefault(row.effects["axis"], []).append(row)
        found += [
            _levels(one, axis if len(by_axis) > 1 else "", rows)
            for axis, rows in by_axis.items()
            if any(row.gate or row.validity for row in rows)
        ]
    return found


def _rows(document: Document, measurement: Behavioral) -> Iterator[Level]:
    gates = {
        (gate["slice"], gate["statistic"], gate["reading"]): gate
        for gate in document["gates"]
        if gate["measurement"] == measurement.name
    }
    baselines, references = (_theirs(document, kind) for kind in OTHERS)
    found = document["effects"].get(measurement.name, [])
    forced = {row["slice"]: row for row in found if row["reading"] == FORCED_CHOICE}
    name, heading = measurement.judged, ""
    for row in found:
        if row["reading"] != GENERATED:
            continue
        gate = gates.get((row["slice"], name, GENERATED))
        group = f"{row['axis']} \N{MIDDLE DOT} {row['variant']}"
        yield Level(
            heading="" if group == heading else group,
            effects=row,
            forced=forced.get(row["slice"]),
            name=name,
            gate=gate,
            validity=gates.get((row["slice"], VALIDITY, GENERATED)),
            baseline=baselines.get(gate["id"]) if gate else None,
            reference=references.get(gate["id"]) if gate else None,
        )
        heading = group


def _theirs(document: Document, kind: Others) -> dict[str, Value]:
    """Figures of another model, by gate; only the values for a baseline without scores."""
    if (comparison := document["comparisons"][kind]) is not None:
        return {row["id"]: row["reference"] for row in comparison["gates"]}
    return {
        gate["id"]: {
            "value": against["value"],
            "standard_error": None,
            "low": None,
            "high": None,
            "n": 0,
            "clusters": 0,
            "unit": gate["unit"],
            "reason": "",
        }
        for gate in document["gates"]
        if (against := gate["against"][kind]) is not None
    }


def _levels(measurement: Behavioral, axis: str, rows: list[Level]) -> Levels:
    name, title = measurement.name, f"{measurement.words.title} ({measurement.name})"
    key, title = (f"{name}-{axis}", f"{title}, {axis}") if axis else (name, title)
    beside = tuple(one for one in measurement.figures if one.label)
    old = [_dot(row.baseline) for row in rows]
    theirs = [_dot(row.reference) for row in rows]
    series = [Series("this model", "candidate", "o", [_dot(row.figure) for row in rows])]
    if any(old):
        series.append(Series("baseline", "baseline", "D", old, filled=False))
    if any(theirs):
        series.append(Series("reference", "reference", "s", theirs, filled=False))
    chart = rows_chart(
        f"level-{key}",
        _named(rows),
        series,
        title=title,
        axis=measurement.axis,
        shares=measurement.shares,
    )
    looks = (("candidate", "o"), ("literal", "s"))
    others = [
        Series(
            one.label, role, marker, [_dot(row.of(one.name)) for row in rows], filled=marker == "o"
        )
        for one, (role, marker) in zip(beside, looks, strict=False)
    ]
    beside_chart = rows_chart(
        f"beside-{key}",
        _named(rows, limits=False),
        others,
        title=f"{title}: {' and '.join(one.label for one in beside)}",
        axis="effect",
    )
    return Levels(name, axis, title, rows, chart, beside, beside_chart, any(old), any(theirs))


def _named(rows: Sequence[Level], *, limits: bool = True) -> list[Row]:
    return [
        Row(
            row.effects["category"],
            row.heading,
            _limits(row.gate) if limits and row.gate else (),
        )
        for row in rows
    ]


def _limits(gate: Gate) -> list[float]:
    """The limits of a gate: none, one or both."""
    return [limit for limit in (gate["opposite"], gate["limit"]) if limit is not None]


def _dot(figure: Value | None) -> Dot | None:
    if figure is None or figure["value"] is None:
        return None
    return Dot(figure["value"], figure["low"], figure["high"])


@dataclass(frozen=True, slots=True)
class DifferenceOf:
    """One measurement minus another: pictures of both, and the gates on the difference.

    ``planes``: caption and picture, one for each axis.
    """

    name: str
    title: str
    shown: str
    planes: list[tuple[str, Markup]]
    gates: list[Gate]


def differences(document: Document, found: Sequence[Levels]) -> list[DifferenceOf]:
    """Every difference with something to show."""
    made = (
        DifferenceOf(
            name=name,
            title=one.words.title,
            shown=one.shown,
            planes=list(_planes(one, found)),
            gates=[
                gate
                for gate in document["gates"]
                if gate["measurement"] == name and gate["level"] == CATEGORY
            ],
        )
        for name, one in DIFFERENCES.items()
    )
    return [one for one in made if one.planes or one.gates]


def _planes(difference: Difference, found: Sequence[Levels]) -> Iterator[tuple[str, Markup]]:
    for axis in dict.fromkeys(one.axis for one in found):
        if plane := _plane(difference, axis, [one for one in found if one.axis == axis]):
            yield difference.plane[0] + (f", {axis}" if axis else ""), Markup(plane)


def _plane(difference: Difference, axis: str, found: Sequence[Levels]) -> str:
    """The first measurement over the second by category, with the reference or the baseline.

    Empty unless both were measured.
    """
    by_name = {one.measurement: one for one in found}
    if not {*difference.of} <= by_name.keys():
        return ""
    first, second = (by_name[name] for name in difference.of)
    key = ("axis", "variant", "category")
    asked = {tuple(row.effects[part] for part in key): row for row in second.rows}  # type: ignore[literal-required]
    both = [
        (row, asked[place])
        for row in first.rows
        if (place := tuple(row.effects[part] for part in key)) in asked  # type: ignore[literal-required]
    ]
    if not both:
        return ""
    kind = beside(found)
    theirs = [(_dot(one.of_model(kind)), _dot(other.of_model(kind))) for one, other in both]
    return plane_chart(
        f"plane-{axis}" if axis else "plane",
        Series("this model", "candidate", "o", [_dot(one.figure) for one, _ in both]),
        Series(kind, kind, "s" if kind == "reference" else "D", [one for one, _ in theirs], False)
        if any(one for one, _ in theirs)
        else None,
        across=[other.figure["value"] for _, other in both],
        reference_across=[other.value if other else None for _, other in theirs],
        names=[one.effects["slice"] for one, _ in both],
        title=difference.plane[0],
        axes_labels=difference.plane[1:],
    )


def beside(found: Sequence[Levels]) -> Others:
    """The other model in the plane: the reference if there is one."""
    return "reference" if any(one.has_reference for one in found) else "baseline"
