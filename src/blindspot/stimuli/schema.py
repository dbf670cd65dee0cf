"""The schema of the fixture files: axes and wordings, validated as they are read.

A file that breaks a rule is refused as a whole; pydantic finds the key, `loader` names the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import permutations, product
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, field_validator, model_validator

from blindspot.answers import Agreement, Association, read_agreement, read_association
from blindspot.stimuli.design import fraction_of
from blindspot.stimuli.template import (
    CHOICE_SLOTS,
    IDENTIFIER_SLOTS,
    WORD_SLOTS,
    check_slots,
    literals,
    order,
    slots,
)
from blindspot.stimuli.terms import Language, Name, Terms, Text, fold, stands_in, words_of

#: A complete answer: word and choice, word and choice; or choice and word twice.
_ANSWER_ORDERS = (
    ["first_word", "first_choice", "second_word", "second_choice"],
    ["first_choice", "first_word", "second_choice", "second_word"],
)


def check_answer(answer: str) -> None:
    """Check that a template is a complete answer to an association prompt.

    Raises:
        ValueError: names the slot, or says how to arrange the words and choices.
    """
    check_slots("answer", answer, WORD_SLOTS | CHOICE_SLOTS, frozenset())
    if order(answer) not in _ANSWER_ORDERS:
        raise ValueError(
            "answer: each word must be next to its own choice, the first word first; write "
            '"{first_word} - {first_choice}, {second_word} - {second_choice}" or the like'
        )


def check_distinct(key: str, terms: Iterable[str]) -> None:
    """Check that no two terms count as the same.

    Raises:
        ValueError: names the key and the term.
    """
    seen: dict[str, str] = {}
    for term in terms:
        if (known := fold(term)) in seen:
            raise ValueError(f"{key}: {term!r} is listed twice (as {seen[known]!r}); remove one")
        seen[known] = term


class Strict(BaseModel):
    """A table of a file: no unknown keys, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class Groups(Strict):
    """Two groups: ``positive`` is the one that the stereotype puts on the good side."""

    positive: Text
    negative: Text

    @model_validator(mode="after")
    def _two_groups(self) -> Self:
        check_distinct("groups", (self.positive, self.negative))
        return self


class Senses(Strict):
    """What an identifier can mean: the group and, if it is ambiguous, something literal."""

    group: Text
    literal: Text | None = None

    @model_validator(mode="after")
    def _two_senses(self) -> Self:
        check_distinct("senses", filter(None, (self.group, self.literal)))
        return self


class Variant(Strict):
    """A way to refer to the groups: ``positive[i]`` stands for the positive group.

    ``prefix`` is a sentence put before every prompt; it may use the slots {first} and {second}.
    ``control``: a control for comparison, not part of any figure over all variants. ``literal``:
    the literal sense of its identifiers, by default the axis's; ``one_sense``: they have none.
    ``partner``: the side whose identifiers only stand beside the others. They belong to no group,
    and only the other side is read inside a model. ``paired``: the n-th identifiers of both sides
    belong together; otherwise every combination is asked in turn.
    """

    description: str = ""
    control: bool = False
    prefix: str = ""
    literal: str = ""
    one_sense: bool = False
    partner: Literal["positive", "negative"] | None = None
    paired: bool = False
    positive: Terms
    negative: Terms

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_distinct("identifiers", (*self.positive, *self.negative))
        if self.one_sense and self.literal:
            raise ValueError("one_sense: there is a literal sense too; remove one of the two")
        if self.paired and len(self.positive) != len(self.negative):
            raise ValueError(
                "paired: the two lists differ in length; pair them, or remove this key"
            )
        if self.prefix:
            found = slots(self.prefix)
            if found and found != IDENTIFIER_SLOTS:
                check_slots("prefix", self.prefix, IDENTIFIER_SLOTS, frozenset())
        for identifier, text in product((*self.positive, *self.negative), literals(self.prefix)):
            if stands_in(identifier, text):
                raise ValueError(
                    f"prefix: {identifier!r} is written out, so its order never "
                    "changes; write {first} and {second}"
                )
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides that are read inside a model: 0 is positive, 1 negative."""
        return {None: (0, 1), "positive": (1,), "negative": (0,)}[self.partner]

    def identifiers(self, index: int) -> tuple[str, str]:
        """The ``index``-th pair (positive, negative), every combination of the two lists in turn.

        Pairs run through both lists at once and shift by one after each round, so any run of
        consecutive indices uses all identifiers about equally often.
        """
        turn, place = divmod(index, len(self.positive))
        if self.paired:
            return self.positive[place], self.negative[place]
        return self.positive[place], self.negative[(place + turn) % len(self.negative)]


class Poles(Strict):
    """Two word lists: what the stereotype gives to the positive and to the negative group."""

    positive: Terms
    negative: Terms

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_distinct("words", (*self.positive, *self.negative))
        return self


class Category(Poles):
    """A kind of stereotype. ``published``: those of its words that its source lists."""

    description: str = ""
    published: Poles | None = None

    @model_validator(mode="after")
    def _published_are_listed(self) -> Self:
        for pole in ("positive", "negative") if self.published else ():
            for word in getattr(self.published, pole):
                if word not in getattr(self, pole):
                    raise ValueError(
                        f"published.{pole}: {word!r} is not one of the {pole} words; add it to "
                        f"{pole} too, or remove it"
                    )
        return self


class Axis(Strict):
    """A pair of groups with its identifiers (variants) and word lists (categories).

    ``homonyms``: its identifiers are ambiguous and name no group, a control for those that do.
    ``fraction``: of the prompts that wording files ask by default, such as "1/2".
    """

    name: Name
    language: Language = "en"
    description: str = ""
    homonyms: bool = False
    fraction: str = "1"
    groups: Groups
    senses: Senses
    variants: dict[Name, Variant] = Field(min_length=1)
    categories: dict[Name, Category] = Field(min_length=1)

    def sense_names(self, variant: str) -> tuple[str, ...]:
        """The senses of a variant's identifiers: group and literal; none if they have only one."""
        own = self.variants[variant]
        literal = own.literal or self.senses.literal
        return (self.senses.group, literal) if literal and not own.one_sense else ()

    @property
    def identifier_words(self) -> frozenset[str]:
        """The words of all identifiers, folded."""
        return words_of(self.identifiers)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """All identifiers, each once: no wording may use one for anything else."""
        every = (
            term
            for variant in self.variants.values()
            for term in variant.positive + variant.negative
        )
        return tuple(dict.fromkeys(every))

    @property
    def share(self) -> Fraction:
        """Its fraction, above 0 and up to 1."""
        return Fraction(self.fraction)

    @field_validator("fraction")
    @classmethod
    def _a_part(cls, text: str) -> str:
        if (found := fraction_of(text)) is None:
            raise ValueError(f"{text!r} is no fraction above 0 and up to 1, such as 1/2")
        return str(found)

    @model_validator(mode="after")
    def _tell_apart(self) -> Self:
        """No identifier inside another identifier or a word: answers could not be told apart."""
        for name, variant in self.variants.items():
            identifiers = (*variant.positive, *variant.negative)
            where = f"variants.{name}"
            if fold(variant.literal) == fold(self.senses.group):
                raise ValueError(
                    f"{where}.literal: {variant.literal!r} is the group sense; name another sense"
                )
            for one, other in product(identifiers, identifiers):
                if one != other and stands_in(one, other):
                    raise ValueError(
                        f"{where}: identifier {one!r} is part of identifier {other!r}; replace one"
                    )
            for category_name, category in self.categories.items():
                words = (*category.positive, *category.negative)
                for identifier, word in product(identifiers, words):
                    if stands_in(identifier, word):
                        raise ValueError(
                            f"{where}: identifier {identifier!r} is part of the word {word!r} in "
                            f"categories.{category_name}; replace one"
                        )
        return self


class ImplicitWording(Strict):
    """A wording of the association prompt."""

    id: Name
    text: Text
    answer: Text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_slots("text", self.text, IDENTIFIER_SLOTS | WORD_SLOTS, frozenset())
        check_answer(self.answer)
        return self

    def check_read(self, language: str) -> None:
        """Check that the reader finds the pairs in an answer of the requested form.

        Raises:
            ValueError: says how to write the form.
        """
        words, choices = ("alpha", "beta"), ("gamma", "delta")
        named = dict(zip(("first_word", "second_word"), words, strict=True))
        named |= dict(zip(("first_choice", "second_choice"), choices, strict=True))
        answer = self.answer.format(**named)
        reading = read_association(answer, identifiers=choices, words=words, language=language)
        if reading is not Association.STEREOTYPED:
            raise ValueError(
                "answer: an answer in this form is not read as two pairs; join each word to its "
                'choice and separate the pairs, as in "{first_word} - {first_choice}, ..."'
            )

    @property
    def measurement(self) -> str:
        """What it measures."""
        return "implicit"

    @property
    def literals(self) -> tuple[str, ...]:
        """Its literal text, between the slots."""
        return literals(self.text, self.answer)


def _said(template: str) -> list[str]:
    """The words and slots of a statement, without punctuation."""
    return re.findall(r"\{\w+\}|[^\W_]+", fold(template))


class ExplicitWording(Strict):
    """A wording of the stated belief: a statement and its reverse, and how to answer."""

    id: Name
    scale: Literal["likert", "agreement"]
    text: Text
    statement: Text
    reverse: Text
    options: tuple[Text, Text] = ("agree", "disagree")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_slots("text", self.text, frozenset({"statement"}), frozenset())
        slots_of_both = IDENTIFIER_SLOTS | WORD_SLOTS
        check_slots("statement", self.statement, slots_of_both, frozenset())
        check_slots("reverse", self.reverse, slots_of_both, frozenset())
        if _said(self.statement) == _said(self.reverse):
            raise ValueError(
                "reverse: the same as the statement; join the words the other way round"
            )
        if self.scale == "likert" and "options" in self.model_fields_set:
            raise ValueError("options: a likert wording is answered 1 to 5; remove this key")
        check_distinct("options", self.options)
        for one, other in permutations(self.options):
            if fold(one).startswith(fold(other)):
                raise ValueError(
                    f"options: {one!r} begins with {other!r}, so whoever writes the one has begun "
                    "the other; choose words of which neither begins the other"
                )
        return self

    def check_read(self, language: str) -> None:
        """Check that the options are not read the wrong way round.

        Raises:
            ValueError: says what to do.
        """
        readings = tuple(read_agreement(option, language) for option in self.options)
        if readings[0] is Agreement.DISAGREE or readings[1] is Agreement.AGREE:
            raise ValueError("options: the first one must agree, the second disagree; swap them")

    @property
    def measurement(self) -> str:
        """What it measures."""
        return "explicit"

    @property
    def literals(self) -> tuple[str, ...]:
        """Its literal text, between the slots."""
        return literals(self.text, self.statement, self.reverse)


class _WordingFile(Strict):
    """``per_pair``: in how many of its wordings each word pair is asked; all without it."""

    language: Language = "en"
    per_pair: Annotated[StrictInt, Field(ge=1)] | None = None

    def _check(self, wordings: Sequence[ImplicitWording | ExplicitWording]) -> None:
        check_distinct("wording ids", (wording.id for wording in wordings))
        for wording in wordings:
            try:
                wording.check_read(self.language)
            except ValueError as error:
                raise ValueError(f"wording[{wording.id}].{error}") from None
        if (self.per_pair or 0) > len(wordings):
            raise ValueError(
                f"per_pair: {self.per_pair} is more than the {len(wordings)} wordings of the file; "
                "use a smaller number, or remove it to ask every pair in all of them"
            )


class ImplicitWordings(_WordingFile):
    """A file of association wordings."""

    measurement: Literal["implicit"]
    wording: tuple[ImplicitWording, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        self._check(self.wording)
        return self


class ExplicitWordings(_WordingFile):
    """A file of stated-belief wordings."""

    measurement: Literal["explicit"]
    wording: tuple[ExplicitWording, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        self._check(self.wording)
        return self
