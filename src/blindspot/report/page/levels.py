"""Bias by category: levels, order and identifier effects, implicit against explicit, validity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blindspot.gates.rule import Others
from blindspot.measurements.base import FORCED_CHOICE, GENERATED
from blindspot.report.page.charts import Dot, Row, Series, plane_chart, rows_chart
from blindspot.report.page.summary import OTHERS
from blindspot.report.schema import Document, Effects, Figure, Gate

EFFECT = {"implicit": "stereotype", "explicit": "bias"}
_TITLES = {
    "implicit": ("Word association (implicit)", "stereotype effect, and stereotyped answers", True),
    "explicit": ("Stated belief (explicit)", "explicit bias", False),
}
_BESIDE = {
    "implicit": (("order", "order effect"), ("identifier", "identifier effect")),
    "explicit": (("acquiescence", "acquiescence"),),
}


@dataclass(frozen=True, slots=True)
class Level:
    """One category slice: its effect beside that of others, and everything measured with it."""

    heading: str
    effects: Effects
    forced: Effects | None
    name: str
    gate: Gate | None
    validity: Gate | None
    baseline: Figure | None
    reference: Figure | None

    @property
    def figure(self) -> Figure:
        """The effect itself."""
        return self.effects["effects"][self.name]

    def of(self, name: str) -> Figure | None:
        """Another effect of the slice."""
        return self.effects["effects"].get(name)

    def of_model(self, kind: Others) -> Figure | None:
        """The same effect of another model."""
        return self.reference if kind == "reference" else self.baseline


@dataclass(frozen=True, slots=True)
class Levels:
    """One measurement by category, drawn and in numbers."""

    measurement: str
    title: str
    rows: list[Level]
    chart: str
    beside: tuple[tuple[str, str], ...]
    beside_chart: str
    has_baseline: bool
    has_reference: bool


def levels(document: Document) -> list[Levels]:
    """Levels of what was asked, implicit first."""
    return [
        _levels(name, rows)
        for name in EFFECT
        if (rows := list(_rows(document, name))) and any(row.gate or row.validity for row in rows)
    ]


def _rows(document: Document, measurement: str) -> Iterator[Level]:
    gates = {
        (gate["slice"], gate["statistic"], gate["reading"]): gate
        for gate in document["gates"]
        if gate["measurement"] == measurement
    }
    baselines, references = (_theirs(document, kind) for kind in OTHERS)
    found = document["effects"].get(measurement, [])
    forced = {row["slice"]: row for row in found if row["reading"] == FORCED_CHOICE}
    name, heading = EFFECT[measurement], ""
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
            validity=gates.get((row["slice"], "validity", GENERATED)),
            baseline=baselines.get(gate["id"]) if gate else None,
            reference=references.get(gate["id"]) if gate else None,
        )
        heading = group


def _theirs(document: Document, kind: Others) -> dict[str, Figure]:
    """What another model measured, by gate; of a baseline without scores the values alone."""
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


def _levels(measurement: str, rows: list[Level]) -> Levels:
    title, axis, shares = _TITLES[measurement]
    beside = _BESIDE[measurement]
    old = [_dot(row.baseline) for row in rows]
    theirs = [_dot(row.reference) for row in rows]
    series = [Series("this model", "candidate", "o", [_dot(row.figure) for row in rows])]
    if any(old):
        series.append(Series("baseline", "baseline", "D", old, filled=False))
    if any(theirs):
        series.append(Series("reference", "reference", "s", theirs, filled=False))
    chart = rows_chart(
        f"level-{measurement}", _named(rows), series, title=title, axis=axis, shares=shares
    )
    looks = (("candidate", "o"), ("literal", "s"))
    others = [
        Series(label, role, marker, [_dot(row.of(name)) for row in rows], filled=marker == "o")
        for (name, label), (role, marker) in zip(beside, looks, strict=False)
    ]
    beside_chart = rows_chart(
        f"beside-{measurement}",
        _named(rows, limits=False),
        others,
        title=f"{title}: {' and '.join(label for _, label in beside)}",
        axis="effect",
    )
    return Levels(measurement, title, rows, chart, beside, beside_chart, any(old), any(theirs))


def _named(rows: Sequence[Level], *, limits: bool = True) -> list[Row]:
    return [
        Row(
            row.effects["category"],
            row.heading,
            row.gate["limit"] if limits and row.gate else None,
        )
        for row in rows
    ]


def _dot(figure: Figure | None) -> Dot | None:
    if figure is None or figure["value"] is None:
        return None
    return Dot(figure["value"], figure["low"], figure["high"])


def plane(found: Sequence[Levels]) -> str:
    """Implicit over explicit by category, beside the reference or else the baseline.

    Empty where not both were asked.
    """
    by_name = {one.measurement: one for one in found}
    if len(by_name) < 2:
        return ""
    key = ("axis", "variant", "category")
    asked = {tuple(row.effects[part] for part in key): row for row in by_name["explicit"].rows}  # type: ignore[literal-required]
    both = [
        (row, asked[place])
        for row in by_name["implicit"].rows
        if (place := tuple(row.effects[part] for part in key)) in asked  # type: ignore[literal-required]
    ]
    if not both:
        return ""
    kind = beside(found)
    theirs = [(_dot(one.of_model(kind)), _dot(other.of_model(kind))) for one, other in both]
    return plane_chart(
        "plane",
        Series("this model", "candidate", "o", [_dot(one.figure) for one, _ in both]),
        Series(kind, kind, "s" if kind == "reference" else "D", [one for one, _ in theirs], False)
        if any(one for one, _ in theirs)
        else None,
        across=[other.figure["value"] for _, other in both],
        reference_across=[other.value if other else None for _, other in theirs],
        names=[one.effects["slice"] for one, _ in both],
        title="What is associated over what is said",
        axes_labels=("explicit bias: what it says", "stereotype effect: what it associates"),
    )


def beside(found: Sequence[Levels]) -> Others:
    """The other model that stands in the plane: the reference, where there is one."""
    return "reference" if any(one.has_reference for one in found) else "baseline"
