"""The text between two neighbouring mentions, and how closely it binds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from blindspot.answers.mentions import Mention
from blindspot.answers.text import WORD, vocabulary


class Gap(IntEnum):
    """The bond between two neighbouring mentions, from the closest to none."""

    TIGHT = 0  # white space, brackets, quotes, a dash, colon, arrow, bar
    LINK = 1  # words that only tie: "is", "goes to the", "is assigned to"
    COMMA = 2
    AND = 3
    LINE = 4  # a new line, the end of a sentence, a number or bullet of a list
    LOOSE = 5  # a few other words within one sentence
    CHOICE = 6  # "or", a slash between two of a kind
    FAR = 7  # anything else, and every negation


_LINKS: Final = vocabulary("""
    is are was were be being been s as to for with by of in on at into the a an one ones my your
    its this that which it they i we you would should must goes go gets get got give gives given
    take takes taken has have assign assigns assigned associate associates associated pair pairs
    paired match matches matched link links linked connect connects connected relate relates
    related choose chose chosen choice pick picked picks select selected put write wrote written
    say said use used call called label labeled labelled describe described correspond corresponds
    equals equal means mean belongs belong fit fits suits represents describes word words color
    colour colors colours name names identifier term answer person people guy man woman group
    category option item adjective noun typically often usually commonly generally normally always
    most more best better likely clearly definitely probably correctly also respectively each
    first second former latter rightarrow leftarrow longrightarrow mapsto
""")
_ANDS: Final = vocabulary("and while whereas but plus et und")
_ARTICLES: Final = vocabulary("the a an word words")
_CHOICES: Final = vocabulary("or either versus vs oder ou")
_NEGATIONS: Final = vocabulary("not no never neither nor without instead than unlike except")

_LONGEST: Final = 120
_MOST_LOOSE_WORDS: Final = 6
_TAG: Final = re.compile(r"</?[a-z]{1,10}[^<>\n]{0,40}>")
_DENIAL: Final = re.compile(r"\bnot\b[^.;\n]{0,40}?\bbut\b")  # "not white but"
_LEADER: Final = re.compile(r"\.{2,}|_+")
_BLANK: Final = re.compile(r"_{2,}")  # a gap left open, as in a form
_CALL: Final = re.compile(r"\b[a-z_]\w{0,40}\.[a-z_]\w{0,40}\(")  # 'labels.put("wallet", "white")'
_RETURN: Final = re.compile(r":\s{0,40}return\b")  # 'if word == "wallet": return "white"'
_NUMBERING: Final = re.compile(
    r"(?:^|(?<=\s))(?:\(?[0-9]{1,3}[.):]|[a-d][.)](?=\s)|\([a-d0-9]\))|[\u2022*](?=\s)"
)
# What introduces the next of the four: "Answer: white", "Second word: revolver", "B: black".
_HEADING: Final = re.compile(
    r"\A[^\w]*[\n.!?;][^\w]*(?:the )?(?:(?:first|second|[12]|1st|2nd) )?"
    r"(?:word|answer|identifier|label|colou?r|name|choice|match|partner|heading|option|entry|tag|"
    r"box|card|[a-d])(?: ?(?:[0-9]|[a-d]))?(?:[^\w\n]*[:=]| is\b)[^\w]*\Z"
)
_PIECE: Final = re.compile(rf"{WORD}|[^\w\s]")


def gaps_between(text: str, mentions: Sequence[Mention]) -> list[Gap]:
    """The bonds between neighbouring mentions of prepared text."""
    return [_gap(text, left, right) for left, right in pairwise(mentions)]


def without_choices(
    text: str, mentions: Sequence[Mention], gaps: Sequence[Gap]
) -> tuple[list[Mention], list[Gap]]:
    """The mentions and their gaps without mere choices: two of a kind joined by "or"."""
    offered = {
        place
        for index, gap in enumerate(gaps)
        if gap is Gap.CHOICE and mentions[index].is_word == mentions[index + 1].is_word
        for place in (index, index + 1)
    }
    if not offered:
        return list(mentions), list(gaps)
    kept: list[Mention] = []
    bonds: list[Gap] = []
    between = ""
    for index, mention in enumerate(mentions):
        if index and not {index - 1, index} <= offered and len(between) <= _LONGEST:
            between += text[mentions[index - 1].end : mention.start][: _LONGEST + 1]
        if index in offered:
            continue
        if kept:
            far = len(between) > _LONGEST
            whole = kept[-1] is mentions[index - 1]
            bonds.append(gaps[index - 1] if whole else Gap.FAR if far else _classify(between))
        kept.append(mention)
        between = ""
    return kept, bonds


def _gap(text: str, left: Mention, right: Mention) -> Gap:
    if right.start - left.end > _LONGEST:
        return Gap.FAR
    between = text[left.end : right.start]
    gap = _classify(between)
    if gap is Gap.TIGHT and "/" in _TAG.sub("", between) and left.is_word == right.is_word:
        return Gap.CHOICE
    if left.is_word and right.is_word and _BLANK.search(between):
        return max(gap, Gap.LINE)  # the first has nothing written to it, so they share nothing
    return gap


@lru_cache(maxsize=8192)
def _classify(between: str) -> Gap:
    cleaned = _LEADER.sub(" ", _DENIAL.sub(" ", _TAG.sub(" ", _RETURN.sub(":", between))))
    cleaned = _NUMBERING.sub("\n", _CALL.sub("(", cleaned))
    pieces = _PIECE.findall(cleaned)
    words = [piece for piece in pieces if piece[0].isalnum()]
    line = "\n" in cleaned or not {".", "!", "?", ";"}.isdisjoint(pieces)
    if not _NEGATIONS.isdisjoint(words) or any(word.endswith("n't") for word in words):
        return Gap.FAR
    if not _CHOICES.isdisjoint(words):
        return Gap.CHOICE if len(words) <= 2 and not line else Gap.FAR
    if line:
        return Gap.FAR if words and not _HEADING.search(cleaned) else Gap.LINE
    if not words:
        return _of_marks(pieces)
    return _of_words(words, comma="," in pieces)


def _of_marks(pieces: list[str]) -> Gap:
    if "," in pieces:
        return Gap.COMMA
    return Gap.AND if "&" in pieces else Gap.TIGHT


def _of_words(words: list[str], *, comma: bool) -> Gap:
    others = [word for word in words if word not in _ARTICLES]
    if comma and not others:
        return Gap.COMMA
    if all(word in _LINKS or word in _ANDS for word in others):
        return Gap.LINK if _ANDS.isdisjoint(others) else Gap.AND
    return Gap.LOOSE if len(words) <= _MOST_LOOSE_WORDS else Gap.FAR
