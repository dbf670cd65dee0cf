"""What every assay of the residual stream has in common: units of work, and what they amount to.

An assay cuts its work on a slice into *units*. A unit is done by one process, kept in the answer
store as one answer, and shared between slices that need the same one (the controls of a variant).
`measure` then turns answers into estimates without the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import Contributions, Estimate
from blindspot.estimates.statistics import BANDS, EARLY, LATE, MIDDLE, OVERALL
from blindspot.models.base import Progress
from blindspot.residual.base import ResidualStream
from blindspot.stimuli import Slice

#: What a unit leaves behind: arrays (no objects) and lists of texts.
Findings = dict[str, "NDArray[Any] | list[str]"]

__all__ = [
    "BANDS",
    "EARLY",
    "LATE",
    "MIDDLE",
    "OVERALL",
    "Assay",
    "Assayed",
    "Band",
    "Curve",
    "Findings",
    "Unit",
    "band_layers",
    "finished",
]


def band_layers(layers: int) -> dict[str, range]:
    """Layers of each band: all of them, and their first, middle and last third.

    Where thirds do not come out even the early and late ones are the smaller.
    """
    third = max(1, layers // 3)
    return {
        OVERALL: range(layers),
        EARLY: range(min(third, layers)),
        MIDDLE: range(third, max(third, layers - third)),
        LATE: range(max(0, layers - third), layers),
    }


class Unit(Protocol):
    """A piece of work for one process."""

    @property
    def content(self) -> str:
        """Everything that decides its findings beside the model, as canonical JSON."""
        ...

    @property
    def size(self) -> int:
        """Forward rows, roughly: for the progress bar."""
        ...

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Do the work."""
        ...


@dataclass(frozen=True)
class Band:
    """What an assay says of a slice over one band of layers, in one reading.

    ``unreadable``: why it cannot be judged ("the controls do not separate ..."), "" if it can; then
    ``contributions`` hold the statistic. ``layers``: those that it rests on.
    """

    contributions: Contributions | None
    unreadable: str = ""
    layers: tuple[int, ...] = ()

    def estimate(self, unit: str) -> Estimate:
        """The statistic; unmeasured, with the reason, where the controls do not separate."""
        if self.contributions is None:
            return Estimate.unmeasured(self.unreadable, unit=unit)
        return self.contributions.estimate()


@dataclass(frozen=True)
class Curve:
    """Values by layer (or by window of layers), for reports and plots.

    ``name``: what is shown, such as "ambiguous"; ``reading``: which reading of the assay;
    ``quantity``: what the values are; ``values``, ``low`` and ``high`` (95 %) by ``at``, None where
    unmeasured.
    """

    name: str
    reading: str
    quantity: str
    at: tuple[str, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Assayed:
    """What an assay says of one slice.

    ``bands``: by (reading, band); ``controls``: one line each on what the controls said, by
    (reading, band); ``samples``: rows for people to read, builtins only; ``digest``: of the texts
    it rests on.
    """

    part: Slice
    bands: Mapping[tuple[str, str], Band]
    curves: Sequence[Curve] = ()
    controls: Mapping[tuple[str, str], str] = field(default_factory=dict)
    samples: Sequence[dict[str, Any]] = ()
    digest: str = ""


class Assay(Protocol):
    """One way to look into a model."""

    @property
    def measurement(self) -> str:
        """What it measures, as gates name it."""
        ...

    @property
    def statistic(self) -> str:
        """What is judged."""
        ...

    @property
    def readings(self) -> tuple[str, ...]:
        """Ways to read its findings."""
        ...

    def units(self, part: Slice) -> Sequence[Unit]:
        """The work that a slice needs; equal units of different slices are done once."""
        ...

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Read the findings (by `Unit.content`) of a slice's units."""
        ...


def finished(values: NDArray[np.floating[Any]]) -> Iterator[float | None]:
    """Floats for a curve: NaN becomes None."""
    for value in values.tolist():
        yield None if math.isnan(value) else value
