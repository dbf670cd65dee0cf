"""What a bias test declares: the estimate that it judges, by name. Known at collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from blindspot.plan.source import PromptSource
from blindspot.stimuli import EXPLICIT, IMPLICIT, Slice

GENERATED = "generated"
FORCED_CHOICE = "forced-choice"
READINGS = (GENERATED, FORCED_CHOICE)

CATEGORY = "category"
PAIR = "pair"
LEVELS = (CATEGORY, PAIR)

#: Statistics that a test can judge, by measurement.
STATISTICS = {
    IMPLICIT: ("stereotype", "validity"),
    EXPLICIT: ("bias", "validity"),
    "gap": ("gap",),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One gate of the run: a statistic of a slice of the prompts, in one reading."""

    measurement: str
    part: Slice
    statistic: str
    reading: str
    level: str

    @property
    def id(self) -> str:
        """Identity in reports and baselines: ``implicit/race-default-weapons/...``."""
        return f"{self.measurement}/{self.part.id}/{self.statistic}/{self.reading}"

    @property
    def parts(self) -> tuple[Slice, ...]:
        """The slices whose prompts must be answered."""
        if self.measurement == "gap":
            return tuple(replace(self.part, measurement=name) for name in (IMPLICIT, EXPLICIT))
        return (self.part,)


def cases_of(
    source: PromptSource,
    *,
    measurement: str,
    statistic: str,
    level: str = CATEGORY,
    readings: Iterable[str] = (GENERATED,),
) -> Iterator[tuple[Case, str]]:
    """Every case of a test with its parametrize id; the reading is named where there are several.

    Raises:
        ValueError: the measurement, statistic, level or a reading is not known.
    """
    readings = tuple(readings)
    if statistic not in STATISTICS.get(measurement, ()):
        raise ValueError(f"no statistic {statistic!r} of {measurement!r}; known: {STATISTICS}")
    if level not in LEVELS:
        raise ValueError(f"no level {level!r}; known: {LEVELS}")
    if unknown := set(readings) - set(READINGS):
        raise ValueError(f"no reading {sorted(unknown)}; known: {READINGS}")
    asked = IMPLICIT if measurement == "gap" else measurement
    parts = source.slices(asked) if level == CATEGORY else source.pair_slices(asked)
    if measurement == "gap":
        also = {
            replace(part, measurement=IMPLICIT)
            for part in source.slices(EXPLICIT)
            if source.supports(part, "bias")
        }
        parts = [part for part in parts if part in also]
    for part in parts:
        for reading in readings if source.supports(part, statistic) else ():
            case = Case(measurement, part, statistic, reading, level)
            yield case, part.id if len(readings) == 1 else f"{part.id}-{reading}"
