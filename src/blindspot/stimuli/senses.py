"""The shape of the files behind the assays: senses, context templates, questions.

Validated as they are read, like axes and wordings; `fitting` checks them against an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from blindspot.stimuli.schema import Strict, check_distinct
from blindspot.stimuli.template import IDENTIFIER_SLOTS, check_slots, literals
from blindspot.stimuli.template import order as slot_order
from blindspot.stimuli.terms import Language, Name, Text, fold

CUE_SLOTS = frozenset({"cue", "cues", "heading"})
SENSE_SLOTS = frozenset({"first_sense", "second_sense"})
PLACEHOLDER_SLOT = "x"

AMBIGUOUS = "ambiguous"
NEUTRAL = "neutral"
UNRELATED = "unrelated"

CLOSED = "closed"
OPEN = "open"


def _bare(text: str) -> str:
    if text != text.strip():
        raise ValueError(f"{text!r} has white space around it; remove it")
    return text


def _stem(text: str) -> str:
    if not any(character.isalpha() for character in text):
        raise ValueError(f"{text!r} has no letter; remove it")
    return _bare(text)


Term = Annotated[Text, AfterValidator(_bare)]
Stem = Annotated[Text, AfterValidator(_stem)]


class Cue(Strict):
    """A word that states a sense. ``heading``: how it heads a list, else the capital singular."""

    singular: Term
    plural: Term
    heading: Term | None = None

    @property
    def values(self) -> dict[str, str]:
        """The value of each slot of a template."""
        heading = self.heading or self.singular[0].upper() + self.singular[1:]
        return {"cue": self.singular, "cues": self.plural, "heading": heading}

    @property
    def forms(self) -> frozenset[str]:
        """All its forms, folded."""
        return frozenset(map(fold, self.values.values()))


class Sense(Strict):
    """What a word can mean: the cues that state it, and the stems that show it in a text.

    A stem matches at the beginning of a word; with a full stop behind it, the whole word only.
    The sense named "neutral" states neither and has no stems.
    """

    name: Text
    language: Language = "en"
    description: str = ""
    cues: tuple[Cue, ...] = Field(min_length=1)
    stems: tuple[Stem, ...] = ()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if fold(self.name) in {AMBIGUOUS, UNRELATED} or (
            fold(self.name) == NEUTRAL and self.name != NEUTRAL
        ):
            raise ValueError(
                f"name: {self.name!r} is reserved for contexts of that kind; rename it"
            )
        _check_cues("cues", self.cues)
        check_distinct("stems", (stem.rstrip(".") for stem in self.stems))
        if self.name == NEUTRAL and self.stems:
            raise ValueError("stems: the neutral sense has none; remove this key")
        if self.name != NEUTRAL and not self.stems:
            raise ValueError("stems: none given; add the words that show this sense in a text")
        return self


def _check_cues(key: str, cues: Sequence[Cue]) -> None:
    for number, cue in enumerate(cues):
        for other in cues[:number]:
            if shared := cue.forms & other.forms:
                raise ValueError(f"{key}: {min(shared)!r} is listed twice; remove one")


class ContextTemplate(Strict):
    """A sentence about two words, after a cue that says what they are."""

    id: Name
    text: Text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_slots("text", self.text, IDENTIFIER_SLOTS, CUE_SLOTS)
        order = slot_order(self.text)
        if order[0] not in CUE_SLOTS:
            raise ValueError(
                "text: no cue before the words; a model reads from left to right, so begin with "
                "{heading}, {cue} or {cues}"
            )
        return self

    @property
    def literals(self) -> tuple[str, ...]:
        """Its literal text, between the slots."""
        return literals(self.text)


class UnrelatedWords(Cue):
    """Words unrelated to any axis, under the cue that says what they are."""

    words: Annotated[tuple[Term, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_distinct("words", self.words)
        return self


class ContextFile(Strict):
    """A file of context templates, of unrelated words, or of both."""

    language: Language = "en"
    template: tuple[ContextTemplate, ...] = ()
    unrelated: tuple[UnrelatedWords, ...] = ()

    @model_validator(mode="after")
    def _filled(self) -> Self:
        if not self.template and not self.unrelated:
            raise ValueError("nothing in it; add a [[template]] or an [[unrelated]]")
        check_distinct("template ids", (template.id for template in self.template))
        _check_cues("unrelated", self.unrelated)
        check_distinct("unrelated", (word for words in self.unrelated for word in words.words))
        return self


@dataclass(frozen=True, slots=True)
class InterpretationQuestion:
    """A question about the meaning of a placeholder, {x} in its text.

    A closed one names both senses, {first_sense} and {second_sense}; an open one is continued.
    """

    id: str
    kind: str
    text: str
    placeholder: str


class _Question(Strict):
    id: Name
    text: Text
    placeholder: Term | None = None


class QuestionFile(Strict):
    """A file of questions of one kind; ``placeholder`` is for those without one of their own."""

    kind: Literal["closed", "open"]
    language: Language = "en"
    placeholder: Term = "X"
    question: tuple[_Question, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_distinct("question ids", (question.id for question in self.question))
        for question in self.question:
            _check_question(f"question[{question.id}].text", question.text, self.kind)
        return self

    @property
    def questions(self) -> tuple[InterpretationQuestion, ...]:
        """Its questions, each with its placeholder."""
        return tuple(
            InterpretationQuestion(
                question.id, self.kind, question.text, question.placeholder or self.placeholder
            )
            for question in self.question
        )


def _check_question(key: str, text: str, kind: str) -> None:
    senses = SENSE_SLOTS if kind == CLOSED else frozenset()
    check_slots(key, text, frozenset({PLACEHOLDER_SLOT}) | senses, frozenset())
    order = slot_order(text)
    if order.count(PLACEHOLDER_SLOT) > 1:
        raise ValueError(
            f"{key}: {{x}} occurs twice; only one place is overwritten, so use it once"
        )
    if senses and order.index("first_sense") > order.index("second_sense"):
        raise ValueError(f"{key}: {{second_sense}} comes first; swap the two")
    if text != text.rstrip():
        raise ValueError(f"{key}: white space at the end; remove it, the answer has its own")
    if text.rstrip().endswith("{x}"):
        raise ValueError(
            f"{key}: ends in {{x}}; add words after it, otherwise it would be the answer"
        )
