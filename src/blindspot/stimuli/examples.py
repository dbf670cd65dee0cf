"""Solved examples in front of a prompt, for models that only continue text (few-shot).

Examples are prompts of the same wording about unrelated words, each with its answer. They are
neutral in sum: their words and identifiers belong to no axis, and as many examples pair first with
first as crosswise, or agree as disagree (with an odd number, over the wordings). All prompts of a
wording have the same examples, so the four orders of a prompt differ in nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from blindspot.errors import StimulusError
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.schema import Axis, ExplicitWording, ImplicitWording
from blindspot.stimuli.terms import words_of

#: Ratings of examples: each two of them are neutral in sum.
_RATINGS = ("4", "2", "5", "1")
_TERMS = 4  # two words and two identifiers
_END = "\n\n"


_Wording = ImplicitWording | ExplicitWording


class Examples:
    """The examples of each wording: ``count`` of them, drawn by ``seed``."""

    def __init__(self, stimuli: Stimuli, count: int, seed: int) -> None:
        """Draw the examples of every axis in every wording of its language.

        Raises:
            StimulusError: a language has too few unrelated words.
        """
        self.count = count
        self._texts: dict[tuple[str, str, str], str] = {}
        for axis in stimuli.axes.values() if count else ():
            implicit = enumerate(stimuli.implicit.get(axis.language, ()))
            explicit = enumerate(stimuli.explicit.get(axis.language, ()))
            for number, wording in chain[tuple[int, _Wording]](implicit, explicit):
                key = (wording.measurement, axis.name, wording.id)
                self._texts[key] = self._text(stimuli, axis, wording, number, seed)

    def of(self, measurement: str, axis: str, wording: str) -> str:
        """The text in front of a prompt, with its blank line; "" without examples."""
        return self._texts.get((measurement, axis, wording), "")

    def _text(
        self,
        stimuli: Stimuli,
        axis: Axis,
        wording: _Wording,
        number: int,
        seed: int,
    ) -> str:
        terms = _terms(_neutral(stimuli, axis), random.Random(f"{seed}/{wording.id}"))
        return "".join(
            _example(wording, drawn, (number + place) % 2 == 0, place // 2)
            for place, drawn in enumerate(islice(terms, self.count))
        )


def _neutral(stimuli: Stimuli, axis: Axis) -> list[str]:
    """The unrelated words of the axis's language that are no word or identifier of it."""
    own = axis.identifier_words | words_of(
        word for listed in axis.categories.values() for word in listed.positive + listed.negative
    )
    listed = stimuli.unrelated.get(axis.language, ())
    words = [word for each in listed for word in each.words if not words_of([word]) & own]
    if len(words) < _TERMS:
        raise StimulusError(
            f"--num-fewshot: the language {axis.language!r} of the axis {axis.name!r} has "
            f"{len(words)} unrelated words for examples; add contexts with at least {_TERMS} "
            "(--include-path), or omit --num-fewshot"
        )
    return words


def _terms(words: Sequence[str], draw: random.Random) -> Iterator[dict[str, str]]:
    """Values for the slots of one example after the other; every word comes equally often."""
    slots = ("first", "second", "first_word", "second_word")
    rest: list[str] = []
    while True:
        if len(rest) < _TERMS:
            rest = draw.sample(words, len(words))
        yield dict(zip(slots, rest, strict=False))
        rest = rest[_TERMS:]


def _example(wording: _Wording, terms: dict[str, str], one: bool, turn: int) -> str:
    if isinstance(wording, ImplicitWording):
        return _association(wording, terms, one)
    return _statement(wording, terms, one, turn)


def _association(wording: ImplicitWording, terms: dict[str, str], one: bool) -> str:
    first, second = terms["first"], terms["second"]
    chosen = (first, second) if one else (second, first)
    answer = wording.answer.format(
        first_word=terms["first_word"],
        second_word=terms["second_word"],
        first_choice=chosen[0],
        second_choice=chosen[1],
    )
    return _solved(wording.text.format(**terms), answer)


def _statement(wording: ExplicitWording, terms: dict[str, str], one: bool, turn: int) -> str:
    statement = wording.statement.format(**terms)
    answers = wording.options
    if wording.scale == "likert":
        start = turn % (len(_RATINGS) // 2) * 2
        answers = (_RATINGS[start], _RATINGS[start + 1])
    return _solved(wording.text.format(statement=statement), answers[0 if one else 1])


def _solved(text: str, answer: str) -> str:
    """A prompt and its answer, joined as plain text is."""
    return f"{text}{'' if text.endswith(chr(10)) else ' '}{answer}{_END}"
