"""Ratings from 1 to 5 in an answer.

A number is a rating where it opens the answer, stands alone on its line, follows a word that
gives a rating ("rate", "score", "answer", ...), or is written as "4/5" or "4 out of 5".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from blindspot.answers.scale import cites, joint
from blindspot.answers.text import vocabulary
from blindspot.answers.tokens import SENTENCE_ENDS, Kind, Token

_LOWEST: Final = 1.0
_HIGHEST: Final = 5.0
_CUE_REACH: Final = 6
_FIRM_CUES: Final = vocabulary("""
    rate rated rates rating ratings score scored scoring answer response likert boxed scale
    agreement agree disagree disagreement neutral final option
""")
_CUES: Final = _FIRM_CUES | vocabulary("""
    give giving given say choose chose chosen choice pick picked select selected respond assign
    assigned put go level mark circle between maybe perhaps probably approximately somewhere lean
    leaning toward towards thought
""")
_LEADING: Final = vocabulary("""
    a an solid strong firm clear definite definitely certainly clearly surely absolutely only just
""")
_BESIDE: Final = frozenset({",", ";", "", "or", "and", ", or", ", and", ", no", "or a", "and a"})
_COPULAS: Final = vocabulary("is be are was ? :")
_AFTER_SPELLED: Final = vocabulary("from for on out . , !")  # "it is a five from me"
_FILLERS: Final = vocabulary("a an the about around just only at")
_MAY_FOLLOW: Final = vocabulary("""
    because as since for on out i we this the that and but in to which meaning agree disagree
    neutral neither strongly somewhat slightly mildly partially partly mostly completely totally
    fully point points star stars if due here given based with though although while so it would
    explanation reason reasoning my or at from agreement disagreement when is not
""")
_COUNTED: Final = vocabulary("people percent men women children of")
_NO_PLURALS: Final = vocabulary("is as this was yes has its perhaps points stars hers his")


class Rating(NamedTuple):
    """The values that a rating allows ("3-4" allows two), and the last token of it."""

    values: frozenset[float]
    last: int
    firm: bool  # given as a rating in so many words, not merely a number after "say" or "is"


def find_ratings(tokens: Sequence[Token], aside: bytearray) -> list[Rating]:
    """The ratings among the tokens that are not set aside, in order."""
    finder = _Finder(tokens, aside)
    numbers = [
        index for index, token in enumerate(tokens) if token.value is not None and not aside[index]
    ]
    found: list[Rating] = []
    position = 0
    while position < len(numbers):
        used, rating = finder.read(numbers[position : position + 3], found[-1] if found else None)
        position += used
        if rating is not None:
            found.append(rating)
    return found


class _Finder:
    def __init__(self, tokens: Sequence[Token], aside: bytearray) -> None:
        self._tokens = tokens
        self._aside = aside
        said = [n for n, token in enumerate(tokens) if token.kind in {Kind.WORD, Kind.NUMBER}]
        self._opening = said[0] if said else 0
        self._led = next((n for n in said if tokens[n].text not in _LEADING), 0)

    def read(self, upcoming: Sequence[int], previous: Rating | None) -> tuple[int, Rating | None]:
        """How many of the next numbers belong together, and the rating they form."""
        tokens, index = self._tokens, upcoming[0]
        value = tokens[index].value or 0.0
        firm: bool | None
        if len(upcoming) > 1:
            between = joint(tokens, index, upcoming[1])
            other = tokens[upcoming[1]].value or 0.0
            if between in {"/", "out of"} or (between == "of" and value != _LOWEST):
                if len(upcoming) > 2 and joint(tokens, upcoming[1], upcoming[2]) == "/":
                    return 3, None  # a date
                whole = other == _HIGHEST and _LOWEST <= value <= _HIGHEST
                if whole and not self._counts(upcoming[1]):
                    return 2, Rating(frozenset({value}), upcoming[1], firm=True)
                return 2, None
            if between in {"-", "to", "or", "and"} and abs(other - value) == 1:
                firm = self._given(index, upcoming[1])
                if firm is not None:
                    return 2, Rating(frozenset({value, other}), upcoming[1], firm)
        firm = self._given(index, index) if _LOWEST <= value <= _HIGHEST else None
        if firm is None and previous is not None and _LOWEST <= value <= _HIGHEST:
            listed = joint(tokens, previous.last, index) in _BESIDE  # "4, 2"
            firm = previous.firm if listed and not self._counts(index) else None
        return 1, None if firm is None else Rating(frozenset({value}), index, firm)

    def _counts(self, last: int) -> bool:
        """Whether the number counts things: "5 people"."""
        if last + 1 >= len(self._tokens):
            return False
        after = self._tokens[last + 1]
        plural = after.text[-1] == "s" and after.text not in _NO_PLURALS
        return after.text == "%" or (after.kind is Kind.WORD and (after.text in _COUNTED or plural))

    def _tells_time(self, index: int) -> bool:
        """Whether it is the hour of "3:45"."""
        after = self._tokens[index + 1 : index + 3]
        adjoins = len(after) == 2 and after[1].start == self._tokens[index].end + 1
        return adjoins and after[0].text == ":" and after[1].kind is Kind.NUMBER

    def _given(self, first: int, last: int) -> bool | None:
        """Whether the number here is given as a rating: firmly, loosely, or (None) not."""
        if self._counts(last) or self._tells_time(last) or cites(self._tokens, first):
            return None
        spelled = self._tokens[first].kind is Kind.WORD
        before = self._tokens[first - 1] if first else None
        after = self._tokens[last + 1] if last + 1 < len(self._tokens) else None
        closing = self._line_ends(last + 1)
        if (
            (closing and (before is None or before.kind is Kind.LINE))
            or (first <= self._opening and not spelled)
            or (after is not None and after.text in {"star", "stars"})
            or (first == self._opening and after is not None and after.text in {",", "."})
        ):
            return True
        a_five = spelled and after is not None and after.text in _AFTER_SPELLED
        if (a_five and self._is_a(first)) or (
            closing and before is not None and before.kind is Kind.MARK
        ):
            return False
        described = after is not None and after.kind is Kind.WORD and after.text not in _MAY_FOLLOW
        led = first == self._led and not spelled  # "a solid 4"
        return None if described else led or self._cued(first, spelled=spelled)

    def _is_a(self, index: int) -> bool:
        """Whether the number in words follows "it is a"."""
        before = [token.text for token in self._tokens[max(0, index - 2) : index]]
        return before in (["is", "a"], ["be", "a"])

    def _line_ends(self, index: int) -> bool:
        rest = self._tokens[index : index + 2]
        if rest and rest[0].text in {".", ")", "!", ","}:
            rest = rest[1:]
        return not rest or rest[0].kind is Kind.LINE

    def _cued(self, first: int, *, spelled: bool) -> bool | None:
        """What the words before the number make of it: "I would say 4", "the answer is four"."""
        tokens = self._tokens
        nearest = first - 1
        while nearest >= max(0, first - _CUE_REACH) and tokens[nearest].text in _FILLERS:
            nearest -= 1
        found: bool | None = None
        if nearest >= 0 and tokens[nearest].text in _COPULAS and not spelled:
            found = False
        for index in range(nearest, max(-1, first - 1 - _CUE_REACH), -1):
            token = tokens[index]
            if token.kind is Kind.LINE or (token.text in SENTENCE_ENDS and not self._aside[index]):
                return found
            if token.text in _CUES and (not spelled or nearest - index <= 1):
                found = token.text in _FIRM_CUES
                if found:
                    return True
        return found
