"""Everything that can be asked, as it was read from the files, and the prompts that come of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.prompts import (
    AssociationPrompt,
    Slice,
    StatementPrompt,
    associations,
    pairs,
    statements,
)
from blindspot.stimuli.schema import Axis, ExplicitWording, ImplicitWording
from blindspot.stimuli.senses import (
    ContextTemplate,
    InterpretationQuestion,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.transformations import Transformation


@dataclass(frozen=True, slots=True)
class Stimuli:
    """Everything that can be asked: axes by name, the rest by language and in file order.

    ``senses``: by language and name, the neutral one among them. ``questions``: closed and open.
    ``unfit``: by (axis, variant), why the shipped files cannot be used for assays of a user's
    variant.
    ``transformations``: by language, those for every language under "any". ``promoted``: by id.
    """

    axes: dict[str, Axis]
    implicit: dict[str, tuple[ImplicitWording, ...]]
    explicit: dict[str, tuple[ExplicitWording, ...]]
    senses: dict[str, dict[str, Sense]] = field(default_factory=dict)
    templates: dict[str, tuple[ContextTemplate, ...]] = field(default_factory=dict)
    unrelated: dict[str, tuple[UnrelatedWords, ...]] = field(default_factory=dict)
    questions: dict[str, tuple[InterpretationQuestion, ...]] = field(default_factory=dict)
    unfit: dict[tuple[str, str], str] = field(default_factory=dict)
    transformations: dict[str, tuple[Transformation, ...]] = field(default_factory=dict)
    promoted: dict[str, PromotedCase] = field(default_factory=dict)


def slices_in(stimuli: Stimuli, measurement: str, languages: Collection[str]) -> list[Slice]:
    """Every category of every variant of every axis in one of these languages."""
    return [
        Slice(measurement, axis.name, variant, category)
        for axis in stimuli.axes.values()
        if axis.language in languages
        for variant in axis.variants
        for category in axis.categories
    ]


def pairs_of(stimuli: Stimuli, wholes: Iterable[Slice], limit: int | None = None) -> list[Slice]:
    """Every word pair (at most ``limit`` a category) of slices."""
    return [
        replace(whole, pair=pair)
        for whole in wholes
        for pair in pairs(stimuli.axes[whole.axis].categories[whole.category], limit)
    ]


def rotated(
    stimuli: Stimuli, part: Slice, wording: int, limit: int | None = None
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Identifiers and word pair of every prompt of a slice in its wording of this number.

    The identifiers of a variant that has several (names, dialect words) rotate over pairs and
    wordings, so that each pair meets many of them; within a wording all four orders of a pair use
    the same two, which keeps the orders balanced.
    """
    axis = stimuli.axes[part.axis]
    variant, category = axis.variants[part.variant], axis.categories[part.category]
    wanted = {part.pair} if part.pair else set(pairs(category, limit))
    for index, pair in enumerate(pairs(category)):
        if pair in wanted:
            yield variant.identifiers(index + wording), pair


def associations_of(
    stimuli: Stimuli, part: Slice, limit: int | None = None
) -> Iterator[AssociationPrompt]:
    """All association prompts of a slice, wording by wording."""
    axis = stimuli.axes[part.axis]
    variant = axis.variants[part.variant]
    for number, wording in enumerate(stimuli.implicit[axis.language]):
        for identifiers, pair in rotated(stimuli, part, number, limit):
            yield from associations(axis, part, wording, variant, identifiers, pair)


def statements_of(
    stimuli: Stimuli, part: Slice, limit: int | None = None
) -> Iterator[StatementPrompt]:
    """All statement prompts of a slice, wording by wording."""
    axis = stimuli.axes[part.axis]
    variant = axis.variants[part.variant]
    for number, wording in enumerate(stimuli.explicit[axis.language]):
        for identifiers, pair in rotated(stimuli, part, number, limit):
            yield from statements(axis, part, wording, variant, identifiers, pair)
