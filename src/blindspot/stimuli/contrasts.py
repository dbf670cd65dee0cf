"""Two prompts that differ in nothing that should matter, and the cases kept of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Self

from pydantic import Field, model_validator

from blindspot.stimuli.prompts import IMPLICIT, AssociationPrompt, Slice, in_all_orders
from blindspot.stimuli.schema import Strict, check_answer, check_distinct
from blindspot.stimuli.template import IDENTIFIER_SLOTS, WORD_SLOTS, check_slots
from blindspot.stimuli.terms import Name, Term, Text, stands_in

#: Orders of a prompt: which identifier and which word is listed first.
ORDERS = 4

#: Hexadecimal digits of the digest in the id of a contrast.
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Contrast:
    """A word pair in one wording, as asked and with a change that should not matter.

    Attributes:
        part: the word pair; of every pair, [0] is the positive one, [1] the negative one.
        wording: id of the wording.
        changes: ids of the transformations.
        identifiers: the two that the words are given to.
        original: template of the prompt, with the slots of an association wording.
        changed: the same after the change.
        answer: template of a complete answer to both.
        language: what they are written in.
    """

    part: Slice
    wording: str
    changes: tuple[str, ...]
    identifiers: tuple[str, str]
    original: str
    changed: str
    answer: str
    language: str = "en"

    @property
    def words(self) -> tuple[str, str]:
        """The word pair."""
        assert self.part.pair is not None
        return self.part.pair

    @property
    def id(self) -> str:
        """Readable names, and a digest of everything that is asked."""
        asked = (self.original, self.changed, self.answer, self.identifiers, self.words)
        digest = hashlib.sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
        return "-".join((self.part.whole.id, self.wording, *self.changes, digest[:_DIGITS]))

    @property
    def prompts(self) -> tuple[AssociationPrompt, ...]:
        """The original in all orders, then the changed one in the same orders."""
        return tuple(
            prompt
            for text in (self.original, self.changed)
            for prompt in in_all_orders(
                self.part,
                self.wording,
                text,
                self.answer,
                self.identifiers,
                self.words,
                self.language,
            )
        )


class Found(Strict):
    """Where a case was found: the model, and the stereotype effects of both prompts in it."""

    model: str
    weights: str = ""
    effect: float
    changed_effect: float


class PromotedCase(Strict):
    """A contrast that is kept with its full prompts: no other file changes it.

    ``at_most``: the largest difference allowed between the stereotype effects of the two prompts.
    """

    id: Name
    language: Name = "en"
    axis: Name
    variant: Name
    category: Name
    wording: Name
    changes: Annotated[tuple[Text, ...], Field(min_length=1)]
    identifiers: tuple[Term, Term]
    words: tuple[Term, Term]
    original: Text
    changed: Text
    answer: Text
    at_most: float = Field(gt=0, lt=2)
    found: Found | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key, text in (("original", self.original), ("changed", self.changed)):
            check_slots(key, text, IDENTIFIER_SLOTS | WORD_SLOTS, frozenset())
        check_answer(self.answer)
        if self.original == self.changed:
            raise ValueError("changed: the same as the original; write the prompt that differs")
        check_distinct("identifiers and words", (*self.identifiers, *self.words))
        for identifier, other in product(self.identifiers, (*self.identifiers, *self.words)):
            if identifier != other and stands_in(identifier, other):
                raise ValueError(f"identifiers: {identifier!r} is part of {other!r}; replace one")
        return self

    @property
    def contrast(self) -> Contrast:
        """What is asked."""
        return Contrast(
            Slice(IMPLICIT, self.axis, self.variant, self.category, self.words),
            self.wording,
            self.changes,
            self.identifiers,
            self.original,
            self.changed,
            self.answer,
            self.language,
        )

    @classmethod
    def of(cls, contrast: Contrast, at_most: float, found: Found | None = None) -> PromotedCase:
        """A contrast as a case to keep."""
        return cls(
            id=contrast.id,
            language=contrast.language,
            axis=contrast.part.axis,
            variant=contrast.part.variant,
            category=contrast.part.category,
            wording=contrast.wording,
            changes=contrast.changes,
            identifiers=contrast.identifiers,
            words=contrast.words,
            original=contrast.original,
            changed=contrast.changed,
            answer=contrast.answer,
            at_most=at_most,
            found=found,
        )
