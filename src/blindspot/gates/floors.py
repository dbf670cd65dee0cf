"""Floors below which answers are unread: what was measured is worth no pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from blindspot.errors import StimulusError
from blindspot.estimates import Effects
from blindspot.gates.limits import GateTable
from blindspot.measurements.base import FORCED_CHOICE, GENERATED, VALIDITY
from blindspot.measurements.registry import BEHAVIORAL, DIFFERENCES
from blindspot.run.cases import Case
from blindspot.stimuli import Slice


class Answered(Protocol):
    """A model with the effects of its answers."""

    def has(self, case: Case) -> bool:
        """Whether all prompts of a case were asked."""
        ...

    def effects(self, part: Slice, reading: str = GENERATED) -> Effects:
        """All effects of a slice in one reading."""
        ...

    def mass(self, case: Case) -> float:
        """Median probability of all compared answers together; NaN without forced choice."""
        ...


@dataclass(frozen=True, slots=True)
class Unread:
    """Why the answers behind a case are worth no pass.

    ``unanswered``: share of its prompts without an answer; 1 if no limit can be beyond doubt.
    """

    reason: str
    unanswered: float = 1.0


def unread(measured: Answered, gates: GateTable, case: Case) -> Unread | None:
    """Why the answers of a behavioral case are unread; None if they are read.

    Generated answers are below the floor of validity of their slice, in the gates of its level.
    Nothing is known of the unanswered prompts, and they are not a random sample. The answers of
    forced choice are below the floor of mass: the model would write none of them.
    """
    if case.mechanistic or case.statistic == VALIDITY or not measured.has(case):
        return None
    if case.reading == FORCED_CHOICE:
        if not all(BEHAVIORAL[part.measurement].compares for part in case.parts):
            return None
        mass = measured.mass(case)
        little = f"the compared answers have a probability of {mass:.2g} together, below"
        return Unread(f"{little} {gates.mass:g}") if mass < gates.mass else None
    low = [found for part in case.parts if (found := _answered(measured, gates, case, part))]
    if not low:
        return None
    worst = max(low, key=lambda found: found.unanswered)
    return Unread(worst.reason) if case.measurement in DIFFERENCES or case.variants else worst


def _answered(measured: Answered, gates: GateTable, case: Case, part: Slice) -> Unread | None:
    """Why too few prompts of a slice were answered; None if enough were."""
    floor = _floor(gates, case, part)
    validity = measured.effects(part, GENERATED).validity
    if floor is None or not validity.measured or validity.value >= floor:
        return None
    answered = round(validity.value * validity.n)
    few = f"only {answered:,} of {validity.n:,} prompts were answered"
    none = f"none of {validity.n:,} prompts was answered"
    return Unread(few if answered else none, 1.0 - validity.value)


def _floor(gates: GateTable, case: Case, part: Slice) -> float | None:
    """The floor of validity of a slice; None if the limits file sets none."""
    try:
        return gates.gate(
            case.id,
            VALIDITY,
            case.level if part.word else "category",
            measurement=part.measurement,
            axis=part.axis,
            variant=part.variant,
            category=part.category,
            reading=GENERATED,
        ).limit
    except StimulusError:
        return None
