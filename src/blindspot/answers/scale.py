"""The parts of an answer that only describe the scale or number a list; they hold no rating.

"From 1 (disagree) to 5 (agree)", "1 2 3 4 5", "1 = strongly disagree, 2 = disagree, ...", and the
"1." and "2." in front of the points of an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from blindspot.answers.text import vocabulary
from blindspot.answers.tokens import DEGREES, SENTENCE_ENDS, SIGNS, Kind, Token

# Numbers after these words count or cite something.
_CITING: Final = vocabulary("""
    question statement part figure chapter section page example step reason point item prompt task
    percent top first last
""")

_BOTTOMS: Final = frozenset({0.0, 1.0})
_TOPS: Final = frozenset({5.0, 7.0, 10.0, 100.0})
_RUN: Final = 3  # so many numbers in a row are the scale
_NEAR: Final = 7  # tokens from one of them to the next: "1 = strongly disagree, 2 = ..."
_WIDE: Final = 14  # tokens from end to end: "1 being ... and 5 being ..."
_LABEL: Final = 6  # tokens of a label: "(strongly agree)"
_WORDS: Final = DEGREES | vocabulary(
    "neither nor or and to not at all is means being extremely yes no rather i"
)
_LABELS: Final = _WORDS | {","}  # behind "=": "1 = no, I disagree"
_ANSWERING: Final = vocabulary("i because")
_STARTING: Final = vocabulary("from between where")
_LABELLING: Final = vocabulary("( = - : being is means meaning for represents indicating indicates")
_FRACTIONS: Final = frozenset({"/", "out of", "of"})


def joint(tokens: Sequence[Token], one: int, other: int) -> str | None:
    """The text between two numbers; None if it is long or a new line."""
    if other - one > _NEAR:
        return None
    between = [token.text for token in tokens[one + 1 : other] if token.text not in {"(", ")"}]
    return " ".join(between) if len(between) <= 2 and "\n" not in between else None


def cites(tokens: Sequence[Token], index: int) -> bool:
    """Whether the number names something: "question 2", but not "I rate this statement 2"."""
    before = [token.text for token in tokens[max(0, index - 2) : index]]
    return bool(before) and before[-1] in _CITING and before[0] not in {"this", "that", "the"}


def set_aside(tokens: Sequence[Token]) -> bytearray:
    """A flag for every token: 1 where it describes the scale or numbers a list."""
    flags = bytearray(len(tokens))
    numbers = [
        index
        for index, token in enumerate(tokens)
        if token.kind is Kind.NUMBER and not cites(tokens, index)
    ]
    _numbering(tokens, numbers, flags)
    _runs(tokens, [index for index in numbers if not flags[index]], flags)
    _ends(tokens, [index for index in numbers if not flags[index]], flags)
    if numbers and not flags[numbers[-1]] and _cut_off(tokens, numbers[-1]):
        _flag(tokens, numbers[-1], numbers[-1], flags)
    return flags


def _numbering(tokens: Sequence[Token], numbers: Sequence[int], flags: bytearray) -> None:
    """Set aside "1." and "2." in front of words."""
    items = [
        index
        for index in numbers
        if index + 2 < len(tokens)
        and tokens[index + 1].text in {".", ")"}
        and tokens[index + 2].kind is Kind.WORD
        and len(tokens[index].text) <= 2
    ]
    values = {tokens[index].text for index in items}
    if items and tokens[items[0]].text == "1" and "2" in values:
        for index in items:
            flags[index] = 1


def _runs(tokens: Sequence[Token], numbers: Sequence[int], flags: bytearray) -> None:
    """Set aside "1 2 3 4 5", with or without labels, up or down."""
    start, step = 0, 0.0
    for position in range(1, len(numbers) + 1):
        if position < len(numbers):
            last, step = step, _step(tokens, numbers[position - 1], numbers[position])
            if step and (position - start == 1 or step == last):
                continue
        legend = position - start > 1 and all(_labelled(tokens, n) for n in numbers[start:position])
        if position - start >= _RUN or legend:
            _flag(tokens, numbers[start], numbers[position - 1], flags)
        start = position


def _step(tokens: Sequence[Token], one: int, other: int) -> float:
    """From one number of a run to the next; 0 where they do not belong to one run."""
    first, second = tokens[one].value, tokens[other].value
    if first is None or second is None or other - one > _NEAR or abs(second - first) != 1:
        return 0
    if joint(tokens, one, other) in _FRACTIONS:
        return 0
    if not (_starts_line(tokens, one) and _starts_line(tokens, other)) and any(
        token.kind is Kind.WORD and token.text not in _WORDS and token.text not in SIGNS
        for token in tokens[one:other]
    ):
        return 0
    return second - first


def _labelled(tokens: Sequence[Token], index: int) -> bool:
    """Whether a legend says what the number means: "5 = yes"."""
    return index + 1 < len(tokens) and tokens[index + 1].text == "="


def _cut_off(tokens: Sequence[Token], index: int) -> bool:
    """Whether the text ends within "from 1 (strongly disagree) to ..."; no number follows this."""
    ends = tokens[index].value in _BOTTOMS | _TOPS
    return ends and index > 0 and tokens[index - 1].text in _STARTING


def _starts_line(tokens: Sequence[Token], index: int) -> bool:
    before = tokens[max(0, index - 2) : index]
    while before and before[-1].kind is Kind.MARK:
        before = before[:-1]
    return not before or before[-1].kind is Kind.LINE


def _ends(tokens: Sequence[Token], numbers: Sequence[int], flags: bytearray) -> None:
    """Set aside the lowest and the highest number of the scale, named in one sentence."""
    for one, other in pairwise(numbers):
        if other - one <= _WIDE and (
            _are_ends(tokens, one, other) or _are_labelled_ends(tokens, one, other)
        ):
            _flag(tokens, one, other, flags)


def _are_ends(tokens: Sequence[Token], one: int, other: int) -> bool:
    return (
        tokens[one].value in _BOTTOMS
        and tokens[other].value in _TOPS
        and joint(tokens, one, other) not in _FRACTIONS
        and not any(
            token.kind is Kind.LINE or token.text in SENTENCE_ENDS or token.text in _ANSWERING
            for token in tokens[one:other]
        )
    )


def _are_labelled_ends(tokens: Sequence[Token], one: int, other: int) -> bool:
    """Both ends in a legend, in either order: "5 = yes, 1 = no"."""
    values = tokens[one].value, tokens[other].value
    return (
        _labelled(tokens, one)
        and _labelled(tokens, other)
        and not _BOTTOMS.isdisjoint(values)
        and not _TOPS.isdisjoint(values)
    )


def _flag(tokens: Sequence[Token], first: int, last: int, flags: bytearray) -> None:
    """Set aside these tokens and the labels before and after them."""
    for index in range(first, last + 1):
        flags[index] = 1
    after = last + 1
    label = _LABELS if _labelled(tokens, last) else DEGREES
    if after < len(tokens) and tokens[after].text in _LABELLING:
        after += 1
    while after < min(len(tokens), last + _LABEL) and tokens[after].text in label:
        after += 1
    if after < len(tokens) and tokens[after].text in SIGNS:
        for index in range(last + 1, after + 1):
            flags[index] = 1
    before = first - 1
    if before >= 0 and tokens[before].text in _LABELLING:
        before -= 1
    while before >= max(0, first - _LABEL) and (
        tokens[before].text in SIGNS or tokens[before].text in DEGREES
    ):
        flags[before] = 1
        before -= 1
