"""Agreement in words: whose it is, whether it is negated, hedged, or only part of a question.

"I do not agree" is a stance; so is a bare "Strongly agree". "Do you agree or disagree", "many
people agree" and the options of a question are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from blindspot.answers.text import vocabulary
from blindspot.answers.tokens import DEGREES, HEDGES, SENTENCE_ENDS, SIGNS, Kind, Token


class Stance(NamedTuple):
    """One statement of agreement (1), neutrality (0) or disagreement (-1)."""

    sign: int
    last: int  # the last token of it
    hedged: bool  # "somewhat", "to a certain extent"
    indirect: bool  # agreement that something is so, rather than with the statement


_REACH: Final = 10  # tokens that are looked at in front
_NEXT: Final = 8  # and behind
_OPTIONS: Final = 3  # so many bare options in a row are the question's
_ANSWERERS: Final = vocabulary("i we me")
_OTHERS: Final = vocabulary("""
    you they he she people who someone anyone everyone others many most some few one if whether
    extent unless when how why which what
""")
_CONDITIONS: Final = vocabulary("if whether unless when why how")
_ASKING: Final = vocabulary("do should would did")
_DOUBTS: Final = vocabulary("sure certain")
_REPORTING: Final = vocabulary("told asked tells asks")
_ADVISING: Final = vocabulary("advise recommend suggest urge")
_NEGATIONS: Final = vocabulary("not never longer hardly barely scarcely nor neither")
_UNWILLING: Final = vocabulary("unable refuse hard difficult impossible")  # "... to agree"
_FULLY: Final = vocabulary("""
    strongly completely totally fully entirely absolutely wholeheartedly necessarily quite really
    always generally
""")
_CARRIERS: Final = vocabulary("""
    do does did would will must have to tend can could should may might am is are be been was feel
    think say believe guess suppose state admit find it that this and but so then as my answer
    response question opinion choice position stance choose select pick option go with put mark
    check rating inclined going able more less like than on the whole final correct best part yes
    no remain remaining stay staying strive aim myself me for bring view any way lean leaning advise
    recommend suggest urge wait actually hmm hm well okay ok oh um uh sorry alright yeah yep sure
    nope course
""")
_THINKING: Final = vocabulary("think believe feel say")
_STILL: Final = vocabulary("remain remaining stay staying strive aim")
_CARRYING: Final = DEGREES | _NEGATIONS | _UNWILLING | _CARRIERS
_OPENERS: Final = frozenset("(:-=>[]{")
_EMPTY_BOXES: Final = frozenset("\u2610\u25a1\u25a2")
_ASKED: Final = frozenset("?:")  # ends the options: "Agree or disagree? Agree."
_EITHER: Final = vocabulary("or nor / and")
_ITSELF: Final = vocabulary("statement claim assertion")
_NEUTRAL_ABOUT: Final = vocabulary("""
    about on to toward towards regarding here with in because as stance position opinion and but
    since i so response answer rating
""")
_OPINIONS: Final = vocabulary("opinion view belief position sentiment")
_EXTENT: Final = vocabulary("extent degree part point partially somewhat partly")
_NOUNS: Final = vocabulary("agreement disagreement")
_YES: Final = {"yes": 1, "true": 1, "no": -1, "false": -1, "x": 1}


def find_stances(tokens: Sequence[Token], aside: bytearray) -> list[Stance]:
    """The stances among the tokens that are not set aside, in order."""
    spots = [
        index
        for index, token in enumerate(tokens)
        if not aside[index] and (token.text in SIGNS or _shares(tokens, index))
    ]
    return list(_read_all(tokens, _without_options(tokens, spots)))


def _shares(tokens: Sequence[Token], index: int) -> bool:
    """Whether the answerer speaks of sharing an opinion: "I do not share it"."""
    if tokens[index].text != "share":
        return False
    after = [token.text for token in tokens[index + 1 : index + 5]]
    shared = after[:1] == ["it"] and after[1:2] != ["with"]
    return (shared or not _OPINIONS.isdisjoint(after)) and not _ANSWERERS.isdisjoint(
        token.text for token in _in_front(tokens, index)
    )


def _sign(token: Token) -> int:
    return SIGNS.get(token.text, 1)  # who shares an opinion agrees with it


def _without_options(tokens: Sequence[Token], spots: Sequence[int]) -> list[int]:
    """Without a row of bare options ("strongly disagree, disagree, neutral, ...")."""
    kept: list[int] = []
    start = 0
    for position in range(1, len(spots) + 1):
        if position < len(spots) and all(
            (token.kind is not Kind.WORD and token.text not in _ASKED)
            or token.text in DEGREES
            or token.text in _EITHER
            for token in tokens[spots[position - 1] + 1 : spots[position]][:_NEXT]
        ):
            continue
        row = spots[start:position]
        if len(row) < _OPTIONS or len({_sign(tokens[index]) for index in row}) == 1:
            kept.extend(row)
        start = position
    return kept


def _read_all(tokens: Sequence[Token], spots: Sequence[int]) -> Iterator[Stance]:
    position = 0
    while position < len(spots):
        index = spots[position]
        position += 1
        if position < len(spots) and _alternatives(tokens, index, spots[position]):
            both = _both(tokens, index, spots[position])
            if both is not None:
                yield both
            position += 1
            continue
        stance = _read(tokens, index)
        if stance is not None:
            yield stance


def _alternatives(tokens: Sequence[Token], one: int, other: int) -> bool:
    """Whether two opposite words stand side by side: "agree or disagree"."""
    return (
        _sign(tokens[one]) * _sign(tokens[other]) < 0
        and other - one <= 3
        and any(token.text in _EITHER for token in tokens[one:other])
    )


def _both(tokens: Sequence[Token], one: int, other: int) -> Stance | None:
    """Neutral for "neither agree nor disagree"; no stance for "agree or disagree"."""
    words = {token.text for token in _in_front(tokens, one)}
    if not words.isdisjoint(_OTHERS) or ("not" in words and not words.isdisjoint({"can", "could"})):
        return None
    joined = any(token.text == "and" for token in tokens[one:other])
    if not words.isdisjoint(_NEGATIONS) or (joined and not words.isdisjoint(_ANSWERERS)):
        return Stance(0, other, hedged=False, indirect=False)
    return None


def _in_front(tokens: Sequence[Token], index: int) -> list[Token]:
    """What precedes a word in its sentence, nearest first."""
    front: list[Token] = []
    for before in range(index - 1, max(-1, index - 1 - _REACH), -1):
        token = tokens[before]
        if token.kind is Kind.LINE or token.text in SENTENCE_ENDS:
            break
        front.append(token)
    return front


def _read(tokens: Sequence[Token], index: int) -> Stance | None:
    """The stance at this token, if the answer takes it."""
    said = _said(_in_front(tokens, index))
    after = [token.text for token in tokens[index + 1 : index + 1 + _NEXT]]
    if said is None or after[:1] == ["?"]:
        return None
    if tokens[index].text in _NOUNS and "in" not in said and not _alone(after):
        return None  # "the agreement was signed"
    sign = _sign(tokens[index])
    if sign == 0:
        return _neutral(said, after, index)
    hedged = not HEDGES.isdisjoint(said) or _hedged_after(after)
    if _denials(said) % 2:
        hedged = hedged or not _FULLY.isdisjoint(said)
        if after[:1] != ["more"]:  # "I could not agree more"
            sign = -sign
    elif after[:1] == [":"] and len(after) > 1:
        sign *= _YES.get(after[1], 1)
    indirect = after[:1] == ["that"] and _ITSELF.isdisjoint(after[1:2])
    return Stance(sign, index, hedged, indirect)


def _alone(after: Sequence[str]) -> bool:
    """Whether nothing is said of a noun: "Full agreement.", "Agreement: yes"."""
    if after[:1] == [":"]:
        return not _YES.keys().isdisjoint(after[1:2])
    return not after or after[0] in {*SENTENCE_ENDS, "\n", "with", ")", ","}


def _said(front: Sequence[Token]) -> list[str] | None:
    """The words that carry a stance, nearest first; None if it is a question or someone else's."""
    said: list[str] = []
    for position, token in enumerate(front):
        text = token.text
        before = [one.text for one in front[position + 1 : position + 5]]
        if text in _ANSWERERS and before[:1] != ["for"]:  # "hard for me to agree" goes on
            return _answerers(said, before)
        if text == "you" and ("should" in said or not _ADVISING.isdisjoint(before[:1])):
            continue  # asked what to do, the answerer says it of the one who asked
        if text in _EMPTY_BOXES or (text == "]" and before[:1] == ["["]):
            return None
        letter = len(text) == 1 and text.isalpha() and text not in DEGREES  # of an option
        if token.kind is Kind.NUMBER or text in _OPENERS or text in SIGNS or letter:
            break
        if token.kind is Kind.WORD:
            if text in _OTHERS or text not in _CARRYING:
                return None
            said.append(text)
    return said


def _denials(said: Sequence[str]) -> int:
    """How many of the words that carry a stance, nearest first, negate it."""
    denying = _NEGATIONS | _UNWILLING if "to" in said else _NEGATIONS
    return sum(word in denying for word in said)


def _answerers(said: list[str], before: Sequence[str]) -> list[str] | None:
    """What the answerer says after "I"; None for "if I ..." and "do I ..."."""
    if before and (before[0] in _CONDITIONS | _ASKING or not _REPORTING.isdisjoint(before)):
        return None
    doubted = before[1:2] if before[:1] == ["that"] else before[:1]  # "not certain that I agree"
    if not _DOUBTS.isdisjoint(doubted) and not _NEGATIONS.isdisjoint(before):
        return None
    denied = "not" in before and not _THINKING.isdisjoint(before)  # "I do not think I ..."
    denied = denied or before[:2] == ["way", "no"]
    return [*said, "not"] if denied else said


def _neutral(said: Sequence[str], after: Sequence[str], index: int) -> Stance | None:
    """Neutral for "I am neutral"; no stance for "neutral colors" or "not neutral"."""
    if not _NEGATIONS.isdisjoint(said):
        return None
    if after and after[0].isalpha() and after[0] not in _NEUTRAL_ABOUT:
        return None
    return Stance(0, index, hedged=False, indirect=not _STILL.isdisjoint(said))


def _hedged_after(after: Sequence[str]) -> bool:
    """Whether what follows limits it: "with the statement to a certain extent"."""
    for position, word in enumerate(after):
        if word in SENTENCE_ENDS or word == "\n":
            return False
        if word in _EXTENT and (position == 0 or after[position - 1] != "the"):
            return True
    return False
