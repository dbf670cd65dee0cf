"""All measurements, in the order of reports. A new one adds its line to `ALL`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from blindspot.measurements.association import ASSOCIATION
from blindspot.measurements.base import Derived, Difference, Measurement, Statistic, Words
from blindspot.measurements.behavioral import Behavioral
from blindspot.measurements.belief import BELIEF
from blindspot.measurements.evidence import EVIDENCE
from blindspot.measurements.fluency import FLUENCY
from blindspot.measurements.gap import GAP
from blindspot.measurements.injection import INJECTION
from blindspot.measurements.interpretation import INTERPRETATION
from blindspot.measurements.knowledge import KNOWLEDGE
from blindspot.measurements.mechanistic import DEFAULT_OPTIONS, Assay, AssayOptions, Mechanistic
from blindspot.measurements.mitigation import (
    BELIEF_KEPT,
    COLLAPSE,
    COUNTERBELIEF,
    CURE,
    REVERSAL,
)
from blindspot.measurements.patching import PATCHING
from blindspot.measurements.probing import PROBING
from blindspot.models.base import Missing
from blindspot.stimuli import DEFAULT_SELECTION, Prompt, Selection, Slice, Stimuli
from blindspot.stimuli.collection import by_word

ALL: tuple[Measurement, ...] = (
    ASSOCIATION,
    BELIEF,
    GAP,
    PATCHING,
    INTERPRETATION,
    PROBING,
    INJECTION,
    CURE,
    COLLAPSE,
    REVERSAL,
    COUNTERBELIEF,
    EVIDENCE,
    KNOWLEDGE,
    FLUENCY,
    BELIEF_KEPT,
)

MEASUREMENTS: Mapping[str, Measurement] = MappingProxyType({one.name: one for one in ALL})
BEHAVIORAL: Mapping[str, Behavioral] = MappingProxyType(
    {one.name: one for one in ALL if isinstance(one, Behavioral)}
)
DERIVED: Mapping[str, Derived] = MappingProxyType(
    {one.name: one for one in ALL if isinstance(one, Derived)}
)
DIFFERENCES: Mapping[str, Difference] = MappingProxyType(
    {one.name: one for one in ALL if isinstance(one, Difference)}
)
MECHANISTIC: Mapping[str, Mechanistic] = MappingProxyType(
    {one.name: one for one in ALL if isinstance(one, Mechanistic)}
)

STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {name: statistic for one in ALL for name, statistic in one.statistics.items()}
)
"""What gates.toml can limit."""

LEADING = tuple(dict.fromkeys(one.readings[0] for one in ALL if not one.part))
"""Readings that represent a measurement where there is one figure for each."""


def _topics() -> Iterator[tuple[str, Words]]:
    yield from ((one.name, one.words) for one in ALL if not one.banded)
    yield from ((name, each.words) for name, each in STATISTICS.items() if each.words)
    yield from ((one.name, one.words) for one in ALL if one.banded)


TOPICS: Mapping[str, Words] = MappingProxyType(dict(_topics()))
"""Topics of reports: measurements, and statistics of their own; behavior first."""


def topic(measurement: str, statistic: str) -> str:
    """The topic that a gate belongs to."""
    return statistic if statistic in TOPICS and statistic not in MEASUREMENTS else measurement


def answers() -> Mapping[str, float]:
    """The value of every reading of a generated answer of any measurement."""
    found = {name: value for one in BEHAVIORAL.values() for name, value in one.answers.items()}
    return found | {reason.value: math.nan for reason in Missing}


def signature() -> Iterator[tuple[str, str, Statistic]]:
    """Lines of a comparison: the name of each, and the statistic that it is the mean of.

    A statistic of a single measurement has the name of that measurement.
    """
    for name, statistic in STATISTICS.items():
        if statistic.signature:
            having = [one.name for one in ALL if name in one.statistics]
            yield having[0] if len(having) == 1 else name, name, statistic


def slices(
    stimuli: Stimuli, measurement: str, selection: Selection = DEFAULT_SELECTION
) -> list[Slice]:
    """Every category of every variant in which it can be measured, and that has words to ask."""
    found = MEASUREMENTS[measurement].slices(stimuli)
    if not selection.published:
        return found
    return [part for part in found if _has_published(stimuli, part)]


def _has_published(stimuli: Stimuli, part: Slice) -> bool:
    """Whether the words of a slice are published; of one without words of a category, always."""
    category = stimuli.axes[part.axis].categories.get(part.category)
    return category is None or category.published is not None


def word_slices(
    stimuli: Stimuli, measurement: str, selection: Selection = DEFAULT_SELECTION
) -> list[Slice]:
    """Every word of a selection, of every slice."""
    return by_word(stimuli, slices(stimuli, measurement, selection), selection)


def render(
    stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION
) -> Iterator[Prompt]:
    """The prompts of a slice in a selection, wording by wording."""
    return BEHAVIORAL[part.measurement].prompts(stimuli, part, selection)


def assays_of(
    stimuli: Stimuli,
    selection: Selection = DEFAULT_SELECTION,
    options: AssayOptions = DEFAULT_OPTIONS,
) -> dict[str, Assay]:
    """Every assay on these stimuli, by measurement.

    Args:
        stimuli: axes, wordings, senses and questions.
        selection: which word pairs are used.
        options: those of a run.
    """
    return {name: one.assay(stimuli, selection, options) for name, one in MECHANISTIC.items()}
