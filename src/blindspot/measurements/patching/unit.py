"""Write the vectors of a variant's contexts over the placeholders of questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blindspot.measurements.mechanistic import Findings, scaled, tokens_in
from blindspot.measurements.sample import SAMPLED, TRIED, asked_of, sampled, spread, tried
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream, Source, Vectors
from blindspot.stimuli import Context, Question

FIXED = 2
"""Layer that the published form writes into, whichever layer a vector comes from."""

EVERY = 2
"""Of how many questions a vector is asked one: the four vectors of a cue are asked all, twice."""

METHOD = "patching-4"
"""Bump when the same texts would give different findings."""


@dataclass(frozen=True)
class PatchingUnit:
    """Vectors of a slice's contexts and of its controls, written over placeholders of questions.

    All at once: in half precision a probability varies by 3 % with its batch, which must not affect
    a control and its measurement differently.

    Findings: ``same`` and ``fixed``: log-probabilities (vector, question, layer, sense) float32 of
    group and literal sense, written at the layer that the vector comes from, or at `FIXED`, NaN
    where a question is not asked of a vector;
    ``same_unpatched`` and ``fixed_unpatched``: (question, layer, sense), nothing written.
    """

    contexts: tuple[Context, ...]
    questions: tuple[Question, ...]

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        texts = [[one.text, one.spans] for one in self.contexts]
        asked = [[one.text, one.span, one.candidates] for one in self.questions]
        method = [METHOD, EVERY]
        return json.dumps({"assay": "patching", "method": method, "read": texts, "asked": asked})

    @property
    def width(self) -> int:
        """Words read in each context."""
        return len(self.contexts[0].words)

    @property
    def size(self) -> int:
        """Vectors times the questions that are asked of them, for both ways to write."""
        return 2 * int(self.asked.sum())

    @property
    def tokens(self) -> int:
        """Contexts, and what follows the placeholders of questions from where it is written on."""
        after = [len(one.text) - one.span[0] for one in self.questions]
        rows = int((self.asked @ np.array(after)).sum()) // 4
        read = tokens_in(one.text for one in self.contexts)
        return read + rows * (SAMPLED // 2 + TRIED)

    @cached_property
    def asked(self) -> NDArray[np.bool_]:
        """Which questions are asked of which vectors, (vector, question)."""
        return asked_of(self.width * len(self.contexts), len(self.questions), EVERY)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Vectors in the order of writing: every stretch contains all kinds.

        A batch that holds only some of them still holds each kind in proportion.
        """
        kinds = np.repeat([one.sense for one in self.contexts], self.width)
        place = np.empty(kinds.size)
        for kind in np.unique(kinds):
            mine = kinds == kind
            place[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
        return np.argsort(place, kind="stable")

    def places(self, kind: str) -> list[int]:
        """Which contexts state a sense, or none."""
        return [place for place, one in enumerate(self.contexts) if one.sense == kind]

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Read, write and ask."""
        vectors = self._read(stream)
        # What is only reported, and passes through nearly all layers of the model, is done in few.
        fixed = tried(stream.layers) or sampled(stream.layers)
        into = min(FIXED, stream.layers - 1)
        return self._patched(
            stream, vectors, "same", sampled(stream.layers), None, progress
        ) | self._patched(stream, vectors, "fixed", fixed, into, progress)

    def in_layers(
        self, stream: ResidualStream, layers: Sequence[int], progress: Progress | None
    ) -> Findings:
        """Written at the layers that they come from, these alone."""
        told = scaled(progress, 2, 1)
        return self._patched(stream, self._read(stream), "same", layers, None, told)

    def _read(self, stream: ResidualStream) -> Vectors:
        return stream.read([Source(one.text, one.spans) for one in self.contexts])

    def _patched(
        self,
        stream: ResidualStream,
        vectors: Vectors,
        name: str,
        layers: Sequence[int],
        into: int | None,
        progress: Progress | None,
    ) -> Findings:
        some = None if len(layers) == stream.layers else layers
        shape = len(self.questions), len(layers), len(self.questions[0].candidates)
        patched = np.full((len(vectors), *shape), np.nan, np.float32)
        unpatched = np.empty(shape, np.float32)
        for place, question in enumerate(self.questions):
            mine = self.order[self.asked[self.order, place]]
            told = scaled(progress, 1, len(layers))
            found = stream.patch(vectors[mine], [question], into=into, layers=some, progress=told)
            patched[mine, place], unpatched[place] = found.patched[:, 0], found.unpatched[0]
        return {
            name: spread(patched, layers, stream.layers),
            f"{name}_unpatched": spread(unpatched[None], layers, stream.layers)[0],
        }
