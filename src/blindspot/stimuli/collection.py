"""Everything that can be asked, as it was read from the files, and the prompts that come of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.design import (
    DEFAULT_SELECTION,
    Block,
    Pair,
    Rotation,
    Selection,
    cells,
    rotation,
)
from blindspot.stimuli.prompts import (
    IMPLICIT,
    AssociationPrompt,
    Slice,
    StatementPrompt,
    associations,
    pairs,
    statements,
)
from blindspot.stimuli.schema import Axis, Category, ExplicitWording, ImplicitWording
from blindspot.stimuli.senses import (
    ContextTemplate,
    InterpretationQuestion,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.texts import StatedWording
from blindspot.stimuli.transformations import Transformation

Wording = TypeVar("Wording")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a changed model was not trained on, of an axis.

    ``words``: (positive, negative) by category; ``wordings``: ids of association wordings.
    """

    words: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    wordings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stimuli:
    """Everything that can be asked: axes by name, the rest by language and in file order.

    ``senses``: by language and name, the neutral one among them. ``questions``: closed and open.
    ``unfit``: by (axis, variant), why the shipped files cannot be used for assays of a user's
    variant.
    ``transformations``: by language, those for every language under "any". ``promoted``: by id.
    ``blocks``: by (measurement, language), the files of wordings; one that asks all if missing.
    ``stated`` and ``neutral``: wordings and sentences by language that examine a changed model;
    ``practice``: sentences by which one is changed.
    ``held_out``: by axis, what the model under test was not trained on; nothing if not known.
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
    blocks: dict[tuple[str, str], tuple[Block, ...]] = field(default_factory=dict)
    stated: dict[str, tuple[StatedWording, ...]] = field(default_factory=dict)
    neutral: dict[str, tuple[str, ...]] = field(default_factory=dict)
    practice: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held_out: dict[str, HeldOut] = field(default_factory=dict)


def slices_in(stimuli: Stimuli, measurement: str, languages: Collection[str]) -> list[Slice]:
    """Every category of every variant of every axis in one of these languages."""
    return [
        Slice(measurement, axis.name, variant, category)
        for axis in stimuli.axes.values()
        if axis.language in languages
        for variant in axis.variants
        for category in axis.categories
    ]


def by_word(
    stimuli: Stimuli, wholes: Iterable[Slice], selection: Selection = DEFAULT_SELECTION
) -> list[Slice]:
    """Every word of a selection, of slices: positive ones, then negative ones."""
    return [
        replace(whole, word=word)
        for whole in wholes
        for chosen in [pairs(stimuli.axes[whole.axis].categories[whole.category], selection)]
        for word in dict.fromkeys(pair[side] for side in (0, 1) for pair in chosen)
    ]


def asked(
    stimuli: Stimuli,
    part: Slice,
    wordings: Mapping[str, Wording],
    selection: Selection = DEFAULT_SELECTION,
) -> Iterator[tuple[Wording, tuple[str, str], tuple[str, str]]]:
    """Wording, identifiers and word pair of the prompts of a slice, wording by wording.

    ``wordings``: by id. They may be a measurement's own: each is then asked with every pair.

    Within a wording all four orders of a pair use the same identifiers, which keeps the orders
    balanced.
    """
    axis = stimuli.axes[part.axis]
    category = axis.categories[part.category]
    every = pairs(category)
    wanted = {part.pair} if part.pair else set(pairs(category, selection))
    if part.word:
        wanted = {pair for pair in wanted if part.word in pair}
    taken = identifiers_of(stimuli, part, tuple(wordings))
    fraction = None if selection.fraction is None else selection.fraction * axis.share
    for names, per_pair in _blocks(stimuli, part, tuple(wordings)):
        met = _met(category, names, per_pair, fraction)
        for name, those in zip(names, met, strict=True):
            for pair in every:
                if pair in wanted and (those is None or pair in those):
                    yield wordings[name], taken(pair, name), pair


def identifiers_of(
    stimuli: Stimuli, part: Slice, wordings: tuple[str, ...]
) -> Callable[[Pair, str], Pair]:
    """The identifiers of a word pair in a wording.

    Those of a variant that has several (names, dialect words) take turns, so that each word and
    each wording meets them about equally often.
    """
    axis = stimuli.axes[part.axis]
    variant, category = axis.variants[part.variant], axis.categories[part.category]
    lengths = len(variant.positive), len(variant.negative)
    rotations: dict[str, Rotation] = {}
    for names, per_pair in _blocks(stimuli, part, wordings):
        met = len(names) if per_pair is None else per_pair
        turns = rotation(category.positive, category.negative, names, met, lengths)
        rotations |= dict.fromkeys(names, turns)

    def identifiers(pair: Pair, wording: str) -> Pair:
        positive, negative = rotations[wording].of(pair, wording)
        return variant.positive[positive], variant.negative[negative]

    return identifiers


def _blocks(
    stimuli: Stimuli, part: Slice, wordings: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """Wordings by the files that they stand in, and in how many of a file's each pair is asked."""
    language, place = stimuli.axes[part.axis].language, 0
    for block in stimuli.blocks.get((part.measurement, language), (Block(len(wordings)),)):
        yield wordings[place : place + block.size], block.per_pair
        place += block.size


def _met(
    category: Category, names: tuple[str, ...], per_pair: int | None, fraction: Fraction | None
) -> Sequence[frozenset[tuple[str, str]] | None]:
    """The word pairs that each wording of a block meets; None: all."""
    if fraction is None or (per_pair is None and fraction == 1):
        return [None] * len(names)
    each = len(names) if per_pair is None else per_pair
    return cells(category.positive, category.negative, names, each, fraction)


def associations_of(
    stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION
) -> Iterator[AssociationPrompt]:
    """The association prompts of a slice in a selection, wording by wording."""
    axis = stimuli.axes[part.axis]
    variant = axis.variants[part.variant]
    wordings = {wording.id: wording for wording in stimuli.implicit[axis.language]}
    for wording, identifiers, pair in asked(stimuli, part, wordings, selection):
        yield from associations(axis, part, wording, variant, identifiers, pair)


def held_out_of(
    stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION, *, per_pair: int
) -> Iterator[AssociationPrompt]:
    """The association prompts of a slice of which no word and no wording was trained on.

    Each held-out word pair in ``per_pair`` of the held-out wordings; all that the selection asks of
    an axis of which nothing is known.
    """
    held = stimuli.held_out.get(part.axis)
    if held is not None:
        stimuli = _narrowed(stimuli, part.axis, held, per_pair)
    asked_as = replace(part, measurement=IMPLICIT)
    for prompt in associations_of(stimuli, asked_as, selection):
        yield replace(prompt, slice=replace(prompt.slice, measurement=part.measurement))


def _narrowed(stimuli: Stimuli, name: str, held: HeldOut, per_pair: int) -> Stimuli:
    """The stimuli with an axis's held-out words and wordings alone, which are few: all asked."""
    axis = stimuli.axes[name]
    categories = {}
    for category, (positive, negative) in held.words.items():
        whole = axis.categories[category]
        published = whole.published and whole.published.model_copy(
            update={
                "positive": tuple(w for w in whole.published.positive if w in positive),
                "negative": tuple(w for w in whole.published.negative if w in negative),
            }
        )
        words = {"positive": positive, "negative": negative, "published": published}
        categories[category] = whole.model_copy(update=words)
    wordings = tuple(one for one in stimuli.implicit[axis.language] if one.id in held.wordings)
    block = Block(len(wordings), min(per_pair, len(wordings)))
    return replace(
        stimuli,
        axes={
            **stimuli.axes,
            name: axis.model_copy(update={"categories": categories, "fraction": "1"}),
        },
        implicit={**stimuli.implicit, axis.language: wordings},
        blocks={**stimuli.blocks, (IMPLICIT, axis.language): (block,)},
    )


def statements_of(
    stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION
) -> Iterator[StatementPrompt]:
    """The statement prompts of a slice in a selection, wording by wording."""
    axis = stimuli.axes[part.axis]
    variant = axis.variants[part.variant]
    wordings = {wording.id: wording for wording in stimuli.explicit[axis.language]}
    for wording, identifiers, pair in asked(stimuli, part, wordings, selection):
        yield from statements(axis, part, wording, variant, identifiers, pair)
