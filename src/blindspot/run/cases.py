"""The cases that bias tests declare: what each judges, by name. Known at collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from blindspot.measurements.base import (
    BANDS,
    CATEGORY,
    GENERATED,
    POOLED,
    WORD,
    Level,
)
from blindspot.measurements.registry import MEASUREMENTS
from blindspot.run.source import Kind, PromptSource
from blindspot.stimuli import Slice


@dataclass(frozen=True, slots=True)
class Case:
    """One gate of the run: a statistic of a slice of the prompts, in one reading.

    ``band``: the layers that a mechanistic gate judges, "" for gates on behaviour. ``variants``:
    those of a gate over several. ``kind``: what its identifiers are.
    """

    measurement: str
    part: Slice
    statistic: str
    reading: str
    level: Level
    band: str = ""
    variants: tuple[str, ...] = ()
    kind: Kind = field(default="group", compare=False)
    #: Identity in reports and baselines: ``implicit/axis-variant-category/...``.
    id: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        words = (self.measurement, self.part.id, self.statistic, self.reading, self.band)
        object.__setattr__(self, "id", "/".join(filter(None, words)))

    @property
    def mechanistic(self) -> bool:
        """Whether it judges the residual stream, not answers."""
        return MEASUREMENTS[self.measurement].banded

    @property
    def parts(self) -> tuple[Slice, ...]:
        """The slices whose prompts must be answered; none for gates on the residual stream."""
        if self.variants:
            return tuple(replace(self.part, variant=variant) for variant in self.variants)
        asked = MEASUREMENTS[self.measurement].asks
        return tuple(replace(self.part, measurement=name) for name in asked)


def cases_of(
    source: PromptSource,
    *,
    measurement: str,
    statistic: str,
    level: Level = CATEGORY,
    readings: Iterable[str] = (GENERATED,),
    bands: Iterable[str] = (),
) -> Iterator[tuple[Case, str]]:
    """Every case of a test with its parametrize id, which names whatever there are several of.

    Raises:
        ValueError: the measurement, statistic, level, a reading or a band does not exist.
    """
    known = MEASUREMENTS.get(measurement)
    if known is None:
        raise ValueError(f"no measurement {measurement!r}; known: {tuple(MEASUREMENTS)}")
    readings, bands = tuple(readings), tuple(bands) or ("",)
    if statistic not in known.statistics:
        raise ValueError(
            f"no statistic {statistic!r} of {measurement!r}; it has {tuple(known.statistics)}"
        )
    if level not in known.levels:
        raise ValueError(f"no level {level!r} of {measurement!r}; it has {known.levels}")
    if unknown := set(readings) - set(known.readings):
        raise ValueError(f"no reading {sorted(unknown)} of {measurement!r}: {known.readings}")
    allowed = BANDS if known.banded else ("",)
    if unknown := set(bands) - set(allowed):
        raise ValueError(f"no bands {sorted(unknown)} of {measurement!r}; it has {allowed}")
    for part, variants in _parts(source, measurement, level):
        for reading, band in product(readings, bands) if source.supports(part, statistic) else ():
            kind = "group" if variants else source.kind(part)
            case = Case(measurement, part, statistic, reading, level, band, variants, kind)
            names = (part.id, reading if len(readings) > 1 else "", band)
            yield case, "-".join(filter(None, names))


def in_order(cases: Mapping[str, Case], source: PromptSource) -> dict[str, Case]:
    """Cases in the order of measurements, not of collection or execution.

    A run in random order then asks, sums and reports exactly like any other.
    """
    asked = {(case.measurement, case.level) for case in cases.values()}
    places = {
        (measurement, part): place
        for measurement, level in asked
        for place, (part, _) in enumerate(_parts(source, measurement, level))
    }

    def place(case: Case) -> tuple[int, ...]:
        known = MEASUREMENTS[case.measurement]
        return (
            tuple(MEASUREMENTS).index(case.measurement),
            tuple(known.statistics).index(case.statistic),
            known.levels.index(case.level),
            places[case.measurement, case.part],
            known.readings.index(case.reading),
            BANDS.index(case.band) if known.banded else 0,
        )

    return {case.id: case for case in sorted(cases.values(), key=place)}


def _parts(
    source: PromptSource, measurement: str, level: Level
) -> Iterator[tuple[Slice, tuple[str, ...]]]:
    """The slices of a level; of pooled ones with their variants, and no words of controls."""
    if level == POOLED:
        together: dict[Slice, list[str]] = {}
        for part in source.slices(measurement):
            if part.variant not in source.controls(part.axis):
                together.setdefault(replace(part, variant=POOLED), []).append(part.variant)
        yield from ((part, tuple(variants)) for part, variants in together.items())
        return
    yield from ((part, ()) for part in _single(source, measurement, level))


def _single(source: PromptSource, measurement: str, level: Level) -> list[Slice]:
    first, *others = MEASUREMENTS[measurement].asks or (measurement,)
    parts = source.slices(first)
    if level == WORD:
        parts = [
            part
            for part in source.word_slices(first)
            if part.variant not in source.controls(part.axis)
        ]
    elif MEASUREMENTS[measurement].part:
        parts = [part for part in parts if part.variant not in source.controls(part.axis)]
    for other in others:
        judged = MEASUREMENTS[other].judged
        also = {
            replace(part, measurement=first)
            for part in source.slices(other)
            if source.supports(part, judged)
        }
        parts = [part for part in parts if part.whole in also]
    return parts
