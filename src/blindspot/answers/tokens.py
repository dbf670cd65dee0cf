"""Tokens of an answer about agreement: words, numbers, marks and line ends."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

from blindspot.answers.text import LETTER, WORD, vocabulary


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    NUMBER = "number"
    MARK = "mark"
    LINE = "line"


class Token(NamedTuple):
    """One token of prepared text."""

    text: str
    kind: Kind
    start: int
    end: int
    value: float | None = None  # of a number in digits or, up to five, as a word


_NUMERALS: Final = {"one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0}
# What a word says of a statement: 1 agrees, 0 is neutral, -1 disagrees.
SIGNS: Final = {
    **dict.fromkeys(("agree", "agreed", "agreeing", "agreement"), 1),
    **dict.fromkeys(("neutral", "undecided", "indifferent", "ambivalent"), 0),
    **dict.fromkeys(("disagree", "disagreed", "disagreeing", "disagreement"), -1),
}
HEDGES: Final = vocabulary("""
    somewhat slightly mildly moderately partially partly partial tentatively weakly kind sort bit
    little
""")
DEGREES: Final = HEDGES | vocabulary("""
    strongly completely totally fully entirely absolutely wholeheartedly definitely certainly
    really truly generally largely mostly mainly basically rather quite very much still also just
    only simply honestly personally respectfully necessarily of a in full total complete strong
""")
SENTENCE_ENDS: Final = frozenset(".!?;")

_MARKUP: Final = frozenset("*_\"'`#~|\\$")  # around an answer ("**4**", "| 4 |"), not part of it
_LONGEST_NUMBER: Final = 6
# Possessive: a million digits in front of a letter are given up at once, not digit by digit.
_TOKEN: Final = re.compile(
    r"(?P<line>\n\s*)"
    rf"|(?P<number>(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)(?!{LETTER}))"
    rf"|(?P<word>{WORD})|(?P<mark>([^\w\s]|_)\5*)"
)
_KINDS: Final = {kind.value: kind for kind in Kind}


def tokenize(prepared: str) -> list[Token]:
    """The tokens of prepared text, without markup. A mark that is repeated is one token."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(prepared):
        kind = _KINDS[match.lastgroup or "mark"]
        text = match.group()
        if kind is Kind.MARK or kind is Kind.LINE:
            text = text[0]
            if text in _MARKUP:
                continue
        value = _NUMERALS.get(text)
        if kind is Kind.NUMBER and len(text) <= _LONGEST_NUMBER:
            value = float(text)
        tokens.append(Token(text, kind, match.start(), match.end(), value))
    return tokens
