"""Probing: which sense of an identifier can be read off the residual stream."""

from __future__ import annotations

from blindspot.measurements.base import constant
from blindspot.measurements.mechanistic import (
    BLINDNESS,
    DASHES,
    DOTS,
    LOOKS,
    Mechanistic,
    blind_words,
)
from blindspot.measurements.probing.statistic import (
    LINEAR,
    SELECTIVITY,
    SHUFFLED_LABELS,
    TRUE_LABELS,
    Probing,
)

PROBING = Mechanistic(
    name="probing",
    words=blind_words(
        title="Inside: probing",
        heading="probing: what a linear probe reads (-1 the group, +1 literal)",
        asked="A linear probe fitted on group and literal contexts reads the identifier; curves "
        "show the probability of the group sense, and the accuracy of the probe on held-out words.",
    ),
    statistics=constant(blindness=BLINDNESS),
    readings=(LINEAR,),
    assay=lambda stimuli, selection, _: Probing(stimuli, selection),
    looks={
        **LOOKS,
        TRUE_LABELS: ("ink", "-"),
        SHUFFLED_LABELS: ("other", DOTS),
        SELECTIVITY: ("neutral", DASHES),
    },
)
