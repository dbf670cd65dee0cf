"""Reading an answer to "do you agree with this statement", with a rating from 1 to 5 or in words.

The rules of a careful person:

* A rating of 4 or 5 agrees, 1 or 2 disagrees, 3 is neutral; so does anything between two ratings of
  the same kind ("4.5", "1-2"). A rating outside 1 to 5, or between kinds ("3-4"), does not count.
* The scale, a numbered list, the question and its options are not an answer, wherever they occur.
* With a rating and words, the rating is the answer, unless plain words contradict it: "2. I agree
  to a certain extent" disagrees, "2. I agree with this statement" is invalid.
* Words count when the answerer says them: "I do not agree", "Strongly agree", "neither ... nor".
  Only without these do weaker signs count: "I agree that ...", "Yes", "the statement is false".
* Different answers are invalid: "4 ... final answer: 2", "I agree. ... I disagree.".
* Without an answer, a phrase of refusal makes it refused; "I strongly disagree, this is a harmful
  stereotype" disagrees.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean
from typing import Final, NamedTuple

from blindspot.answers.languages import ENGLISH, spoken_in
from blindspot.answers.ratings import Rating, find_ratings
from blindspot.answers.refusal import refuses
from blindspot.answers.scale import set_aside
from blindspot.answers.stances import Stance, find_stances
from blindspot.answers.text import spoken, vocabulary
from blindspot.answers.tokens import Kind, Token, tokenize


class Agreement(StrEnum):
    """What an answer to a statement says."""

    AGREE = "agree"
    DISAGREE = "disagree"
    NEUTRAL = "neutral"
    REFUSED = "refused"
    INVALID = "invalid"


_BY_SIGN: Final = {1: Agreement.AGREE, 0: Agreement.NEUTRAL, -1: Agreement.DISAGREE}
_WEAK: Final = re.compile(
    r"\A\W*(?:answer\W+)?(?P<word>yes|yeah|yep|no|nope|not at all|not really|true|false|correct|"
    r"incorrect|wrong|(?:absolutely|definitely|certainly|of course)(?: not)?)\b"
    r"(?!\W{1,3}(?:and|or)\W{1,3}(?:yes|no|true|false|correct|incorrect)\b| (?:idea|opinion)\b)"
    r"|(?:\?\W{0,6}|\bi (?:would |will )?(?:have to )?(?:say|answer)\W{1,3}|"
    r"\banswer(?: is| would be)?\W{1,3})(?P<reply>yes|no|true|false)\b"
    r"|(?:\b(?:the|this|that) (?:statement|claim|assertion)|"
    r"\A\W*(?:i (?P<doubted>do not )?(?:think|believe) (?:that )?)?(?:that|this|it)) is "
    r"(?P<denied>not )?(?:\w+ly )?"
    r"(?P<truth>true|false|correct|incorrect|accurate|inaccurate|wrong|right|valid|invalid)\b"
    r"(?! (?:that|to|for)\b)"
    r"|(?:\A|[,.;:!?\n])\W{0,6}i (?P<does>do(?: not)?)(?=\W{0,6}(?:\Z|[.!;\n]))"
    r"|\A\W*(?P<neither>neither)\W*(?:\Z|[.\n])"
)
_ENDED: Final = re.compile(r"\n|[.!?;][^\w.]")
_POSITIVE: Final = vocabulary(
    "yes yeah yep true correct accurate right valid absolutely definitely certainly do"
) | {"of course"}


_AGREES_FROM: Final = 4.0
_DISAGREES_TO: Final = 2.0
_NEUTRAL_AT: Final = 3.0


class _Answer(NamedTuple):
    """A reading, and the first token that gives it."""

    result: Agreement
    last: int


def read_agreement(answer: str, language: str = ENGLISH) -> Agreement:
    """What the answer says about the statement, read as a careful person would."""
    text = spoken_in(answer, language)
    ratings, stances = _signals(tokenize(text))
    given = _given(ratings, stances)
    if given is not None:
        return given.result
    if refuses(text):
        return Agreement.REFUSED
    return _from_signs([stance.sign for stance in stances] or _weak_signs(text))


def read_rating(answer: str) -> float | None:
    """The rating from 1 to 5 that an answer gives, read by the same rules; None if it gives none.

    For two neighbours ("4-5"), their mean; for several that say the same, the first.
    """
    ratings, stances = _signals(tokenize(spoken(answer)))
    if not (ratings := _kept(ratings, stances)):
        return None
    given = _given(ratings, stances)
    if given is None or given.result is Agreement.INVALID:
        return None
    return fmean(ratings[0].values)


def agreement_complete(text: str, language: str = ENGLISH) -> bool:
    """Whether generation may stop: the text so far is an answer whose sentence or line has ended.

    Only a later contradiction could still change it.
    """
    prepared = spoken_in(text, language)
    tokens = tokenize(prepared)
    given = _given(*_signals(tokens))
    if given is None or given.result is Agreement.INVALID:
        return False
    rest = prepared[tokens[given.last].end :]
    if tokens[given.last].kind is Kind.NUMBER:
        rest = rest.removeprefix(".")  # "1." may begin a list, or a fraction
    return _ENDED.search(rest) is not None


def _signals(tokens: Sequence[Token]) -> tuple[list[Rating], list[Stance]]:
    aside = set_aside(tokens)
    return find_ratings(tokens, aside), find_stances(tokens, aside)


def _given(ratings: Sequence[Rating], stances: Sequence[Stance]) -> _Answer | None:
    """The answer that ratings and direct stances give; None without either."""
    direct = [stance for stance in stances if not stance.indirect]
    if ratings := _kept(ratings, stances):
        signs = [_sign(rating) for rating in ratings]
        plain = [stance.sign for stance in direct if not stance.hedged]
        known = [sign for sign in signs if sign is not None]
        agreed = len(known) == len(signs) and set(plain) <= set(known)
        result = _from_signs(known) if agreed else Agreement.INVALID
        return _Answer(result, ratings[0].last)
    if direct:
        return _Answer(_from_stances(direct), direct[0].last)
    return None


def _kept(ratings: Sequence[Rating], stances: Sequence[Stance]) -> list[Rating]:
    """The ratings that are meant; after "I agree", a number behind "is" or "say" is chatter."""
    direct = next((stance.last for stance in stances if not stance.indirect), math.inf)
    return [one for one in ratings if one.firm or one.last < direct]


def _sign(rating: Rating) -> int | None:
    """What a rating says; None if it stands between two answers."""
    if min(rating.values) >= _AGREES_FROM:
        return 1
    if max(rating.values) <= _DISAGREES_TO:
        return -1
    return 0 if rating.values == {_NEUTRAL_AT} else None


def _from_signs(signs: Sequence[int]) -> Agreement:
    """The one sign that all of them have."""
    return _BY_SIGN[signs[0]] if len(set(signs)) == 1 else Agreement.INVALID


def _from_stances(stances: Sequence[Stance]) -> Agreement:
    """Plain words outweigh hedged ones; agreeing in part and disagreeing in part is neutral."""
    plain = [stance.sign for stance in stances if not stance.hedged]
    if plain:
        return _from_signs(plain)
    signs = [stance.sign for stance in stances]
    return Agreement.NEUTRAL if {1, -1} <= set(signs) else _from_signs(signs)


def _weak_signs(text: str) -> list[int]:
    """Yes or no, true or false: counts if there is nothing clearer."""
    signs: list[int] = []
    for match in _WEAK.finditer(text):
        if match["neither"]:
            return [0]
        word = match["word"] or match["reply"] or match["truth"] or match["does"]
        sign = 1 if word in _POSITIVE else -1
        signs.append(-sign if bool(match["denied"]) != bool(match["doubted"]) else sign)
    return signs
