"""Contexts whose words are read from the residual stream. Pure data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import lcm
from typing import TypeVar

from blindspot.errors import StimulusError
from blindspot.stimuli.collection import Stimuli, identifiers_of
from blindspot.stimuli.descriptions import mechanistic_slices, senses_of, undescribed
from blindspot.stimuli.design import DEFAULT_SELECTION, Pair, Selection
from blindspot.stimuli.prompts import (
    IMPLICIT,
    AssociationPrompt,
    Slice,
    associations,
    diagonals,
)
from blindspot.stimuli.questions import (
    GROUP_FIRST,
    LITERAL_FIRST,
    closed_questions,
    open_questions,
)
from blindspot.stimuli.schema import Category, ImplicitWording, Variant
from blindspot.stimuli.senses import (
    AMBIGUOUS,
    NEUTRAL,
    UNRELATED,
    ContextTemplate,
    Cue,
)
from blindspot.stimuli.template import Filled, Span, fill

__all__ = [
    "AMBIGUOUS",
    "GROUP_FIRST",
    "LITERAL_FIRST",
    "NEUTRAL",
    "UNRELATED",
    "Context",
    "ambiguous_contexts",
    "closed_questions",
    "cued_contexts",
    "mechanistic_slices",
    "open_questions",
    "senses_of",
    "spread_over",
    "undescribed",
    "unrelated_contexts",
]

Item = TypeVar("Item")

Mentions = tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """A text and the words of it that are read: two, or one beside a neutral partner.

    Of every pair, [0] belongs to the positive identifier, [1] to the negative one; unrelated words
    stand in the order of their list.

    Attributes:
        sense: AMBIGUOUS, NEUTRAL, UNRELATED, or the sense that the cue states.
        text: what the model is given.
        words: what is read.
        spans: where each is read, characters (start, end): its last mention.
        mentions: every mention of each, in the order of the text.
        positive_first: whether the positive identifier, or the first word, is mentioned first.
        frame: id of the context template, or of the association wording.
        cue: the cue of a cued, neutral or unrelated context, in the singular.
        pair: word pair (positive, negative) of an ambiguous context.
        prompt: an ambiguous context as it is asked.
    """

    sense: str
    text: str
    words: tuple[str, ...]
    spans: tuple[Span, ...]
    mentions: Mentions
    positive_first: bool
    frame: str
    cue: str = ""
    pair: tuple[str, str] | None = None
    prompt: AssociationPrompt | None = None


def ambiguous_contexts(
    stimuli: Stimuli,
    part: Slice,
    selection: Selection = DEFAULT_SELECTION,
    *,
    orders: bool = True,
    wordings: int | None = None,
) -> list[Context]:
    """The association prompts of a slice: every wording with one word pair, in all four orders.

    The pairs differ from wording to wording, so that the words of the category are used evenly.
    The prompts are among those of every pair in every wording: the same pair in the same wording
    has the same identifiers.

    Args:
        stimuli: everything that can be asked.
        part: a category, or one word pair of it.
        selection: use only its pairs; every wording is used whatever its fraction.
        orders: False takes one order a wording, each of the four equally often.
        wordings: most wordings, evenly spread over all; None takes all.
    """
    axis = stimuli.axes[part.axis]
    variant, category = axis.variants[part.variant], axis.categories[part.category]
    every = stimuli.implicit.get(axis.language, ())
    asked = spread_over(every, wordings)
    allowed = [part.pair] if part.pair else diagonals(category, selection)
    whole = Slice(IMPLICIT, part.axis, part.variant, part.category)
    used_orders: Counter[str] = Counter()
    contexts = []
    taken = identifiers_of(stimuli, whole, tuple(wording.id for wording in every))
    chosen = _spread(category, allowed, [wording.id for wording in asked], taken)
    for wording, (pair, identifiers) in zip(asked, chosen, strict=False):
        prompts = list(associations(axis, whole, wording, variant, identifiers, pair))
        if not orders:
            # by how often it was used, then by how often with this pair
            rank = {
                one.order: (used_orders[one.order], used_orders[f"{pair} {one.order}"])
                for one in prompts
            }
            prompts = [min(prompts, key=lambda one: rank[one.order])]
            used_orders.update((prompts[0].order, f"{pair} {prompts[0].order}"))
        contexts += [_ambiguous(variant, wording, prompt) for prompt in prompts]
    return contexts


def spread_over(items: Sequence[Item], most: int | None) -> tuple[Item, ...]:
    """At most so many of some items, evenly spread."""
    if most is None or len(items) <= most:
        return tuple(items)
    return tuple(items[at * len(items) // most] for at in range(most))


def _spread(
    category: Category,
    allowed: Sequence[Pair],
    wordings: Sequence[str],
    identifiers: Callable[[Pair, str], Pair],
) -> Iterator[tuple[Pair, Pair]]:
    """A word pair and its identifiers for each wording.

    Evenly in pairs first, then in words, then in identifiers.

    Args:
        category: of the pairs.
        allowed: those to choose from; without any there are none.
        wordings: their ids.
        identifiers: of a pair in a wording.
    """
    rank = {pair: index for index, pair in enumerate(_even_order(category))}
    used: Counter[object] = Counter()
    for wording in wordings if allowed else ():
        named = {pair: identifiers(pair, wording) for pair in allowed}
        best = min(
            allowed,
            key=lambda pair: (
                used[pair],
                used["word", pair[0]] + used["word", pair[1]],
                sum(used["identifier", one] for one in named[pair]),
                rank[pair],
            ),
        )
        used.update((best, *(("word", word) for word in best)))
        used.update(("identifier", one) for one in named[best])
        yield best, named[best]


def _even_order(category: Category) -> list[tuple[str, str]]:
    """All pairs of a category, ordered to use each word about equally from the start.

    Both lists advance together and start over when they end; where both end at once, the negative
    one is shifted by a word to avoid repeating pairs.
    """
    positive, negative = category.positive, category.negative
    round_ = lcm(len(positive), len(negative))
    return [
        (positive[at % len(positive)], negative[(at + at // round_) % len(negative)])
        for at in range(len(positive) * len(negative))
    ]


def _ambiguous(variant: Variant, wording: ImplicitWording, prompt: AssociationPrompt) -> Context:
    first_positive, word_positive = prompt.positive_identifier_first, prompt.positive_word_first
    first, second = prompt.identifiers if first_positive else prompt.identifiers[::-1]
    first_word, second_word = prompt.words if word_positive else prompt.words[::-1]
    identifiers = {"first": first, "second": second}
    words = {"first_word": first_word, "second_word": second_word}
    filled = fill(wording.text, identifiers | words)
    if variant.prefix:
        filled = fill(variant.prefix + " ", identifiers) + filled
    assert filled.text == prompt.text
    read, mentions = _read(filled, prompt.identifiers, first_positive, variant.sides)
    return Context(
        sense=AMBIGUOUS,
        text=filled.text,
        words=read,
        spans=tuple(each[-1] for each in mentions),
        mentions=mentions,
        positive_first=_is_first(filled, first_positive),
        frame=wording.id,
        pair=prompt.words,
        prompt=prompt,
    )


def _read(
    filled: Filled, words: tuple[str, str], positive_first: bool, sides: Sequence[int]
) -> tuple[tuple[str, ...], Mentions]:
    """The words of the sides that are read, and all mentions of each."""
    first, second = filled.spans["first"], filled.spans["second"]
    mentions = (first, second) if positive_first else (second, first)
    return tuple(words[side] for side in sides), tuple(mentions[side] for side in sides)


def _is_first(filled: Filled, positive_first: bool) -> bool:
    """Whether the last mention of the positive word is before that of the other."""
    return (filled.spans["first"][-1] < filled.spans["second"][-1]) == positive_first


def cued_contexts(stimuli: Stimuli, axis: str, variant: str, sense: str) -> list[Context]:
    """Contexts that state a sense: every cue in every template, in both orders of mention.

    The identifiers of a variant that has several rotate over cues and templates; both orders of
    mention use the same two. The prefix of a variant is omitted: it may state another sense.

    Args:
        stimuli: everything that can be asked.
        axis: name of the axis.
        variant: name of the variant.
        sense: name of a sense, or NEUTRAL for cues that state neither.

    Raises:
        StimulusError: the sense is not described in the axis's language.
    """
    language = stimuli.axes[axis].language
    described = stimuli.senses.get(language, {})
    if sense not in described:
        raise StimulusError(
            f"{axis}/{variant}: the sense {sense!r} is not described in {language!r}; "
            "add a file for it under senses/"
        )
    own = stimuli.axes[axis].variants[variant]
    places = [
        (cue, template)
        for cue in described[sense].cues
        for template in stimuli.templates.get(language, ())
    ]
    return [
        _stated(sense, template, cue, own.identifiers(index), own.sides, first=positive_first)
        for index, (cue, template) in enumerate(places)
        for positive_first in (True, False)
    ]


def unrelated_contexts(stimuli: Stimuli, axis: str, variant: str) -> list[Context]:
    """Contexts of the same form about other words: a control shared by all variants.

    Every set of unrelated words in every template, in both orders of mention; the pairs of a set
    rotate over the templates. Beside a neutral partner one word is read, here as everywhere.
    """
    language = stimuli.axes[axis].language
    sides = range(len(stimuli.axes[axis].variants[variant].sides))
    contexts = []
    for unrelated in stimuli.unrelated.get(language, ()):
        couples = _couples(unrelated.words)
        for number, template in enumerate(stimuli.templates.get(language, ())):
            words = couples[number % len(couples)]
            contexts += [
                _stated(UNRELATED, template, unrelated, words, sides, first=positive_first)
                for positive_first in (True, False)
            ]
    return contexts


def _couples(words: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of words; first those that share no word."""
    used: Counter[str] = Counter()
    left = list(combinations(words, 2))
    couples = []
    while left:
        couple = min(left, key=lambda two: used[two[0]] + used[two[1]])
        left.remove(couple)
        used.update(couple)
        couples.append(couple)
    return couples


def _stated(
    sense: str,
    template: ContextTemplate,
    cue: Cue,
    words: tuple[str, str],
    sides: Sequence[int],
    *,
    first: bool,
) -> Context:
    one, other = words if first else words[::-1]
    filled = fill(template.text, cue.values | {"first": one, "second": other})
    read, mentions = _read(filled, words, first, sides)
    return Context(
        sense=sense,
        text=filled.text,
        words=read,
        spans=tuple(each[-1] for each in mentions),
        mentions=mentions,
        positive_first=_is_first(filled, first),
        frame=template.id,
        cue=cue.singular,
    )
