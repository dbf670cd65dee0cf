"""Activation patching: which sense a model answers when an identifier's vector replaces a word.

The vectors of the identifiers in association prompts, where the sense is open, overwrite the
placeholder of a question such as "does X refer to A or to B?", and the answer is read. After
"Aligned but Blind" (arXiv 2506.00253, activation patching) and Patchscopes (arXiv 2401.06102), with
what both omit: both orders of the answers, several questions, and the same vectors from contexts
that state either sense, between which every number is placed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot import files
from blindspot.estimates import LOGIT_STEP, PROBABILITY_STEP, Clusters, mean_estimate
from blindspot.measurements.controls import Control, Controls, band_of, labels_of, mean_of
from blindspot.measurements.mechanistic import (
    Assayed,
    Band,
    Curve,
    Findings,
    Unit,
    band_layers,
    by_layer,
    drawn,
)
from blindspot.measurements.patching.unit import PatchingUnit
from blindspot.measurements.sample import evenly, open_contexts
from blindspot.measurements.scale import Scale
from blindspot.measurements.trial import TriedByControls
from blindspot.stimuli import (
    AMBIGUOUS,
    DEFAULT_SELECTION,
    NEUTRAL,
    UNRELATED,
    Context,
    Question,
    Selection,
    Slice,
    Stimuli,
    closed_questions,
    cued_contexts,
    senses_of,
    unrelated_contexts,
)

LEAST = 1.0
"""Least difference in nats between literal and group contexts: the odds of the senses change
e-fold. The wording of a question can cause less than that, as can eight steps of a bfloat16
logit."""

CONTROLS, OTHERS = 14, 4
"""Contexts of a control that defines the scale, two for each of seven cues, and of one that is only
reported. Cues are the clusters that matter; more contexts of the same cues cost time and add
little. With one, a cue could not be told from its template."""

UNPATCHED = "unpatched"
"""Name of the curves of questions in which nothing was written."""

Floats = NDArray[np.float64]
Cell = tuple[str, str]

SAME_LAYER, FIXED_LAYER = "same-layer", "fixed-layer"
"""Readings: written at the layer that a vector comes from, or always at the published one."""

_KEYS = {SAME_LAYER: "same", FIXED_LAYER: "fixed"}


class Patching(TriedByControls):
    """The sense decoded from patched identifiers, by layer."""

    readings = tuple(_KEYS)
    least = LEAST
    quantity = "literal minus group, nats"

    def __init__(self, stimuli: Stimuli, selection: Selection = DEFAULT_SELECTION) -> None:
        super().__init__(stimuli, selection)
        self._units: dict[Slice, PatchingUnit] = {}

    def units(self, part: Slice) -> Sequence[Unit]:
        """One unit: the contexts of the slice and its controls share batches."""
        return [self._unit(part)]

    def _unit_of_trial(self, part: Slice, contexts: tuple[Context, ...]) -> PatchingUnit:
        return PatchingUnit(contexts, tuple(question for _, _, question in self._questions(part)))

    def _values_of_trial(
        self, part: Slice, found: Findings, reading: str
    ) -> tuple[Floats, tuple[Cell, ...], float]:
        logs = _finite(found[_KEYS[reading]])
        cells = [(name, order) for name, order, _ in self._questions(part)]
        return logs[..., 1] - logs[..., 0], tuple(cells), LOGIT_STEP

    @staticmethod
    def apart(controls: Controls, layer: int, senses: tuple[str, ...]) -> str:
        """As their difference in nats."""
        found, (group, literal) = controls.separations[layer], senses
        return (
            f"{literal} minus {group} contexts {found.value:+.2f} nats at best "
            f"({controls.doubt(layer)})"
        )

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Blindness in the layers in which the controls separate."""
        unit = self._unit(part)
        group, literal = (one.name for one in senses_of(self._stimuli, part.axis, part.variant))
        kinds = (AMBIGUOUS, group, literal, NEUTRAL, UNRELATED)
        places = {kind: unit.places(kind) for kind in kinds}
        texts = sorted(unit.contexts[at].text for kind in places.values() for at in kind)
        asked = sorted(one.text for one in unit.questions)
        digest = files.digest(*texts, *asked)[:16]
        if unit.content not in findings:
            return self._unread(part, findings, digest)
        bands: dict[tuple[str, str], Band] = {}
        controls: dict[tuple[str, str], str] = {}
        curves: list[Curve] = []
        cells = [(name, order) for name, order, _ in self._questions(part)]
        for reading in _KEYS:
            read = _PatchFindings(
                unit, findings[unit.content], places, reading, (group, literal), cells
            )
            for name, layers in band_layers(read.layers).items():
                bands[reading, name] = read.band(layers)
                controls[reading, name] = read.said(layers)
            curves += read.curves()
        return Assayed(part, bands, curves, controls, digest=digest)

    def _questions(self, part: Slice) -> list[tuple[str, str, Question]]:
        """Each in one order of its answers, the next one in the other.

        A question and its order have a scale of their own, so that neither needs both.
        """
        by_name: dict[str, list[tuple[str, str, Question]]] = {}
        for one in closed_questions(self._stimuli, part.axis, part.variant):
            by_name.setdefault(one[0], []).append(one)
        return [orders[place % len(orders)] for place, orders in enumerate(by_name.values())]

    def _unit(self, part: Slice) -> PatchingUnit:
        if part not in self._units:
            where = part.axis, part.variant
            senses = [one.name for one in senses_of(self._stimuli, *where)]
            controls = [
                *(evenly(cued_contexts(self._stimuli, *where, one), CONTROLS) for one in senses),
                evenly(cued_contexts(self._stimuli, *where, NEUTRAL), OTHERS),
                evenly(unrelated_contexts(self._stimuli, *where), OTHERS),
            ]
            ambiguous = open_contexts(self._stimuli, part, self._selection)
            self._units[part] = PatchingUnit(
                contexts=(*ambiguous, *(one for control in controls for one in control)),
                questions=tuple(question for _, _, question in self._questions(part)),
            )
        return self._units[part]


class _PatchFindings:
    """One reading of a slice's findings.

    Log-probabilities are (vector, cell, layer, sense), their odds without the last axis; a cell is
    a question in one order of its answers.
    """

    def __init__(
        self,
        unit: PatchingUnit,
        findings: Findings,
        places: Mapping[str, Sequence[int]],
        reading: str,
        senses: tuple[str, str],
        cells: Sequence[Cell],
    ) -> None:
        key = _KEYS[reading]
        self._reading, self._senses, self._cells = reading, senses, tuple(cells)
        self._unpatched = _finite(findings[f"{key}_unpatched"])
        self.layers = self._unpatched.shape[1]
        logs = _finite(findings[key])
        width = unit.width
        shape = width * len(unit.contexts), len(cells), self.layers, len(senses)
        assert logs.shape == shape, f"findings of other contexts: {logs.shape}, not {shape}"
        self._contexts = {kind: [unit.contexts[at] for at in mine] for kind, mine in places.items()}
        vectors = {
            kind: [width * at + n for at in mine for n in range(width)]
            for kind, mine in places.items()
        }
        self._logs = {kind: logs[mine] for kind, mine in vectors.items()}
        self._odds = {kind: logs[..., 1] - logs[..., 0] for kind, logs in self._logs.items()}
        ours, theirs = (Control.of(self._odds[one], self._contexts[one]) for one in senses)
        self._controls = Controls(ours, theirs, self._cells, LEAST, LOGIT_STEP)
        means = (mean_of(control.values, 0) for control in (ours, theirs))
        self._scale = Scale.between(*means, least=LEAST / 2, curved=True)

    def band(self, layers: Sequence[int]) -> Band:
        """The finding for a band of layers."""
        band = band_of(
            self._contexts[AMBIGUOUS],
            self._odds[AMBIGUOUS],
            self._scale,
            self._controls,
            layers,
            step=PROBABILITY_STEP,
            told=self._best(layers),
        )
        if band.unreadable and self._controls.within(layers):
            why = f"the controls separate in one order of the answers: {band.unreadable}"
            return Band(None, why)
        return band

    def said(self, layers: Sequence[int]) -> str:
        """The line on the controls of a band."""
        line = self._best(layers)
        readable = self._controls.within(layers)
        if not readable:
            return line
        for kind in (NEUTRAL, UNRELATED):
            places = self._scale.positions(self._odds[kind])[:, :, readable]
            if not np.isnan(places).all():
                line += f"; {kind} {np.nanmean(places):+.2f}"
        other = Control.of(self._odds[UNRELATED], self._contexts[UNRELATED])
        for sense, beyond in zip(self._senses, self._controls.beyond(other, readable), strict=True):
            if beyond:
                at = ", ".join(map(str, beyond))
                line += f"; {UNRELATED} words read further out than {sense} contexts (layer {at})"
        return line

    def _best(self, layers: Sequence[int]) -> str:
        return Patching.best(self._controls, layers, self._senses)

    def curves(self) -> list[Curve]:
        """By layer, for every kind of contexts.

        Quantities:
            "P(literal) - P(group), of the two": of the two probabilities made to sum to 1, which
                is tanh of half their log-odds; models that give little probability to either word
            have a curve too (log-odds before probabilities: Zhang and Nanda 2024, arXiv
            2309.16042).
            "log-odds of literal against group, nats": the same without the bend, of the ambiguous
                contexts.
            "P(sense)": of all words that could follow, patched and (the curve "unpatched") before.
            "position": of the ambiguous contexts, between the controls.
            "literal minus group, nats": what the controls differ by.
            "change of P(sense)", "r_blind": the published form, against the unpatched question, and
                its difference literal - group (arXiv 2506.00253, activation patching).
            "r_blind, mean over layers": the published score of blindness; its published
                reading is the one that writes at layer 2.
            "mass": what both senses have together; where it is small the model says neither, and
                the published curves are flat for that reason alone.
        """
        curves = [
            self._curve(kind, "P(literal) - P(group), of the two", np.tanh(odds / 2), "effect")
            for kind, odds in self._odds.items()
        ]
        name = "log-odds of literal against group, nats"
        curves.append(self._curve(AMBIGUOUS, name, self._odds[AMBIGUOUS], "nats", LOGIT_STEP))
        places = self._scale.positions(self._odds[AMBIGUOUS])
        curves.append(self._curve(AMBIGUOUS, "position", places, "position"))
        shares, before = np.exp(self._logs[AMBIGUOUS]), np.exp(self._unpatched)
        change = shares - before
        for side, sense in enumerate(self._senses):
            name = f"P({sense})"
            curves.append(self._curve(AMBIGUOUS, name, shares[..., side], "share"))
            curves.append(self._curve(UNPATCHED, name, before[None, ..., side], "share"))
            name = f"change of P({sense})"
            curves.append(self._curve(AMBIGUOUS, name, change[..., side], "effect"))
        blind = change[..., 1] - change[..., 0]
        curves.append(self._curve(AMBIGUOUS, "r_blind", blind, "difference"))
        read = ~np.isnan(before).all(axis=(0, 2))
        score = mean_estimate(
            blind[:, :, read].mean(axis=2).ravel(),
            clusters=labels_of(self._contexts[AMBIGUOUS], self._controls.questions),
            unit="difference",
            step=PROBABILITY_STEP,
        )
        name = "r_blind, mean over layers"
        curves.append(drawn(AMBIGUOUS, self._reading, name, ("all layers",), [score]))
        mass = np.minimum(shares.sum(axis=-1), 1.0)
        curves.append(self._curve(AMBIGUOUS, "mass", mass, "share"))
        curves.append(Patching.separation(self._controls, self._reading))
        return curves

    def _curve(
        self, kind: str, quantity: str, values: Floats, unit: str, step: float = PROBABILITY_STEP
    ) -> Curve:
        questions = self._controls.questions
        clusters = (
            labels_of(self._contexts[kind], questions)
            if kind != UNPATCHED
            else Clusters.encode({"question": questions})
        )
        return by_layer(kind, self._reading, quantity, values, clusters, step=step, unit=unit)


def _finite(logs: NDArray[np.floating[Any]] | list[str]) -> Floats:
    """Log-probabilities as float64; NaN for a word that cannot be written."""
    found = np.asarray(logs, np.float64)
    return np.where(np.isfinite(found), found, np.nan)
