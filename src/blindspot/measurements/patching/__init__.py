"""Patching: what an identifier's vector answers for in the place of another word."""

from __future__ import annotations

from blindspot.measurements.base import constant
from blindspot.measurements.mechanistic import BLINDNESS, Mechanistic, blind_words
from blindspot.measurements.patching.statistic import FIXED_LAYER, SAME_LAYER, Patching

PATCHING = Mechanistic(
    name="patching",
    words=blind_words(
        title="Inside: patching",
        heading="patching: what an ambiguous identifier answers for (-1 the group, +1 literal)",
        asked="The identifier's vector is written over the placeholder of a question; shown is how "
        "much more probable the literal sense is than the group.",
    ),
    statistics=constant(blindness=BLINDNESS),
    readings=(SAME_LAYER, FIXED_LAYER),
    assay=lambda stimuli, limit, _: Patching(stimuli, limit),
)
