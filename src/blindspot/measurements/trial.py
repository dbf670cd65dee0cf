"""The trial that assays with controls begin with: can a large model be read at all?

Few contexts of both controls are read in a few layers. Where they do not separate, the assay ends
as unreadable in a minute instead of an hour.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blindspot.measurements.controls import Control, Controls
from blindspot.measurements.mechanistic import Assayed, Curve, Findings, Unit, band_layers, drawn
from blindspot.measurements.sample import SAMPLED, TRIED, evenly, tried
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream
from blindspot.stimuli import Context, Selection, Slice, Stimuli, cued_contexts, senses_of


class Layered(Unit, Protocol):
    """A unit that can be done in some layers of a model."""

    @property
    def contexts(self) -> tuple[Context, ...]:
        """Whose vectors are read."""
        ...

    def in_layers(
        self, stream: ResidualStream, layers: Sequence[int], progress: Progress | None
    ) -> Findings:
        """Its findings, of these layers alone."""
        ...


@dataclass(frozen=True)
class Trial:
    """A unit in few layers of a large model. Findings as of the unit; none of a small model."""

    unit: Layered

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        return json.dumps({"trial": TRIED, "of": self.unit.content})

    @property
    def size(self) -> int:
        """That of the unit."""
        return self.unit.size

    @property
    def tokens(self) -> int:
        """As many as its layers are among those of the unit."""
        return self.unit.tokens * TRIED // SAMPLED

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Do the unit in the layers of a trial."""
        layers = tried(stream.layers)
        return self.unit.in_layers(stream, layers, progress) if layers else {}


class TriedByControls(ABC):
    """An assay that tries its controls first.

    ``readings``: of it, of which the first is tried; ``least``: by how much the controls must
    differ to be read; ``quantity``: the name of that difference.
    """

    readings: tuple[str, ...]
    least: float
    quantity: str

    def __init__(self, stimuli: Stimuli, selection: Selection) -> None:
        self._stimuli, self._selection = stimuli, selection
        self._trials: dict[tuple[str, str], Trial] = {}

    def trials(self, part: Slice) -> Sequence[Unit]:
        """Both controls, one context a cue."""
        return [self._trial(part)]

    def remaining(self, part: Slice, findings: Mapping[str, Findings]) -> Sequence[Unit]:
        """All, unless the controls differ in no layer by half of what they must."""
        found = findings.get(self._trial(part).content)
        apart = not found or any(
            one.measured and one.value >= self.least / 2
            for one in self._tried(part, found, self.readings[0]).separations
        )
        return self.units(part) if apart else []

    @abstractmethod
    def units(self, part: Slice) -> Sequence[Unit]:
        """The units of a slice."""

    def _unread(self, part: Slice, findings: Mapping[str, Findings], digest: str) -> Assayed:
        """What a trial that has ended the assay says."""
        found = findings[self._trial(part).content]
        senses = tuple(one.name for one in senses_of(self._stimuli, part.axis, part.variant))
        bands, lines, curves = {}, {}, []
        for reading in self.readings:
            controls = self._tried(part, found, self.readings[0])
            for name, layers in band_layers(controls.layers).items():
                lines[reading, name] = line = f"{self.best(controls, layers, senses)}, in a trial"
                bands[reading, name] = controls.unread(line)
            curves.append(self.separation(controls, reading))
        return Assayed(part, bands, curves, lines, digest=digest)

    def _trial(self, part: Slice) -> Trial:
        where = part.axis, part.variant
        if where not in self._trials:
            stated = [
                cued_contexts(self._stimuli, *where, sense.name)
                for sense in senses_of(self._stimuli, *where)
            ]
            cues = min(len({context.cue for context in contexts}) for contexts in stated)
            few = tuple(one for contexts in stated for one in evenly(contexts, cues))
            self._trials[where] = Trial(self._unit_of_trial(part, few))
        return self._trials[where]

    def _tried(self, part: Slice, found: Findings, reading: str) -> Controls:
        """The controls of a trial: first the contexts of the group sense, then the literal ones."""
        contexts = self._trial(part).unit.contexts
        values, cells, step = self._values_of_trial(part, found, reading)
        vectors, half = len(values) // 2, len(contexts) // 2
        return Controls(
            Control.of(values[:vectors], contexts[:half]),
            Control.of(values[vectors:], contexts[half:]),
            cells,
            self.least,
            step,
        )

    @abstractmethod
    def _unit_of_trial(self, part: Slice, contexts: tuple[Context, ...]) -> Layered:
        """The unit that reads these contexts."""

    @abstractmethod
    def _values_of_trial(
        self, part: Slice, found: Findings, reading: str
    ) -> tuple[NDArray[np.float64], tuple[tuple[str, str], ...], float]:
        """Values (vector, cell, layer), the cells, and the possible error of a value."""

    @classmethod
    def best(cls, controls: Controls, layers: Sequence[int], senses: tuple[str, ...]) -> str:
        """How clearly the controls separate at best in some layers."""
        return controls.at_best(layers, lambda layer: cls.apart(controls, layer, senses))

    @classmethod
    def separation(cls, controls: Controls, reading: str) -> Curve:
        """By layer, what the controls differ by."""
        at = tuple(map(str, range(controls.layers)))
        return drawn("controls", reading, cls.quantity, at, controls.separations)

    @staticmethod
    @abstractmethod
    def apart(controls: Controls, layer: int, senses: tuple[str, ...]) -> str:
        """How far apart the controls are in a layer, in words."""
