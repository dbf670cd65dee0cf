"""Patching: which sense a model answers when an identifier's vector replaces a placeholder."""

from __future__ import annotations

from blindspot.measurements.base import constant
from blindspot.measurements.mechanistic import BLINDNESS, Mechanistic, blind_words
from blindspot.measurements.patching.statistic import FIXED_LAYER, SAME_LAYER, Patching

PATCHING = Mechanistic(
    name="patching",
    words=blind_words(
        title="Inside: patching",
        heading="patching: sense decoded from the ambiguous identifier (-1 the group, +1 literal)",
        asked="The identifier's vector overwrites the placeholder of a question; the curves "
        "show how much more probable the literal sense is than the group.",
    ),
    statistics=constant(blindness=BLINDNESS),
    readings=(SAME_LAYER, FIXED_LAYER),
    assay=lambda stimuli, selection, _: Patching(stimuli, selection),
)
