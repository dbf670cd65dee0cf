"""What all assays of the residual stream share: units of work, and the findings made of them.

An assay cuts its work on a slice into *units*. One process does a unit, the answer store keeps it
as one answer, and slices that need the same one share it (the controls of a variant). `measure`
then turns answers into estimates without the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import Clusters, Contributions, Estimate, mean_estimate
from blindspot.measurements.base import (
    CATEGORY,
    EARLY,
    LATE,
    MIDDLE,
    OVERALL,
    Level,
    Measurement,
    Statistic,
    Words,
)
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream
from blindspot.stimuli import (
    AMBIGUOUS,
    NEUTRAL,
    UNRELATED,
    AssociationPrompt,
    Selection,
    Slice,
    Stimuli,
    mechanistic_slices,
)

Floats = NDArray[np.float64]

#: The findings of a unit: arrays (no objects) and lists of texts.
Findings = dict[str, "NDArray[Any] | list[str]"]


def band_layers(layers: int) -> dict[str, range]:
    """Layers of each band: all of them, and their first, middle and last third.

    If the number of layers is not divisible by three, early and late are the smaller bands.
    """
    third = max(1, layers // 3)
    return {
        OVERALL: range(layers),
        EARLY: range(min(third, layers)),
        MIDDLE: range(third, max(third, layers - third)),
        LATE: range(max(0, layers - third), layers),
    }


def tokens_in(texts: Iterable[str]) -> int:
    """Tokens of texts, roughly: four characters each."""
    return sum(map(len, texts)) // 4


PASSES = "forward passes"
"""What the size of a unit counts, whatever the assay: texts that run through the model."""


class Unit(Protocol):
    """A piece of work for one process."""

    @property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        ...

    @property
    def size(self) -> int:
        """Approximate number of `PASSES`, for the progress bar."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens that it computes of a large model, roughly."""
        ...

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Do the work."""
        ...


@dataclass(frozen=True)
class Band:
    """The finding of an assay for a slice over one band of layers, in one reading.

    ``unreadable``: why it cannot be judged ("the controls do not separate ..."), "" if it can; then
    ``contributions`` hold the statistic. ``layers``: those that it rests on. ``compared``: for a
    statistic that is beyond a limit only if all its comparisons are, the comparisons by name;
    ``decisive``: the one that ``contributions`` are of.
    """

    contributions: Contributions | None
    unreadable: str = ""
    layers: tuple[int, ...] = ()
    compared: Mapping[str, Contributions] = field(default_factory=dict)
    decisive: str = ""

    def held_against(self, limit: float) -> Band:
        """The band with the comparison that decides at a limit: the one with the largest p.

        An intersection-union test: "all are beyond" is claimed at an error of at most alpha where
        the largest one-sided p is at most alpha, without a correction for their number (Berger
        1982). The comparison with the smallest value does not suffice: a less precise one may not
        be beyond. The same comparison has the smallest p of the opposite claim, "one of them is
        within", and there it is the best of several: see `blindspot.gates.rule.Check`.
        """
        if not self.compared:
            return self
        name = decisive(self.compared, limit)
        return replace(self, contributions=self.compared[name], decisive=name)

    def estimate(self, unit: str) -> Estimate:
        """The statistic; unmeasured, with the reason, where the controls do not separate."""
        if self.contributions is None:
            return Estimate.unmeasured(self.unreadable, unit=unit)
        return self.contributions.estimate()


def decisive(compared: Mapping[str, Contributions], limit: float) -> str:
    """The comparison that shows least that it is beyond a limit."""
    found = {name: each.estimate() for name, each in compared.items()}
    return max(found, key=lambda name: _doubt(found[name], limit))


def _doubt(estimate: Estimate, limit: float) -> tuple[float, float]:
    """How weak the evidence is that a value is beyond a limit: by p, then by standard errors."""
    if not estimate.measured:
        return math.inf, math.inf
    return estimate.p_above(limit), (limit - estimate.value) / estimate.standard_error


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
    """The findings of an assay for one slice.

    ``bands``: by (reading, band); ``controls``: one line each on the controls, by
    (reading, band); ``samples``: rows for people to read, builtins only; ``digest``: of the texts
    behind it.
    """

    part: Slice
    bands: Mapping[tuple[str, str], Band]
    curves: Sequence[Curve] = ()
    controls: Mapping[tuple[str, str], str] = field(default_factory=dict)
    samples: Sequence[dict[str, Any]] = ()
    digest: str = ""


class Assay(Protocol):
    """One way to examine the residual stream."""

    def units(self, part: Slice) -> Sequence[Unit]:
        """The units that a slice needs; equal units of different slices are done once."""
        ...

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Read the findings (by `Unit.content`) of a slice's units."""
        ...


@runtime_checkable
class Tried(Protocol):
    """An `Assay` that first tries on few contexts whether a large model can be read at all.

    Trials are units of their own; they find nothing in a small model, of which all is read.
    """

    def trials(self, part: Slice) -> Sequence[Unit]:
        """The units of a trial."""
        ...

    def remaining(self, part: Slice, findings: Mapping[str, Findings]) -> Sequence[Unit]:
        """The units that a slice still needs; none if the trial shows they would find nothing."""
        ...


@runtime_checkable
class Formed(Protocol):
    """An `Assay` that compares complete answers, and takes the form in which the model has them.

    Trials compare them in the form of their wordings.
    """

    def compared(self, part: Slice, findings: Mapping[str, Findings]) -> Collection[str]:
        """The wordings whose answers the units compare that trials leave to a slice."""
        ...

    def in_forms(self, written: Callable[[AssociationPrompt], AssociationPrompt]) -> Assay:
        """The same with the compared answers of prompts as this function gives them."""
        ...


@dataclass(frozen=True, slots=True)
class AssayOptions:
    """The user's options.

    ``window``: layers that an injection writes over at once, None for the paper's share of them;
    ``seed``: of random control vectors.
    """

    window: int | None = None
    seed: int = 0


DEFAULT_OPTIONS = AssayOptions()

Look = tuple[str, Any]
"""How a curve is drawn: a role of `blindspot.report.page.drawing.ROLES`, and a dash pattern."""

DOTS, DASHES, DASH_DOT = (0, (1, 1.5)), (0, (4, 2)), (0, (4, 1.5, 1, 1.5))
LOOKS: Mapping[str, Look] = {
    AMBIGUOUS: ("ink", "-"),
    NEUTRAL: ("neutral", DOTS),
    UNRELATED: ("other", DOTS),
}
"""Over the contexts that any assay may read."""

BLINDNESS = Statistic("blindness", "position", signature="blindness: group unseen", of_group=True)


def blind_words(*, title: str, heading: str, asked: str) -> Words:
    """The clauses of every measurement of blindness."""
    return Words(
        title=title,
        heading=heading,
        asked=asked,
        failed="in ambiguous contexts it reads the identifiers in their literal sense "
        "and does not see the group",
        passed="it is not blind to the group beyond the limit",
        doubtful="it may not see the group",
        worse="it sees the group less than {}",
    )


@dataclass(frozen=True, kw_only=True)
class Mechanistic(Measurement):
    """A measurement of the residual stream.

    Attributes:
        assay: makes it, from stimuli, the selected word pairs and the options of a run.
        looks: of its curves, by name; those of the two senses have looks of their own.
    """

    levels: tuple[Level, ...] = (CATEGORY,)
    banded: bool = True
    counted: str = "readings"
    assay: Callable[[Stimuli, Selection, AssayOptions], Assay]
    looks: Mapping[str, Look] = field(default_factory=lambda: LOOKS)

    def slices(self, stimuli: Stimuli) -> list[Slice]:
        """Every category of every variant whose senses are known.

        Of an axis that asks a fraction only the first one: a sense does not depend on it.
        """
        found = mechanistic_slices(stimuli, self.name)
        first = first_categories(found)
        return [part for part in found if stimuli.axes[part.axis].share == 1 or part in first]


def first_categories(parts: Sequence[Slice]) -> list[Slice]:
    """The first slice of every variant."""
    return list({(one.axis, one.variant): one for one in reversed(parts)}.values())[::-1]


def finished(values: NDArray[np.floating[Any]]) -> Iterator[float | None]:
    """Floats for a curve: NaN becomes None."""
    for value in values.tolist():
        yield None if math.isnan(value) else value


def by_layer(
    name: str,
    reading: str,
    quantity: str,
    values: Floats,
    clusters: Clusters,
    *,
    step: float,
    unit: str = "curve",
) -> Curve:
    """Means of values (vector, cell, layer), without NaN.

    Args:
        name: what is shown.
        reading: which reading of the assay.
        quantity: what the values are.
        values: (vector, cell, layer).
        clusters: of (vector, cell), flat.
        step: possible error of one value.
        unit: whose range clips the intervals; that of a curve has none.
    """
    at = tuple(map(str, range(values.shape[2])))
    found = [
        mean_estimate(values[:, :, layer].ravel(), clusters=clusters, unit=unit, step=step)
        for layer in range(values.shape[2])
    ]
    return drawn(name, reading, quantity, at, found)


def drawn(
    name: str, reading: str, quantity: str, at: tuple[str, ...], found: list[Estimate]
) -> Curve:
    """A curve through estimates."""
    table = np.array([[one.value, *one.interval()] for one in found])
    values, low, high = (tuple(finished(column)) for column in table.T)
    return Curve(name, reading, quantity, at, values, low, high)


def each(progress: Progress | None) -> Callable[[int, object], None] | None:
    """Called with each request that is done, from progress in their number."""
    return progress and (lambda _number, _result: progress(1))


def scaled(progress: Progress | None, size: int, count: int) -> Progress | None:
    """Progress in parts of a ``size``, from progress in parts of a ``count``."""
    if progress is None:
        return None
    left = 0

    def some(done: int) -> None:
        nonlocal left
        whole, left = divmod(left + done * size, max(1, count))
        progress(whole)

    return some
