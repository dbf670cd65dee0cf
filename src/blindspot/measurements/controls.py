"""The controls: disambiguated contexts, and the position of ambiguous ones between them.

A reading of the residual stream is in units of its own: the log-odds of two words, the sense of a
text. Contexts that state a sense turn it into a position: -1 is where those that state the group
lie, +1 where those that state the literal sense do. They also show whether there is anything to
read: where the two kinds of contexts do not separate, a reading says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import Clusters, Contributions, Estimate
from blindspot.estimates.clusters import FactorSums, contrasts
from blindspot.measurements.mechanistic import Band
from blindspot.measurements.permutation import chance, least_chance
from blindspot.measurements.scale import Scale
from blindspot.stimuli import Context

Floats = NDArray[np.float64]

ERROR = 0.05
"""Family-wise chance of taking any layer of an unreadable model for readable."""


def mean_of(values: Floats, axes: int | tuple[int, ...]) -> Floats:
    """Means of values over some axes, without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    count = np.asarray(known.sum(axis=axes))
    total = np.where(known, values, 0.0).sum(axis=axes)
    means: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return means


@dataclass(frozen=True, eq=False)
class Control:
    """Readings of contexts that state one thing: ``values`` (vector, cell, layer).

    A cell is a question in one order of its answers. ``cues`` and ``frames``: (vector,) labels.
    """

    values: Floats
    cues: tuple[str, ...]
    frames: tuple[str, ...]

    @classmethod
    def of(cls, values: Floats, contexts: Sequence[Context]) -> Self:
        """From readings (vector, cell, layer): one vector for each word of each context."""
        cues = tuple(context.cue for context in contexts for _ in context.words)
        frames = tuple(context.frame for context in contexts for _ in context.words)
        assert len(values) == len(cues), "values: one vector for each word of each context"
        return cls(values, cues, frames)

    def by_cue(self) -> Floats:
        """Means of the vectors of each cue over all cells, (cue, layer)."""
        names = np.array(self.cues)
        return np.array(
            [mean_of(self.values[names == cue], (0, 1)) for cue in dict.fromkeys(self.cues)]
        )

    def mean(
        self, layer: int, weights: Floats, questions: Sequence[str], *, step: float
    ) -> Contributions:
        """Mean of ``weights`` (cell,) times the readings at a layer; clusters cue, frame, question.

        ``questions`` names that of each cell.
        """
        found = self.values[:, :, layer] * weights
        vectors, count = found.shape
        labels = {
            "cue": np.repeat(self.cues, count),
            "frame": np.repeat(self.frames, count),
            "question": np.tile(questions, vectors),
        }
        (mean,) = contrasts(
            found.ravel(),
            np.zeros(found.size, np.int64),
            np.ones((1, 1)),
            Clusters.encode(labels),
            names=("any",),
            step=step,
            unit="reading",
        )
        return mean


@dataclass(frozen=True, eq=False)
class Controls:
    """The contexts that state either sense, and the layers in which they separate.

    ``cells``: question and order of its answers, of each cell; ``least``: by how much the senses
    must differ in a layer; ``step``: possible error of one reading.
    """

    group: Control
    literal: Control
    cells: tuple[tuple[str, str], ...]
    least: float
    step: float

    @property
    def questions(self) -> list[str]:
        """The question of each cell."""
        return [question for question, _ in self.cells]

    @property
    def layers(self) -> int:
        """How many were read."""
        return int(self.group.values.shape[2])

    @cached_property
    def separations(self) -> list[Estimate]:
        """Literal minus group contexts, layer by layer, in units of the reading.

        Both kinds use the same templates and questions, but different cues.
        """
        return [
            self._mean(self.literal, layer)
            .minus(self._mean(self.group, layer), apart=("cue",))
            .estimate()
            for layer in range(self.layers)
        ]

    @cached_property
    def chances(self) -> Floats:
        """Chance that any layer separates as clearly without telling senses, (layer,).

        Any network separates any two words, even with random weights. Only several cues that agree
        show that it separates their senses, so the permutations exchange cues.
        """
        return chance(self.group.by_cue(), self.literal.by_cue(), least=self.least)

    @cached_property
    def readable(self) -> tuple[int, ...]:
        """Layers that separate clearly by more than ``least``, and not by chance."""
        if self.fault:
            return ()
        return tuple(
            layer
            for layer in range(self.layers)
            if self.chances[layer] <= ERROR
            and self.separations[layer].measured
            and self.separations[layer].lower(ERROR) > self.least
        )

    @property
    def fault(self) -> str:
        """Why these contexts can read no model; "" if they can."""
        ours, theirs = (len(set(control.cues)) for control in (self.group, self.literal))
        if min(ours, theirs) > 1 and least_chance(ours, theirs) <= ERROR:
            return ""
        return f"{ours} and {theirs} cue words are too few to separate senses from words"

    def within(self, layers: Sequence[int]) -> tuple[int, ...]:
        """The readable ones of some layers."""
        return tuple(layer for layer in layers if layer in self.readable)

    def unread(self, told: str) -> Band:
        """A band without a readable layer; ``told``: how clearly it separates at best."""
        return Band(None, self.fault or f"the controls do not separate: {told}")

    def best(self, layers: Sequence[int]) -> int | None:
        """The layer that separates most clearly, None if there is none."""
        measured = [layer for layer in layers if self.separations[layer].measured]
        bounds = {layer: self.separations[layer].lower(ERROR) for layer in measured}
        return max(measured, key=lambda at: (at in self.readable, bounds[at]), default=None)

    def at_best(self, layers: Sequence[int], told: Callable[[int], str]) -> str:
        """What ``told`` says of the layer that separates most clearly, or why there is none."""
        layer = self.best(layers)
        if layer is None:
            return "they were not measured" if layers else "the band has no layer"
        return told(layer)

    def doubt(self, layer: int) -> str:
        """How clearly a layer separates, and how clearly it must."""
        return (
            f"layer {layer}, lower bound {self.separations[layer].lower(ERROR):.2f}, permutation p "
            f"{self.chances[layer]:.2g}; needs {self.least:.2f}"
        )

    def beyond(self, other: Control, layers: Sequence[int]) -> tuple[list[int], list[int]]:
        """Layers where other contexts clearly read further out: than group, than literal ones.

        There the scale does not cover the range of the question.
        """
        below, above = [], []
        for layer in layers:
            mean = self._mean(other, layer)
            low = mean.minus(self._mean(self.group, layer), apart=("cue",)).estimate()
            high = mean.minus(self._mean(self.literal, layer), apart=("cue",)).estimate()
            if low.measured and low.upper(ERROR) < 0.0:
                below.append(layer)
            if high.measured and high.lower(ERROR) > 0.0:
                above.append(layer)
        return below, above

    def _mean(self, control: Control, layer: int) -> Contributions:
        return control.mean(layer, np.ones(len(self.cells)), self.questions, step=self.step)


def labels_of(contexts: Sequence[Context], questions: Sequence[str]) -> Clusters:
    """Clusters of readings (vector, cell), flat: of ambiguous contexts, or of those with a cue."""
    both = [context for context in contexts for _ in context.words]
    pairs = [context.pair for context in both if context.pair is not None]
    labels: dict[str, NDArray[np.str_]] = {}
    if pairs:
        labels["positive word"] = np.repeat([pair[0] for pair in pairs], len(questions))
        labels["negative word"] = np.repeat([pair[1] for pair in pairs], len(questions))
    else:
        labels["cue"] = np.repeat([context.cue for context in both], len(questions))
    frame = "wording" if pairs else "frame"
    labels[frame] = np.repeat([context.frame for context in both], len(questions))
    labels["question"] = np.tile(questions, len(both))
    return Clusters.encode(labels)


def blindness(
    contexts: Sequence[Context],
    readings: Floats,
    scale: Scale,
    controls: Controls,
    layers: Sequence[int],
    *,
    step: float,
) -> Contributions:
    """Mean position of ambiguous contexts over some layers.

    Every vector has the same weight in every question and order. Clusters are the words of the
    pairs, the wordings and the questions, and the cues of either control, which define the scale.

    Args:
        contexts: of the readings, one vector for each word of each.
        readings: (vector, cell, layer).
        scale: of the controls.
        controls: the controls of the scale.
        layers: the readable ones.
        step: possible error of one reading, as a position.
    """
    chosen = list(layers)
    place = scale.positions(readings)[:, :, chosen]
    count = np.count_nonzero(~np.isnan(place), axis=2)
    rows = np.where(count > 0, np.nansum(place, axis=2) / np.maximum(count, 1), np.nan)
    orders, codes = np.unique([order for _, order in controls.cells], return_inverse=True)
    (found,) = contrasts(
        rows.ravel(),
        np.tile(codes, len(rows)),
        np.full((1, orders.size), 1.0 / orders.size),
        labels_of(contexts, controls.questions),
        names=orders,
        step=step,
        unit="position",
    )
    if found.reason:
        return found
    extra = _calibration(readings, scale, controls, chosen)
    return replace(found, factors={**found.factors, **extra})


def band_of(
    contexts: Sequence[Context],
    readings: Floats,
    scale: Scale,
    controls: Controls,
    layers: Sequence[int],
    *,
    step: float,
    told: str,
) -> Band:
    """`blindness` in the readable layers of a band, or why there is none.

    ``told``: how clearly the controls separate in the band; the rest as of `blindness`.
    """
    readable = controls.within(layers)
    if not readable:
        return controls.unread(told)
    found = blindness(contexts, readings, scale, controls, readable, step=step)
    return Band(None, found.reason) if found.reason else Band(found, layers=readable)


def _calibration(
    readings: Floats, scale: Scale, controls: Controls, layers: Sequence[int]
) -> dict[str, FactorSums]:
    """What the cues of either control contribute to a mean position, through the scale."""
    kept = scale.usable[:, layers]
    share = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1)
    share = share * len(kept) / max(1, int(kept.any(axis=1).sum()))
    factors = {}
    for sense, control, slope in zip(
        ("group", "literal"),
        (controls.group, controls.literal),
        scale.slopes(readings),
        strict=True,
    ):
        total: Contributions | None = None
        for place, layer in enumerate(layers):
            weights = np.where(kept[:, place], slope[:, layer] * share[:, place], 0.0)
            part = control.mean(layer, weights, controls.questions, step=0.0)
            if not part.reason:
                total = part if total is None else total.minus(part.times(-1.0))
        if total is not None and "cue" in total.factors:
            factors[f"cue of the {sense} controls"] = total.factors["cue"]
    return factors
