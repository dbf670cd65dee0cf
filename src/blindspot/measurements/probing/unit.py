"""Fit the probes of a variant on its cued contexts and read its ambiguous ones with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates import Clusters
from blindspot.measurements.mechanistic import Findings, scaled, tokens_in
from blindspot.measurements.probing.linear import (
    CUE_FOLDS,
    STRENGTH,
    TEMPLATE_FOLDS,
    Folds,
    Probes,
    draw_labelings,
    fit_layer,
)
from blindspot.measurements.sample import SAMPLED, sampled
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream, Source, Vectors
from blindspot.stimuli import AMBIGUOUS, NEUTRAL, Context

LABELINGS = 8
"""Number of shuffled labelings; their mean must not depend on a single one."""

PROBED = 8
"""Contexts that take about as long as fitting the probes of a layer."""

SEED = 0
METHOD = "linear-2"
"""Bump when the same vectors would give different findings."""


@dataclass(frozen=True)
class ProbeUnit:
    """Read, fit, read again: for all categories of a variant at once, since they share the probes.

    Vectors and probes are large and not kept. Findings, by layer and context, NaN where vectors
    are not finite and in layers that are not read:

    * ``ambiguous`` and ``neutral``: P(group) by (layer, probe, context, identifier) float32
    * ``held_out``: log-odds of the group sense of the cued contexts, (layer, context, identifier)
      float32, from the probe that did not see their cue and template
    * ``right``: whether that probe was right, the same shape, bool
    * ``control``: whether those of shuffled labels were, (layer, labeling, context,
      identifier) bool

    Attributes:
        group: name of the group sense.
        cued: contexts that state either sense.
        neutral: contexts whose cue states neither.
        ambiguous: association prompts, category by category.
    """

    group: str
    cued: tuple[Context, ...]
    neutral: tuple[Context, ...]
    ambiguous: tuple[Context, ...]

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        method = [METHOD, CUE_FOLDS, TEMPLATE_FOLDS, STRENGTH, LABELINGS, SEED]
        cued = [(*_source(one), one.sense == self.group, one.cue, one.frame) for one in self.cued]
        read = [[_source(one) for one in some] for some in (self.neutral, self.ambiguous)]
        return json.dumps({"assay": "probing", "method": method, "cued": cued, "read": read})

    @property
    def width(self) -> int:
        """Words read in each context."""
        return len(self.cued[0].words)

    @property
    def size(self) -> int:
        """Contexts that are read, and probes that are fitted."""
        return len(self.cued) + len(self.neutral) + len(self.ambiguous) + PROBED * SAMPLED

    @property
    def tokens(self) -> int:
        """Of the contexts."""
        return tokens_in(one.text for one in (*self.cued, *self.neutral, *self.ambiguous))

    @cached_property
    def stated(self) -> NDArray[np.bool_]:
        """(context,) whether the cue states the group sense."""
        return np.array([one.sense == self.group for one in self.cued], np.bool_)

    @property
    def cues(self) -> int:
        """Cues of the sense that has fewer."""
        return min(
            len({one.cue for one in self.cued if (one.sense == self.group) == sense})
            for sense in (True, False)
        )

    @cached_property
    def folds(self) -> Folds:
        """Which cued contexts each probe is fitted and tested on."""
        return Folds.cross(
            self.stated, [one.cue for one in self.cued], [one.frame for one in self.cued]
        )

    @cached_property
    def clusters(self) -> Clusters:
        """Cue and template of the vectors of cued contexts, (context x identifier,)."""
        labels = {
            "cue": [one.cue for one in self.cued],
            "template": [one.frame for one in self.cued],
        }
        both = {name: np.repeat(column, self.width) for name, column in labels.items()}
        return Clusters.encode(both)

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Read, fit and read again."""
        vectors = _read(stream, self.cued, progress)
        labelings = draw_labelings([one.cue for one in self.cued], LABELINGS, SEED)
        shape = stream.layers, len(self.cued), self.width
        held_out, right = np.full(shape, np.nan, np.float32), np.zeros(shape, np.bool_)
        control = np.zeros((stream.layers, LABELINGS, *shape[1:]), np.bool_)
        probes: list[Probes | None] = [None] * stream.layers
        layers = sampled(stream.layers)
        fitting = scaled(progress, PROBED * SAMPLED, len(layers))
        for layer in layers:
            rows = vectors[:, :, layer]
            if np.isfinite(rows).all():
                fitted, decisions, control[layer] = fit_layer(
                    rows, self.stated, self.folds, labelings
                )
                right[layer] = (decisions > 0) == self.stated[:, None]
                held_out[layer] = fitted.log_odds(decisions)
                probes[layer] = fitted
            if fitting is not None:
                fitting(1)
        findings: Findings = {"held_out": held_out, "right": right, "control": control}
        del vectors
        for name, contexts in ((NEUTRAL, self.neutral), (AMBIGUOUS, self.ambiguous)):
            findings[name] = _probabilities(_read(stream, contexts, progress), probes, self.folds)
        return findings


def _source(context: Context) -> tuple[str, tuple[tuple[int, int], ...]]:
    return context.text, context.spans


def _read(
    stream: ResidualStream, contexts: Sequence[Context], progress: Progress | None
) -> Vectors:
    """Vectors (context, identifier, layer, width)."""
    sources = [Source(*_source(one)) for one in contexts]
    vectors = stream.read(sources, progress=progress)
    words = sum(len(one.spans) for one in sources)
    assert vectors.shape == (words, stream.layers, stream.width), "vectors"
    return vectors.reshape(len(sources), -1, stream.layers, stream.width)


def _probabilities(
    vectors: Vectors, probes: Sequence[Probes | None], folds: Folds
) -> NDArray[np.float32]:
    """P(group) by (layer, probe, context, identifier)."""
    contexts, identifiers, layers, _ = vectors.shape
    shape = layers, len(folds.cues), contexts, identifiers
    found = np.full(shape, np.nan, np.float32)
    for layer, fitted in enumerate(probes):
        if fitted is not None:
            found[layer] = fitted.probabilities(vectors[:, :, layer])
    return found
