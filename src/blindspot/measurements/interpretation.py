"""Interpretation: what a model writes about an identifier's vector in its own words.

The vector is written over the placeholder of an open question ("X refers to"), the model goes on
freely, and the text is read by the stems of the two senses. After SelfIE (arXiv 2403.10949) as used
by "Aligned but Blind" (arXiv 2506.00253), and Patchscopes (arXiv 2401.06102).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot import files
from blindspot.answers import InterpretedSense, read_interpretation
from blindspot.estimates import ANSWER_STEP
from blindspot.measurements.base import GENERATED, constant
from blindspot.measurements.controls import Control, Controls, band_of, labels_of, mean_of
from blindspot.measurements.mechanistic import (
    BLINDNESS,
    Assayed,
    Band,
    Curve,
    Findings,
    Mechanistic,
    Unit,
    band_layers,
    blind_words,
    by_layer,
    each,
    scaled,
    tokens_in,
)
from blindspot.measurements.sample import SAMPLED, asked_of, evenly, open_contexts, sampled
from blindspot.measurements.scale import Scale
from blindspot.measurements.trial import TriedByControls
from blindspot.models.base import Progress
from blindspot.models.residual import DescriptionRequest, ResidualStream, Source
from blindspot.stimuli import (
    AMBIGUOUS,
    DEFAULT_SELECTION,
    Context,
    Question,
    Selection,
    Slice,
    Stimuli,
    cued_contexts,
    open_questions,
    senses_of,
)

LEAST = 0.5
"""Least difference between literal and group contexts, of at most 2: equivalent to a sense that
every fourth text names and the other contexts never do."""

TOKENS = 20
"""Length of a text in tokens, as published."""

CONTROLS = 14
"""Contexts of a control, of all cues, templates and orders: two for each of seven cues. With one, a
cue could not be told from its template."""

EVERY = 4
"""Of how many questions a vector is asked one: the four vectors of a cue are asked all of four."""

METHOD = "interpretation-3"
"""Bump when the same texts would give different findings."""

SAMPLES = 600
"""Most texts of a slice kept for reading: all of 24 vectors, 4 questions and 6 layers. Of more
layers an even sample is kept, in which vectors, questions and layers stay equally represented."""

_VALUES = {
    InterpretedSense.GROUP: -1.0,
    InterpretedSense.LITERAL: 1.0,
    InterpretedSense.BOTH: 0.0,
    InterpretedSense.NEITHER: 0.0,
}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class InterpretationUnit:
    """Vectors of some contexts, each described in response to some of the open questions.

    Findings: ``texts``, one a vector, question asked of it and layer, in this order (layers run
    fastest); ``at``, their layers among all, of which the model has ``layers``.
    """

    contexts: tuple[Context, ...]
    questions: tuple[Question, ...]

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        texts = [[one.text, one.spans] for one in self.contexts]
        asked = [[one.text, one.span] for one in self.questions]
        return json.dumps(
            {
                "assay": "interpretation",
                "method": [METHOD, TOKENS, EVERY],
                "read": texts,
                "asked": asked,
            }
        )

    @property
    def size(self) -> int:
        """Vectors times the questions that are asked of them."""
        return len(self.asked)

    @property
    def tokens(self) -> int:
        """Contexts, and all texts."""
        read = tokens_in(one.text for one in self.contexts)
        return read + len(self.asked) * SAMPLED * (TOKENS + 5)

    @cached_property
    def asked(self) -> list[tuple[int, int]]:
        """Which vectors are described in response to which questions, in the order of the texts."""
        vectors = sum(len(one.words) for one in self.contexts)
        asked = asked_of(vectors, len(self.questions), EVERY)
        return [(int(vector), int(question)) for vector, question in np.argwhere(asked)]

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Read, write and let the model continue."""
        return self.in_layers(stream, sampled(stream.layers), progress)

    def in_layers(
        self, stream: ResidualStream, layers: Sequence[int], progress: Progress | None
    ) -> Findings:
        """As `run`, of vectors from these layers."""
        vectors = stream.read([Source(one.text, one.spans) for one in self.contexts])
        requests = [
            DescriptionRequest(self.questions[question], vector, layer, TOKENS)
            for vector, question in self.asked
            for layer in layers
        ]
        done = each(scaled(progress, 1, len(layers)))
        return {
            "texts": stream.describe(requests, vectors, done=done),
            "at": np.array(layers, np.int64),
            "layers": np.array(stream.layers, np.int64),
        }


class Interpretation(TriedByControls):
    """The sense that a model writes about its own vectors, by layer."""

    readings = (GENERATED,)
    least = LEAST
    quantity = "literal minus group"

    def __init__(self, stimuli: Stimuli, selection: Selection = DEFAULT_SELECTION) -> None:
        super().__init__(stimuli, selection)
        self._controls: dict[tuple[str, str], dict[str, InterpretationUnit]] = {}

    def units(self, part: Slice) -> Sequence[Unit]:
        """The slice's own contexts, and the controls of its variant."""
        return list(self._units(part).values())

    def _unit_of_trial(self, part: Slice, contexts: tuple[Context, ...]) -> InterpretationUnit:
        questions = open_questions(self._stimuli, part.axis, part.variant)
        return InterpretationUnit(contexts, tuple(question for _, question in questions))

    def _values_of_trial(
        self, part: Slice, found: Findings, reading: str
    ) -> tuple[Floats, tuple[tuple[str, str], ...], float]:
        stems = [tuple(one.stems) for one in senses_of(self._stimuli, part.axis, part.variant)]
        names = [name for name, _ in open_questions(self._stimuli, part.axis, part.variant)]
        unit = self._unit_of_trial(part, self._trial(part).unit.contexts)
        values = _values(_readings(unit, found, (stems[0], stems[1]), {}))
        return values, tuple((name, "") for name in names), ANSWER_STEP

    @staticmethod
    def apart(controls: Controls, layer: int, senses: tuple[str, ...]) -> str:
        """As means of the texts of either kind, and their difference."""
        ours, theirs = (
            float(np.nanmean(control.values[:, :, layer]))
            for control in (controls.group, controls.literal)
        )
        return (
            f"texts of {senses[1]} contexts {theirs:+.2f}, of {senses[0]} contexts "
            f"{ours:+.2f} at best, {theirs - ours:.2f} apart ({controls.doubt(layer)})"
        )

    def measure(self, part: Slice, findings: Mapping[str, Findings]) -> Assayed:
        """Blindness in the layers in which the controls separate."""
        units = self._units(part)
        senses = senses_of(self._stimuli, part.axis, part.variant)
        names = [name for name, _ in open_questions(self._stimuli, part.axis, part.variant)]
        texts = sorted(one.text for unit in units.values() for one in unit.contexts)
        asked = sorted(one.text for one in units[AMBIGUOUS].questions)
        digest = files.digest(*texts, *asked)[:16]
        if units[AMBIGUOUS].content not in findings:
            return self._unread(part, findings, digest)
        found = {kind: findings[unit.content] for kind, unit in units.items()}
        stems = tuple(tuple(sense.stems) for sense in senses)
        group, literal = (sense.name for sense in senses)
        read = _SliceTexts(units, found, (group, literal), (stems[0], stems[1]), names)
        places = band_layers(read.layers)
        bands = {(GENERATED, name): read.band(layers) for name, layers in places.items()}
        controls = {(GENERATED, name): read.said(layers) for name, layers in places.items()}
        samples = tuple(read.samples())
        return Assayed(part, bands, read.curves(), controls, samples, digest)

    def _units(self, part: Slice) -> dict[str, InterpretationUnit]:
        """Units by the sense of their contexts."""
        where = part.axis, part.variant
        questions = tuple(question for _, question in open_questions(self._stimuli, *where))
        if where not in self._controls:
            self._controls[where] = {
                sense.name: InterpretationUnit(
                    tuple(evenly(cued_contexts(self._stimuli, *where, sense.name), CONTROLS)),
                    questions,
                )
                for sense in senses_of(self._stimuli, *where)
            }
        contexts = open_contexts(self._stimuli, part, self._selection)
        own = InterpretationUnit(tuple(contexts), questions)
        return {AMBIGUOUS: own, **self._controls[where]}


class _SliceTexts:
    """The texts of a slice and of its controls, read; arrays are (vector, question, layer)."""

    def __init__(
        self,
        units: Mapping[str, InterpretationUnit],
        findings: Mapping[str, Findings],
        senses: tuple[str, str],
        stems: tuple[Sequence[str], Sequence[str]],
        questions: Sequence[str],
    ) -> None:
        self._senses, self._questions = senses, list(questions)
        self._contexts = {kind: unit.contexts for kind, unit in units.items()}
        self._asked = units[AMBIGUOUS].asked
        self._texts: dict[str, list[str]] = {}
        self._read: dict[str, NDArray[np.object_]] = {}
        known: dict[str, InterpretedSense] = {}
        for kind, found in findings.items():
            self._texts[kind] = [str(text) for text in found["texts"]]
            self._read[kind] = _readings(units[kind], found, stems, known)
        self._at = [int(layer) for layer in np.asarray(findings[AMBIGUOUS]["at"])]
        self.layers = self._read[AMBIGUOUS].shape[2]
        values = {kind: _values(read) for kind, read in self._read.items()}
        self._ambiguous = values[AMBIGUOUS]
        ours, theirs = (Control.of(values[one], self._contexts[one]) for one in senses)
        cells = tuple((question, "") for question in questions)
        self._controls = Controls(ours, theirs, cells, LEAST, ANSWER_STEP)
        # Over all questions: a single one has too few texts for a scale.
        shape = len(questions), self.layers
        means = (
            np.broadcast_to(mean_of(control.values, (0, 1)), shape) for control in (ours, theirs)
        )
        self._scale = Scale.between(*means, least=LEAST / 2, curved=False)

    def band(self, layers: Sequence[int]) -> Band:
        """The finding for a band of layers."""
        return band_of(
            self._contexts[AMBIGUOUS],
            self._ambiguous,
            self._scale,
            self._controls,
            layers,
            step=ANSWER_STEP,
            told=self.said(layers),
        )

    def said(self, layers: Sequence[int]) -> str:
        """The line on the controls of a band."""
        return Interpretation.best(self._controls, layers, self._senses)

    def curves(self) -> list[Curve]:
        """By layer.

        Quantities:
            "share read as ...": of the texts of ambiguous and of either kind of disambiguated
                contexts, as group, literal, both, neither (the published shares,
                arXiv 2506.00253).
            "position": of the ambiguous contexts, between the controls.
            "literal minus group": what the controls differ by, of at most 2.
        """
        curves = []
        shown = {
            self._senses[0]: InterpretedSense.GROUP,
            self._senses[1]: InterpretedSense.LITERAL,
            "both": InterpretedSense.BOTH,
            "neither": InterpretedSense.NEITHER,
        }
        for kind, read in self._read.items():
            for name, reading in shown.items():
                values = np.where(read == None, np.nan, read == reading).astype(np.float64)  # noqa: E711
                curves.append(self._curve(kind, f"share read as {name}", values, "share", 1.0))
        places = self._scale.positions(self._ambiguous)
        curves.append(self._curve(AMBIGUOUS, "position", places, "position", ANSWER_STEP))
        curves.append(Interpretation.separation(self._controls, GENERATED))
        return curves

    def _curve(self, kind: str, quantity: str, values: Floats, unit: str, step: float) -> Curve:
        clusters = labels_of(self._contexts[kind], self._questions)
        return by_layer(kind, GENERATED, quantity, values, clusters, step=step, unit=unit)

    def samples(self) -> Iterator[dict[str, Any]]:
        """Texts of the ambiguous contexts for people to read: all, or an even sample of many."""
        contexts, read = self._contexts[AMBIGUOUS], self._read[AMBIGUOUS]
        texts, layers = self._texts[AMBIGUOUS], len(self._at)
        step = ceil(len(texts) / SAMPLES)
        while step > 1 and gcd(step, len(texts) // max(1, len(read))) > 1:
            step += 1  # otherwise some layers or questions would never be sampled
        for number in range(0, len(texts), step):
            vector, question = self._asked[number // layers]
            layer = self._at[number % layers]
            context, word = divmod(vector, len(contexts[0].words))
            yield {
                "identifier": contexts[context].words[word],
                "context": contexts[context].text,
                "question": self._questions[question],
                "layer": layer,
                "text": texts[number],
                "reading": str(read[vector, question, layer]),
            }


def _readings(
    unit: InterpretationUnit,
    found: Findings,
    stems: tuple[Sequence[str], Sequence[str]],
    known: dict[str, InterpretedSense],
) -> NDArray[np.object_]:
    """Texts as read, (vector, question, layer) of all layers; None where there is no text.

    ``unit``: of the texts; ``known``: readings of texts, which is added to.
    """
    texts = [str(text) for text in found["texts"]]
    for text in texts:
        if text not in known:
            known[text] = read_interpretation(text, group=stems[0], literal=stems[1])
    vectors = sum(len(one.words) for one in unit.contexts)
    shape = vectors, len(unit.questions), int(np.asarray(found["layers"]))
    read, at = np.full(shape, None, object), np.asarray(found["at"])
    assert len(texts) == len(unit.asked) * len(at), f"{len(texts)} texts of other contexts"
    for number, text in enumerate(texts):
        cell, place = divmod(number, len(at))
        read[(*unit.asked[cell], at[place])] = known[text]
    return read


def _values(read: NDArray[np.object_]) -> Floats:
    """+1 literal, -1 group, 0 both or neither, NaN without a text."""
    flat = [np.nan if one is None else _VALUES[one] for one in read.ravel()]
    return np.array(flat, np.float64).reshape(read.shape)


INTERPRETATION = Mechanistic(
    name="interpretation",
    words=blind_words(
        title="Inside: interpretation",
        heading="interpretation: what the model writes about it (-1 the group, +1 literal)",
        asked="The model describes the vector in its own words; the curves show the share of its "
        "texts that speak of the group.",
    ),
    statistics=constant(blindness=BLINDNESS),
    readings=(GENERATED,),
    assay=lambda stimuli, selection, _: Interpretation(stimuli, selection),
)
