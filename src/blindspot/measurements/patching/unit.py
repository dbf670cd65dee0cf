"""Write the vectors of a variant's contexts over the placeholders of questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blindspot.measurements.mechanistic import Findings, per_layer, sampled, spread
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream, Source
from blindspot.stimuli import Context, Question

FIXED = 2
"""Layer that the published form writes into, whichever layer a vector comes from."""

METHOD = "patching-3"
"""Bump when the same texts would give different findings."""


@dataclass(frozen=True)
class PatchingUnit:
    """Vectors of a variant's contexts, written over the placeholders of all closed questions.

    All categories and all controls at once: in half precision a probability varies by 3 % with its
    batch, which must not affect a control and its measurement differently.

    Findings: ``same`` and ``fixed``: log-probabilities (vector, question, layer, sense) float32 of
    group and literal sense, written at the layer that the vector comes from, or at `FIXED`;
    ``same_unpatched`` and ``fixed_unpatched``: (question, layer, sense), nothing written.
    """

    contexts: tuple[Context, ...]
    questions: tuple[Question, ...]

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        texts = [[one.text, one.spans] for one in self.contexts]
        asked = [[one.text, one.span, one.candidates] for one in self.questions]
        return json.dumps({"assay": "patching", "method": METHOD, "read": texts, "asked": asked})

    @property
    def width(self) -> int:
        """Words read in each context."""
        return len(self.contexts[0].words)

    @property
    def size(self) -> int:
        """Vectors times questions, for both ways to write."""
        return 2 * self.width * len(self.contexts) * len(self.questions)

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

    def places(self, kind: str, category: str = "") -> list[int]:
        """Which contexts state a sense, or belong to a category and state none."""
        return [
            place
            for place, one in enumerate(self.contexts)
            if one.sense == kind and (one.prompt is None or one.prompt.slice.category == category)
        ]

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Read, write and ask."""
        return self.in_layers(stream, sampled(stream.layers), progress)

    def in_layers(
        self, stream: ResidualStream, layers: Sequence[int], progress: Progress | None
    ) -> Findings:
        """As `run`, of vectors from these layers."""
        vectors = stream.read([Source(one.text, one.spans) for one in self.contexts])[self.order]
        findings: Findings = {}
        into = {"same": None, "fixed": min(FIXED, stream.layers - 1)}
        some = None if len(layers) == stream.layers else layers
        for name, layer in into.items():
            told = per_layer(progress, len(layers))
            found = stream.patch(vectors, self.questions, into=layer, layers=some, progress=told)
            patched = found.patched[np.argsort(self.order)]
            findings[name] = spread(patched, layers, stream.layers)
            findings[f"{name}_unpatched"] = spread(found.unpatched[None], layers, stream.layers)[0]
        return findings
