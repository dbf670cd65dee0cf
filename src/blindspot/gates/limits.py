"""The limits file: ``gates.toml`` read strictly, and the limit that applies to a slice."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from blindspot.errors import StimulusError
from blindspot.estimates.estimate import RANGES
from blindspot.gates.rule import ALPHA, Against, Gate
from blindspot.gates.waivers import Waiver
from blindspot.measurements.base import BANDS, LEVELS, Level
from blindspot.measurements.registry import MEASUREMENTS, STATISTICS
from blindspot.stimuli.schema import Axis
from blindspot.toml import read_toml, validate

MASS = 1e-3
"""Default floor of the probability of all answers that forced choice compares, together."""

SELECTORS = ("measurement", "axis", "variant", "control", "category", "reading", "band")
WHAT: dict[Against, str] = {
    "limit": "limit",
    "baseline": "margin",
    "reference": "margin to a reference",
}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _number(value: object) -> object:
    """A finite number, or "none": measured and reported, not gated."""
    if value == "none":
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f'{value!r} is not a limit; use a number, or "none" to measure without a gate'
        )
    if not math.isfinite(value):
        raise ValueError(f'{value} is not a limit; use a finite number, or "none"')
    return float(value)


def _known(names: Collection[str], what: str) -> AfterValidator:
    """Accept only these names; suggest the closest one."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"there is no {what} {value!r}{_guess(value, names)}")
        return value

    return AfterValidator(check)


_READINGS = tuple(dict.fromkeys(r for known in MEASUREMENTS.values() for r in known.readings))

Limit = Annotated[float | Literal["none"] | None, BeforeValidator(_number)]
Name = Annotated[str, Field(pattern=r"\S")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Rule(_Strict):
    """One ``[[gate]]``: a limit, a margin or both, for the slices that its selectors name."""

    statistic: Annotated[list[Name], BeforeValidator(_listed), Field(min_length=1)]
    level: Annotated[list[Level], BeforeValidator(_listed), Field(min_length=1)]
    measurement: Annotated[str, _known(MEASUREMENTS, "measurement")] | None = None
    axis: Name | None = None
    variant: Name | None = None
    control: Literal["yes", "no"] | None = None
    category: Name | None = None
    reading: Annotated[str, _known(_READINGS, "reading")] | None = None
    band: Annotated[str, _known(BANDS, "band")] | None = None
    at_most: Limit = None
    at_least: Limit = None
    margin: Limit = None
    reference: Limit = None
    resolution: Limit = None
    unreadable: Literal["inconclusive", "reported"] = "inconclusive"
    reason: Annotated[str, Field(pattern=r"\S")]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.at_most is self.at_least is self.margin is self.reference is None:
            raise ValueError("limits nothing; add at_most, at_least, margin or reference")
        for name in self.statistic:
            if name not in STATISTICS:
                raise ValueError(f"statistic: there is no {name!r}{_guess(name, STATISTICS)}")
            known = STATISTICS[name]
            other = "at_least" if known.direction == "at_most" else "at_most"
            if getattr(self, other) is not None:
                if not known.two_sided:
                    raise ValueError(f"{other}: cannot limit {name}; use {known.direction}")
                if not isinstance(self.at_most, float):
                    raise ValueError(f"at_least: add the at_most of {name}; one gate has both")
            top = RANGES.get(known.unit, (-math.inf, math.inf))[1]
            for key in ("at_most", "at_least", "margin", "reference", "resolution"):
                value = getattr(self, key)
                negative = key == "at_least" and known.two_sided
                if isinstance(value, float) and (fault := _out_of_range(key, value, top, negative)):
                    raise ValueError(f"{key}: {value:g} for {name} {fault}")
        return self

    @property
    def selectors(self) -> dict[str, str]:
        """The selectors that are set."""
        return {key: value for key in SELECTORS if (value := getattr(self, key)) is not None}

    def value(self, against: Against) -> float | Literal["none"] | None:
        """The limit or the margin; None if the rule sets none."""
        if against == "reference" and self.reference is not None:
            return self.reference
        if against != "limit":
            return self.margin
        return self.at_least if self.at_most is None else self.at_most

    def opposite(self, statistic: str) -> float | None:
        """The limit on the other side: the same one unless the rule sets another."""
        if not (STATISTICS[statistic].two_sided and isinstance(self.at_most, float)):
            return None
        if self.at_least is None:
            return -self.at_most
        return None if self.at_least == "none" else self.at_least


class _File(_Strict):
    alpha: Annotated[float, Field(gt=0.0, lt=0.5, allow_inf_nan=False)] = ALPHA
    mass: Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)] = MASS
    gate: Annotated[list[Rule], Field(min_length=1)]
    waiver: list[Waiver] = []


@dataclass(frozen=True)
class GateTable:
    """All rules of a file. Of those that apply to a slice, the most specific one decides."""

    path: Path
    alpha: float
    rules: tuple[Rule, ...]
    waivers: tuple[Waiver, ...] = ()
    mass: float = MASS

    def waiver(self, gate_id: str) -> Waiver | None:
        """The waiver of a gate, None without one; of several, the one that expires last."""
        matching = [waiver for waiver in self.waivers if waiver.covers(gate_id)]
        return max(matching, key=lambda waiver: waiver.expires, default=None)

    def gate(
        self,
        gate_id: str,
        statistic: str,
        level: Level,
        *,
        measurement: str,
        axis: str,
        variant: str,
        category: str,
        reading: str,
        band: str = "",
        control: bool = False,
        against: Against = "limit",
    ) -> Gate:
        """The gate of a statistic of a slice: against its limit, or its baseline with a margin.

        Raises:
            StimulusError: no rule applies to it, or two that are equally specific.
        """
        slice_ = {
            "measurement": measurement,
            "axis": axis,
            "variant": variant,
            "control": "yes" if control else "no",
            "category": category,
            "reading": reading,
            "band": band,
        }
        rules = [
            rule
            for rule in _speaking(self.rules, statistic, level, against)
            if rule.selectors.items() <= slice_.items()
        ]
        if not rules:
            raise StimulusError(
                f"{self.path}: no {WHAT[against]} for {statistic} at level {level}, {measurement} "
                f"{axis}/{variant}/{category}; add a [[gate]] without selectors as the default"
            )
        most = max(len(rule.selectors) for rule in rules)
        rule, *others = (rule for rule in rules if len(rule.selectors) == most)
        for other in others:
            if conflict := self._conflict(rule, other, statistic, level, against):
                raise StimulusError(conflict)
        value = rule.value(against)
        return Gate(
            id=gate_id,
            measurement=measurement,
            axis=axis,
            statistic=statistic,
            unit=STATISTICS[statistic].unit,
            limit=None if value == "none" else value,
            reason=rule.reason,
            direction=STATISTICS[statistic].direction,
            level=level,
            against=against,
            readable="optional" if rule.unreadable == "reported" else "required",
            resolution=math.inf if rule.resolution == "none" else rule.resolution,
            opposite=rule.opposite(statistic) if against == "limit" else None,
        )

    def check_names(self, axes: Mapping[str, Axis], others: Collection[str] = ()) -> None:
        """Refuse selectors that name nothing: a limit that never applies protects nobody.

        Refuse also two rules of equal rank that both apply to a slice of these axes. What a rule
        says of ``others``, axes that the run does not ask, is not checked.

        Raises:
            StimulusError: names the file, the rule and the selector.
        """
        known: dict[str, Collection[str]] = {
            "axis": {*axes, *others},
            "variant": {name for axis in axes.values() for name in axis.variants},
            "category": {name for axis in axes.values() for name in axis.categories},
        }
        for number, rule in enumerate(self.rules, 1):
            unasked = rule.axis in others and rule.axis not in axes
            for key, names in known.items() if not unasked else ():
                chosen = rule.selectors.get(key)
                if chosen is not None and chosen not in names:
                    raise StimulusError(
                        f"{self.path}: gate[{number}].{key}: there is no {key} {chosen!r}"
                        f"{_guess(chosen, names)}; correct it or remove the gate"
                    )
        self.refuse_conflicts(axes)

    def refuse_conflicts(self, axes: Mapping[str, Axis] | None = None) -> None:
        """No slice may have two rules of equal rank: their order in the file must not decide.

        Rules that both set no limit do not conflict. Without ``axes`` those are left out that
        conflict only if an axis has a certain variant or category.

        Raises:
            StimulusError: names the file and both rules.
        """
        for statistic, level, against in product(STATISTICS, LEVELS, WHAT):
            speaking = _speaking(self.rules, statistic, level, against)
            decided = [rule.selectors for rule in speaking]
            for one, other in combinations(speaking, 2):
                first, second = one.selectors, other.selectors
                both = first | second
                overlap = all(second[key] == value for key, value in first.items() if key in second)
                settled = first != second and both in decided
                if len(first) != len(second) or not overlap or settled:
                    continue
                if first != second and not _exists(both, axes):
                    continue
                if conflict := self._conflict(one, other, statistic, level, against):
                    raise StimulusError(conflict)

    def _conflict(
        self, one: Rule, other: Rule, statistic: str, level: Level, against: Against
    ) -> str:
        """Two rules of equal rank that both apply, in a line; "" if both set no limit."""
        if one.value(against) == other.value(against) == "none":
            return ""
        numbers = [
            place for place, rule in enumerate(self.rules, 1) if rule is one or rule is other
        ]
        both = one.selectors | other.selectors
        wanted = " and ".join(f"{key} {value}" for key, value in both.items())
        remedy = "remove one" if one.selectors == other.selectors else f"add one for {wanted}"
        return (
            f"{self.path}: gate[{numbers[0]}] and gate[{numbers[1]}] both set the {WHAT[against]} "
            f"of {statistic} at level {level}; {remedy}"
        )


def load_gates(path: Path) -> GateTable:
    """Read and check a limits file.

    Raises:
        StimulusError: names the file, the key and the remedy.
    """
    file = validate(_File, read_toml(path), path)
    table = GateTable(path, file.alpha, tuple(file.gate), tuple(file.waiver), file.mass)
    table.refuse_conflicts()
    return table


def _speaking(rules: Iterable[Rule], statistic: str, level: Level, against: Against) -> list[Rule]:
    return [
        rule
        for rule in rules
        if statistic in rule.statistic and level in rule.level and rule.value(against) is not None
    ]


def _exists(selectors: Mapping[str, str], axes: Mapping[str, Axis] | None) -> bool:
    """Whether some axis has what these selectors name together."""
    if axes is None:
        return len({"axis", "variant", "control", "category"} & selectors.keys()) < 2
    return any(
        selectors.get("axis") in (None, name)
        and selectors.get("variant") in (None, variant)
        and selectors.get("control") in (None, "yes" if axis.homonyms or known.control else "no")
        and selectors.get("category") in (None, *axis.categories)
        for name, axis in axes.items()
        for variant, known in axis.variants.items()
    )


def _out_of_range(key: str, value: float, top: float, negative: bool) -> str:
    if negative:
        fits, wanted = -top < value <= 0.0, f"above {-top:g}, up to 0"
    elif key == "at_least":
        fits, wanted = 0.0 < value <= top, f"above 0, up to {top:g}"
    else:
        fits, wanted = 0.0 <= value < top, f"0 to below {top:g}"
    return "" if fits else f'is out of range; use {wanted}, or "none"'


def _guess(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"
