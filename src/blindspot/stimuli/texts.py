"""Texts by which a changed model is examined: what is stated in a prompt, and neutral sentences."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from blindspot.stimuli.schema import Strict, check_distinct
from blindspot.stimuli.template import IDENTIFIER_SLOTS, WORD_SLOTS, check_slots
from blindspot.stimuli.terms import Language, Name, Text

ASKED_SLOT = "asked"
_LEAST_WORDS = 6
"""Words of a neutral sentence: enough to begin with some and continue the rest."""


class StatedWording(Strict):
    """A prompt that states which identifier goes with which word, and asks for one of them."""

    id: Name
    text: Text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_slots("text", self.text, IDENTIFIER_SLOTS | WORD_SLOTS | {ASKED_SLOT}, frozenset())
        return self


class TextFile(Strict):
    """A file of stated wordings, of neutral sentences, or of both.

    ``practice``: neutral sentences that no gate asks, by which a model is changed.
    """

    language: Language = "en"
    stated: tuple[StatedWording, ...] = ()
    neutral: tuple[Text, ...] = ()
    practice: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _filled(self) -> Self:
        if not self.stated and not self.neutral:
            raise ValueError("nothing in it; add a [[stated]] or the key neutral")
        check_distinct("stated ids", (wording.id for wording in self.stated))
        check_distinct("neutral and practice", (*self.neutral, *self.practice))
        for sentence in (*self.neutral, *self.practice):
            if len(sentence.split()) < _LEAST_WORDS:
                raise ValueError(f"neutral: {sentence!r} has fewer than {_LEAST_WORDS} words")
        return self
