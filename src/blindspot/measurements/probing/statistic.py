"""Linear probes: which sense of an identifier can be read off the residual stream.

Probes are fitted on contexts whose cue states the sense, and read contexts without one. The number
is meaningful only if they are right on held-out cues and templates, and more often than probes
fitted to shuffled labels (selectivity: Hewitt and Liang 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot import files
from blindspot.estimates import PROBABILITY_STEP, Clusters, Contributions, Estimate, mean_estimate
from blindspot.estimates.clusters import FactorSums, contrasts
from blindspot.measurements.base import BANDS
from blindspot.measurements.mechanistic import (
    Assayed,
    Band,
    Curve,
    Findings,
    Unit,
    band_layers,
    finished,
)
from blindspot.measurements.probing.linear import LEAST_CUES, logistic
from blindspot.measurements.probing.unit import ProbeUnit
from blindspot.measurements.sample import open_contexts
from blindspot.stimuli import (
    AMBIGUOUS,
    DEFAULT_SELECTION,
    NEUTRAL,
    Context,
    Selection,
    Slice,
    Stimuli,
    cued_contexts,
    senses_of,
)

LINEAR = "linear"

TRUE_LABELS, SHUFFLED_LABELS = "true labels", "shuffled labels"
SELECTIVITY = "selectivity"
"""Names of the curves on the probes themselves."""

ACCURATE = 0.75
"""Held-out accuracy that a layer must clearly exceed: half-way between chance and 1."""

EXTREMES = 3
"""Contexts among the samples: those read most clearly as the literal sense, and as the group."""

Floats = NDArray[np.float64]


class Probing:
    """Which sense linear probes read in ambiguous contexts, by layer.

    The statistic is 1 - 2 P(group): 1 where the literal sense is read, -1 where the group is.
    """

    def __init__(self, stimuli: Stimuli, selection: Selection = DEFAULT_SELECTION) -> None:
        self._stimuli, self._selection = stimuli, selection
        self._units: dict[tuple[str, str], ProbeUnit] = {}

    def units(self, part: Slice) -> Sequence[Unit]:
        """One unit for all categories of a variant: they share the probes."""
        unit = self._unit(part)
        return [unit] if unit.cues >= LEAST_CUES else []

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Blindness in the layers in which the sense can be read."""
        unit = self._unit(part)
        group, literal = (one.name for one in senses_of(self._stimuli, part.axis, part.variant))
        contexts = self._contexts(part)
        texts = sorted(one.text for one in (*unit.cued, *unit.neutral, *contexts))
        digest = files.digest(*texts)[:16]
        if unit.cues < LEAST_CUES:
            band = Band(None, f"{unit.cues} cues state a sense, a probe needs {LEAST_CUES}")
            return Assayed(part, {(LINEAR, name): band for name in BANDS}, digest=digest)
        start = unit.ambiguous.index(contexts[0])
        where = slice(start, start + len(contexts))
        read = _ProbeFindings(unit, findings[unit.content], where, (group, literal))
        bands, controls = {}, {}
        for name, layers in band_layers(read.layers).items():
            readable = [layer for layer in layers if read.readable(layer)]
            line = read.said(layers, readable)
            found = read.blindness(readable) if readable else None
            why = (
                found.reason if found else f"the probes do not tell {group} from {literal}: {line}"
            )
            bands[LINEAR, name] = Band(None if why else found, why, tuple(readable))
            controls[LINEAR, name] = line
        return Assayed(part, bands, read.curves(), controls, read.samples(), digest)

    def _unit(self, part: Slice) -> ProbeUnit:
        where = part.axis, part.variant
        if where not in self._units:
            senses = [one.name for one in senses_of(self._stimuli, *where)]
            categories = self._stimuli.axes[part.axis].categories
            self._units[where] = ProbeUnit(
                group=senses[0],
                cued=tuple(c for one in senses for c in cued_contexts(self._stimuli, *where, one)),
                neutral=tuple(cued_contexts(self._stimuli, *where, NEUTRAL)),
                ambiguous=tuple(
                    context
                    for category in categories
                    for context in self._contexts(replace(part, category=category))
                ),
            )
        return self._units[where]

    def _contexts(self, part: Slice) -> list[Context]:
        return open_contexts(self._stimuli, part, self._selection)


class _ProbeFindings:
    """Findings of a unit, applied to the ambiguous contexts of one slice."""

    def __init__(
        self, unit: ProbeUnit, findings: Findings, part: slice, senses: tuple[str, str]
    ) -> None:
        arrays = {name: np.asarray(item) for name, item in findings.items()}
        self._unit, self._senses = unit, senses
        self._held_out: Floats = arrays["held_out"].astype(np.float64)
        self.layers = len(self._held_out)
        broken = np.isnan(self._held_out)
        right = np.where(broken, np.nan, arrays["right"])
        control = np.where(broken[:, None], np.nan, arrays["control"])
        self._accuracy = [self._balanced(values) for values in right]
        self._control = [self._by_chance(values) for values in control]
        self._contexts = {AMBIGUOUS: unit.ambiguous[part], NEUTRAL: unit.neutral}
        self._group: dict[str, Floats] = {
            AMBIGUOUS: arrays[AMBIGUOUS][:, :, part].astype(np.float64),
            NEUTRAL: arrays[NEUTRAL].astype(np.float64),
        }

    def readable(self, layer: int) -> bool:
        """Whether the sense can be read at a layer, and shuffled labels cannot."""
        lowest = self._accuracy[layer].interval()[0]
        return lowest > ACCURATE and lowest > self._control[layer].interval()[1]

    def blindness(self, layers: Sequence[int], name: str = AMBIGUOUS) -> Contributions:
        """1 - 2 P(group) of contexts, averaged over layers, probes and identifiers."""
        values = 1.0 - 2.0 * self._group[name][list(layers)].mean(axis=(0, 3))
        return _position(values, self._contexts[name], self._unit.folds.cues)

    def said(self, layers: Sequence[int], readable: Sequence[int]) -> str:
        """The line on the controls of a band of layers."""
        if not layers:
            return "the band has no layer"
        fitted = [layer for layer in layers if self._accuracy[layer].measured]
        if not fitted:
            return "no layer of the band was read"
        best = max(fitted, key=lambda layer: np.nan_to_num(self._accuracy[layer].lower(0.025)))
        line = (
            f"readable in {len(readable)} of {len(fitted)} layers; best at layer {best}: held-out "
            f"accuracy {_shown(self._accuracy[best])}, by shuffled labels "
            f"{_shown(self._control[best])}"
        )
        if readable:
            neutral = (1.0 - self.blindness(readable, NEUTRAL).value) / 2.0
            line += f"; P({self._senses[0]}) of neutral contexts {neutral:.2f}"
        return line

    def curves(self) -> list[Curve]:
        """Accuracies, and P(group) of every kind of context."""
        pairs = zip(self._accuracy, self._control, strict=True)
        gained = [accuracy.value - control.value for accuracy, control in pairs]
        accuracy, group = "held-out accuracy", f"P({self._senses[0]})"
        at = tuple(map(str, range(self.layers)))
        curves = [
            _curve(TRUE_LABELS, accuracy, self._accuracy),
            _curve(SHUFFLED_LABELS, accuracy, self._control),
            Curve(SELECTIVITY, LINEAR, accuracy, at, tuple(finished(np.array(gained)))),
        ]
        stated = self._unit.stated
        for name, marked in zip(self._senses, (stated, ~stated), strict=True):
            both = np.repeat(marked, self._unit.width)
            clusters = self._unit.clusters.take(both)
            sure = logistic(self._held_out).reshape(self.layers, -1)[:, both]
            curves.append(_curve(name, group, [_share(values, clusters) for values in sure]))
        for name in (AMBIGUOUS, NEUTRAL):
            found = [self.blindness([layer], name).estimate() for layer in range(self.layers)]
            curves.append(_curve(name, group, found, turned=True))
        return curves

    def samples(self) -> list[dict[str, Any]]:
        """The contexts read most clearly as the literal and as the group sense."""
        layers = [layer for layer in range(self.layers) if self.readable(layer)]
        if not layers:
            return []
        found = self._group[AMBIGUOUS][layers].mean(axis=(0, 1, 3))
        order = [int(place) for place in np.argsort(found, kind="stable") if found[place] >= 0]
        return [
            {
                "text": self._contexts[AMBIGUOUS][place].text,
                "words": list(self._contexts[AMBIGUOUS][place].words),
                "wording": self._contexts[AMBIGUOUS][place].frame,
                "layers": layers,
                f"P({self._senses[0]})": float(found[place]),
            }
            for place in dict.fromkeys((*order[:EXTREMES], *order[-EXTREMES:]))
        ]

    def _balanced(self, right: Floats) -> Estimate:
        """Share of (context, identifier) that is right; both senses have equal weight."""
        (share,) = contrasts(
            right.ravel(),
            np.repeat(self._unit.stated, self._unit.width).astype(np.int64),
            np.full((1, 2), 0.5),
            self._unit.clusters,
            names=("the literal sense", "the group sense"),
            step=1.0,
            unit="share",
        )
        return share.estimate()

    def _by_chance(self, right: Floats) -> Estimate:
        """Share of (labeling, context, identifier) that is right."""
        draws, each = len(right), len(self._unit.clusters)
        labels = {
            "labels": np.repeat(np.arange(draws), each),
            "cue": np.tile(self._unit.clusters.codes["cue"], draws),
        }
        return _share(right.ravel(), Clusters.encode(labels))


def _share(values: Floats, clusters: Clusters) -> Estimate:
    return mean_estimate(values, clusters=clusters, unit="share", step=1.0)


def _position(
    values: Floats, contexts: Sequence[Context], cues: NDArray[np.int64]
) -> Contributions:
    """Mean of values (probe, context), with the contribution of each cluster.

    Besides words and wordings, the cues that a probe was fitted on are a cluster. Their part of the
    variance is a jackknife over the parts held out (``cues``, by probe).
    """
    orders, cells = np.unique([_order(one) for one in contexts], return_inverse=True)
    weights = np.full((1, orders.size), 1.0 / orders.size)
    clusters = Clusters.encode(_labels(contexts))

    def mean(some: Floats) -> Contributions:
        (one,) = contrasts(
            some, cells, weights, clusters, names=orders, step=PROBABILITY_STEP, unit="position"
        )
        return one

    whole = mean(values.mean(axis=0))
    if whole.reason:
        return whole
    parts = np.unique(cues)
    without = np.array([mean(values[cues == part].mean(axis=0)).value for part in parts])
    sums = (without - without.mean()) * (parts.size - 1) / parts.size
    fitted = FactorSums(tuple(map(str, parts)), np.ones(parts.size, np.bool_), sums)
    return replace(whole, factors={**whole.factors, "probe cue": fitted})


def _order(context: Context) -> str:
    if context.prompt is not None:
        return context.prompt.order
    return "positive first" if context.positive_first else "negative first"


def _labels(contexts: Sequence[Context]) -> dict[str, list[str]]:
    """Clusters of ambiguous contexts, or of neutral ones."""
    frames = [one.frame for one in contexts]
    pairs = [one.pair for one in contexts if one.pair is not None]
    if not pairs:
        return {"cue": [one.cue for one in contexts], "template": frames}
    words = {
        "positive word": [pair[0] for pair in pairs],
        "negative word": [pair[1] for pair in pairs],
    }
    return {**words, "wording": frames}


def _curve(name: str, quantity: str, found: Sequence[Estimate], *, turned: bool = False) -> Curve:
    """Estimates by layer; ``turned``: of 1 - 2 P, shown as P."""
    table = np.array([[one.value, *one.interval()] for one in found])
    if turned:
        table = np.clip((1.0 - table[:, (0, 2, 1)]) / 2.0, 0.0, 1.0)
    values, low, high = (tuple(finished(column)) for column in table.T)
    return Curve(name, LINEAR, quantity, tuple(map(str, range(len(found)))), values, low, high)


def _shown(estimate: Estimate) -> str:
    if not estimate.measured:
        return f"not measured ({estimate.reason})"
    low, high = estimate.interval()
    return f"{estimate.value:.2f} ({low:.2f} to {high:.2f})"
