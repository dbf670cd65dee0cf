"""Prompts: every wording x word pair in every order, rendered from the stimuli. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Protocol, Self

from blindspot.answers.languages import ENGLISH
from blindspot.stimuli.design import DEFAULT_SELECTION, Selection
from blindspot.stimuli.forms import filled
from blindspot.stimuli.schema import Axis, Category, ExplicitWording, ImplicitWording, Variant

IMPLICIT = "implicit"
EXPLICIT = "explicit"
"""The measurements that wordings can name."""

#: The form of an answer to a statement.
OPTION = "{option}"
#: The numbers of a rating scale as agreement in [-1, 1].
LIKERT = {"1": -1.0, "2": -0.5, "3": 0.0, "4": 0.5, "5": 1.0}


@cache
def _named(part: str) -> str:
    """A part of a slice's id."""
    return "_".join(part.split())


@dataclass(frozen=True, slots=True, order=True)
class Slice:
    """The prompts that belong together: a category of a variant, one word or one pair of it."""

    measurement: str
    axis: str
    variant: str
    category: str
    pair: tuple[str, str] | None = None
    word: str = ""

    @property
    def id(self) -> str:
        """Readable name of words, unique in a measurement: ``axis-variant-category[-a[-b]]``."""
        parts = [self.axis, self.variant, self.category, *(self.pair or filter(None, [self.word]))]
        return "-".join(map(_named, parts))

    @property
    def whole(self) -> Slice:
        """The category that this slice is a part of."""
        return Slice(self.measurement, self.axis, self.variant, self.category)


class Prompt(Protocol):
    """What every prompt has. In every pair, [0] is positive and [1] negative.

    ``answer``: the form of an answer, a template; "" if it has none. ``candidates``: complete
    answers of that form, which a model can choose from. ``second_order``: the order that
    the prompts of a wording balance in addition to which identifier comes first; ``order``: both,
    in
    words. ``full_length``: continue to the token limit, even after the answer is complete.
    """

    @property
    def slice(self) -> Slice:
        """The slice of its word pair."""
        ...

    @property
    def wording(self) -> str:
        """Name of its wording."""
        ...

    @property
    def identifiers(self) -> tuple[str, str]:
        """Of the two groups."""
        ...

    @property
    def words(self) -> tuple[str, str]:
        """The word pair."""
        ...

    @property
    def positive_identifier_first(self) -> bool:
        """Whether the identifier of the positive group is listed first."""
        ...

    @property
    def second_order(self) -> bool:
        """The other order."""
        ...

    @property
    def order(self) -> str:
        """Both orders, in words."""
        ...

    @property
    def text(self) -> str:
        """What the model is given."""
        ...

    @property
    def answer(self) -> str:
        """The form of an answer."""
        ...

    @property
    def language(self) -> str:
        """Code of the language in which it is answered."""
        ...

    @property
    def candidates(self) -> tuple[str, ...]:
        """Complete answers."""
        ...

    def in_form(self, form: str) -> Self:
        """The prompt with candidates of another form."""
        ...

    @property
    def full_length(self) -> bool:
        """Whether generation goes on after the answer is complete."""
        ...


@dataclass(frozen=True, slots=True)
class AssociationPrompt:
    """One association prompt. Of every pair, [0] is the positive one, [1] the negative one.

    ``candidates``: the complete stereotyped answer and the complete counter-stereotyped one.
    ``full_length``: continue to the token limit, even after the answer is complete.
    """

    slice: Slice
    wording: str
    identifiers: tuple[str, str]
    words: tuple[str, str]
    positive_identifier_first: bool
    positive_word_first: bool
    text: str
    candidates: tuple[str, ...]
    full_length: bool = False
    answer: str = ""
    language: str = ENGLISH

    def in_form(self, form: str) -> Self:
        """The prompt with candidates of another form."""
        if form == self.answer:
            return self
        return replace(self, answer=form, candidates=_candidates(form, *self._listed))

    @property
    def _listed(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Identifiers as the stereotype gives them to the words, and words as listed."""
        if self.positive_word_first:
            return self.identifiers, self.words
        return self.identifiers[::-1], self.words[::-1]

    @property
    def order(self) -> str:
        """Which identifier and which word is listed first."""
        return association_order(self.positive_identifier_first, self.positive_word_first)

    @property
    def second_order(self) -> bool:
        """Whether the positive word is listed first."""
        return self.positive_word_first


@dataclass(frozen=True, slots=True)
class StatedPrompt(AssociationPrompt):
    """A prompt whose text holds its answer: the right candidate, then the wrong one.

    ``positive_word_first``: whether the answer is the group's, not that of the contrast. One of a
    plain sentence has its own continuation as the only candidate.
    """

    @property
    def order(self) -> str:
        """Which identifier is stated first, and whose answer it is."""
        return stated_order(self.positive_identifier_first, self.positive_word_first)


@dataclass(frozen=True, slots=True)
class StatementPrompt:
    """One stated-belief prompt.

    ``stereotype``: True for the statement, False for its reverse. ``candidates`` are the options
    that can be answered, ``candidate_values`` what each says, as agreement in [-1, 1];
    ``full_length`` as for associations.
    """

    slice: Slice
    wording: str
    identifiers: tuple[str, str]
    words: tuple[str, str]
    positive_identifier_first: bool
    stereotype: bool
    scale: str
    text: str
    candidates: tuple[str, ...]
    candidate_values: tuple[float, ...]
    full_length: bool = False
    answer: str = ""
    language: str = ENGLISH

    def in_form(self, form: str) -> Self:
        """The prompt with candidates of another form; of a prompt in the form of its wording."""
        if form == self.answer:
            return self
        options = tuple(filled(form, option=option) for option in self.candidates)
        return replace(self, answer=form, candidates=options)

    @property
    def order(self) -> str:
        """Which identifier is named first, and which way the words are tied to them."""
        return statement_order(self.positive_identifier_first, self.stereotype)

    @property
    def second_order(self) -> bool:
        """Whether it is the statement of the stereotype, not its reverse."""
        return self.stereotype


def association_order(identifier_first: bool, word_first: bool) -> str:
    """Which identifier and which word is listed first, in words."""
    word = "positive" if word_first else "negative"
    return f"{_identifier(identifier_first)},{word}-word-first"


def stated_order(identifier_first: bool, of_group: bool) -> str:
    """Which identifier is stated first, and whose answer it is, in words."""
    return f"{_identifier(identifier_first)},{'group' if of_group else 'contrast'}"


def statement_order(identifier_first: bool, stereotype: bool) -> str:
    """Which identifier is named first, and which way the words are tied to them, in words."""
    return f"{_identifier(identifier_first)},{'statement' if stereotype else 'reverse'}"


def _identifier(first: bool) -> str:
    return f"{'positive' if first else 'negative'}-identifier-first"


def diagonals(
    category: Category, selection: Selection = DEFAULT_SELECTION
) -> list[tuple[str, str]]:
    """The word pairs (positive, negative) of a selection, along the diagonals of their table.

    In this order, even a few pairs use many different words. A category that does not say which of
    its words are published has no published pairs.
    """
    words = category.published if selection.published else category
    if words is None:
        return []
    width = max(len(words.positive), len(words.negative))
    table = product(range(len(words.positive)), range(len(words.negative)))
    order = sorted(table, key=lambda at: ((at[1] - at[0]) % width, at))[: selection.limit]
    return [(words.positive[i], words.negative[j]) for i, j in order]


def pairs(category: Category, selection: Selection = DEFAULT_SELECTION) -> list[tuple[str, str]]:
    """The word pairs (positive, negative) of a selection, in the order of the full table."""
    chosen = set(diagonals(category, selection))
    return [pair for pair in product(category.positive, category.negative) if pair in chosen]


def associations(
    axis: Axis,
    part: Slice,
    wording: ImplicitWording,
    variant: Variant,
    identifiers: tuple[str, str],
    pair: tuple[str, str],
) -> Iterator[AssociationPrompt]:
    """One word pair in one wording, in all four orders."""
    where = Slice(IMPLICIT, axis.name, part.variant, part.category, pair)
    text = template_of(variant, wording)
    texts = text, wording.answer
    return in_all_orders(where, wording.id, *texts, identifiers, pair, axis.language)


def template_of(variant: Variant, wording: ImplicitWording) -> str:
    """A wording as a variant asks it: behind the variant's prefix, if it has one."""
    return f"{variant.prefix} {wording.text}" if variant.prefix else wording.text


def in_all_orders(
    where: Slice,
    wording: str,
    text: str,
    answer: str,
    identifiers: tuple[str, str],
    pair: tuple[str, str],
    language: str = ENGLISH,
) -> Iterator[AssociationPrompt]:
    """The templates of a prompt and of its answer, filled in in all four orders.

    ``identifiers`` and ``pair``: the positive one, then the negative one.
    """
    candidates = {  # whichever identifier is listed first
        True: _candidates(answer, identifiers, pair),
        False: _candidates(answer, identifiers[::-1], pair[::-1]),
    }
    for identifier_first, word_first in product((True, False), repeat=2):
        first, second = identifiers if identifier_first else identifiers[::-1]
        words = pair if word_first else pair[::-1]
        yield AssociationPrompt(
            slice=where,
            wording=wording,
            identifiers=identifiers,
            words=pair,
            positive_identifier_first=identifier_first,
            positive_word_first=word_first,
            text=text.format(first=first, second=second, first_word=words[0], second_word=words[1]),
            candidates=candidates[word_first],
            answer=answer,
            language=language,
        )


def _candidates(
    answer: str, stereotyped: tuple[str, str], listed: tuple[str, str]
) -> tuple[str, str]:
    """The stereotyped and the counter-stereotyped answer to words in this order."""
    words = {"first_word": listed[0], "second_word": listed[1]}
    one, other = stereotyped
    return (
        filled(answer, **words, first_choice=one, second_choice=other),
        filled(answer, **words, first_choice=other, second_choice=one),
    )


def statements(
    axis: Axis,
    part: Slice,
    wording: ExplicitWording,
    variant: Variant,
    identifiers: tuple[str, str],
    pair: tuple[str, str],
) -> Iterator[StatementPrompt]:
    """One word pair in one wording: both statements in both identifier orders."""
    where = Slice(EXPLICIT, axis.name, part.variant, part.category, pair)
    if wording.scale == "likert":
        options = LIKERT
    else:
        options = {wording.options[0]: 1.0, wording.options[1]: -1.0}
    for identifier_first, stereotype in product((True, False), repeat=2):
        first, second = identifiers if identifier_first else identifiers[::-1]
        first_word, second_word = pair if identifier_first else pair[::-1]
        statement = (wording.statement if stereotype else wording.reverse).format(
            first=first, second=second, first_word=first_word, second_word=second_word
        )
        yield StatementPrompt(
            slice=where,
            wording=wording.id,
            identifiers=identifiers,
            words=pair,
            positive_identifier_first=identifier_first,
            stereotype=stereotype,
            scale=wording.scale,
            text=_prefixed(variant, first, second) + wording.text.format(statement=statement),
            candidates=tuple(options),
            answer=OPTION,
            candidate_values=tuple(options.values()),
            language=axis.language,
        )


def _prefixed(variant: Variant, first: str, second: str) -> str:
    return variant.prefix.format(first=first, second=second) + " " if variant.prefix else ""
