"""Whether an axis has everything that assays need: senses, contexts, questions."""

from __future__ import annotations

from blindspot.errors import StimulusError
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.prompts import Slice
from blindspot.stimuli.senses import CLOSED, NEUTRAL, OPEN, Sense


def _missing(stimuli: Stimuli, axis: str, variant: str) -> list[str]:
    """What a variant lacks, each with its folder."""
    language = stimuli.axes[axis].language
    senses = stimuli.senses.get(language, {})
    kinds = {question.kind for question in stimuli.questions.get(language, ())}
    lacks = [
        f"the sense {name!r} (senses/)"
        for name in stimuli.axes[axis].sense_names(variant)
        if name not in senses or name == NEUTRAL
    ]
    there = {
        "association wordings (wordings/)": language in stimuli.implicit,
        "neutral cues (senses/)": NEUTRAL in senses,
        "context templates (contexts/)": language in stimuli.templates,
        "unrelated words (contexts/)": language in stimuli.unrelated,
        "closed questions (questions/)": CLOSED in kinds,
        "open questions (questions/)": OPEN in kinds,
    }
    return lacks + [name for name, found in there.items() if not found]


def _fault(stimuli: Stimuli, axis: str, variant: str) -> str:
    """One line on why a variant has no assays; "" if it has."""
    if not stimuli.axes[axis].sense_names(variant):
        return f"{axis}/{variant}: its identifiers have one sense"
    if missing := _missing(stimuli, axis, variant):
        return (
            f"{axis}/{variant}: not described in {stimuli.axes[axis].language!r}: "
            f"{', '.join(missing)}; add them to use the assays of the residual stream"
        )
    why = stimuli.unfit.get((axis, variant))
    return f"{axis}/{variant}: no assays of the residual stream: {why}" if why else ""


def is_described(stimuli: Stimuli, axis: str, variant: str) -> bool:
    """Whether the assays have everything they need for a variant's identifiers."""
    return not _fault(stimuli, axis, variant)


def undescribed(stimuli: Stimuli) -> list[str]:
    """A line for each ambiguous variant without assays: what is missing, and where it belongs."""
    return [
        fault
        for axis in stimuli.axes.values()
        for variant in axis.variants
        if axis.sense_names(variant) and (fault := _fault(stimuli, axis.name, variant))
    ]


def mechanistic_slices(stimuli: Stimuli, measurement: str) -> list[Slice]:
    """Every category of every variant that has both senses, contexts and questions."""
    return [
        Slice(measurement, axis.name, variant, category)
        for axis in stimuli.axes.values()
        for variant in axis.variants
        if is_described(stimuli, axis.name, variant)
        for category in axis.categories
    ]


def senses_of(stimuli: Stimuli, axis: str, variant: str) -> tuple[Sense, Sense]:
    """The group sense and the literal sense of a variant's identifiers.

    Raises:
        StimulusError: one of them is not described; says what is missing.
    """
    senses = stimuli.senses.get(stimuli.axes[axis].language, {})
    named = stimuli.axes[axis].sense_names(variant) or ("", "")
    group, literal = map(senses.get, named)
    if group and literal and NEUTRAL not in (group.name, literal.name):
        return group, literal
    raise StimulusError(_fault(stimuli, axis, variant))
