"""Which word goes with which identifier: the cheapest way to pair up neighbouring mentions.

The mentions of an answer are cut, left to right, into blocks: a pair with a close bond ("wallet -
white"), two pairs in the same loose form ("wallet, white; revolver, black"), two lists side by
side ("wallet and revolver are white and black"), or a single mention. Alternation decides, not
nearness: of all ways to cut, the one that leaves the fewest single mentions wins, and among those
the one with the closest bonds. So "wallet white revolver black" never reads "white revolver".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from blindspot.answers.gaps import Gap, gaps_between, without_choices
from blindspot.answers.mentions import Mention


class Assignment(NamedTuple):
    """One identifier given to one word."""

    word: int
    identifier: int
    start: int
    end: int
    certain: bool = True  # bound by form, not merely by being in one sentence
    listed: bool = False  # one of several given at once: "white: wallet, revolver"


class _Block(Enum):
    """A run of mentions that belong together."""

    ALONE = "alone"
    PAIR = "pair"
    TWICE = "twice"
    LISTS = "lists"


_SIZE: Final = {_Block.ALONE: 1, _Block.PAIR: 2, _Block.TWICE: 4, _Block.LISTS: 4}
_COST_ALONE: Final = 20
_COST_PAIR: Final = {Gap.TIGHT: 0, Gap.LINK: 1, Gap.LOOSE: 8}
_COST_TWICE: Final = 6
_COST_LISTS: Final = 3
_LOOSENESS: Final = {Gap.TIGHT: 0, Gap.LINK: 1, Gap.COMMA: 2, Gap.AND: 2, Gap.LINE: 3}
_WITHIN: Final = frozenset({*_LOOSENESS, Gap.LOOSE})
_JOINS: Final = frozenset({Gap.COMMA, Gap.AND, Gap.TIGHT})  # within a list
_TIES: Final = (":", "=", "|", ">", "\u2192", "\u21d2", " - ")


def assignments(text: str, found: Sequence[Mention]) -> list[Assignment]:
    """The assignments that prepared text makes, in its order. Linear in the number of mentions."""
    mentions, gaps = without_choices(text, found, gaps_between(text, found))
    cut = _Cut(text, mentions, gaps)
    made: list[Assignment] = []
    for start, block in cut.blocks:
        if block is _Block.PAIR:
            made.extend(_pair_with_neighbours(mentions, gaps, cut.alone, start))
        elif block is _Block.TWICE:
            made.append(_assign(mentions[start], mentions[start + 1]))
            made.append(_assign(mentions[start + 2], mentions[start + 3]))
        elif block is _Block.LISTS:
            made.append(_assign(mentions[start], mentions[start + 2], listed=True))
            made.append(_assign(mentions[start + 1], mentions[start + 3], listed=True))
    return made


class _Cut:
    """The cheapest cut of the mentions into blocks, found from the right end to the left."""

    def __init__(self, text: str, mentions: Sequence[Mention], gaps: Sequence[Gap]) -> None:
        self._text = text
        self._mentions = mentions
        self._gaps = gaps
        names = {(mention.is_word, mention.which) for mention in mentions}
        self._each_once = len(mentions) == len(names) == 4
        best = self._cheapest()
        self.blocks: list[tuple[int, _Block]] = []  # with the index of the first mention
        self.alone = bytearray(len(mentions))
        start = 0
        while start < len(mentions):
            self.blocks.append((start, best[start]))
            self.alone[start] = best[start] is _Block.ALONE
            start += _SIZE[best[start]]

    def _cheapest(self) -> list[_Block]:
        """The block to begin at each mention, if one begins there."""
        count = len(self._mentions)
        best = [_Block.ALONE] * count
        cost = [0] * (count + 1)
        for start in range(count - 1, -1, -1):
            cost[start] = _COST_ALONE + cost[start + 1]
            for block, price in self._options(start):
                total = price + cost[start + _SIZE[block]]
                if total <= cost[start]:  # "<=": of two equal cuts, the one that pairs further left
                    cost[start] = total
                    best[start] = block
        return best

    def _options(self, start: int) -> Iterator[tuple[_Block, int]]:
        four = self._mentions[start : start + 4]
        if len(four) < 2:
            return
        if len(four) == 4:
            kinds = [mention.is_word for mention in four]
            if kinds[0] == kinds[2] != kinds[1] == kinds[3] and self._alike(start):
                yield _Block.TWICE, _COST_TWICE
            if kinds[0] == kinds[1] != kinds[2] == kinds[3] and self._in_order(start):
                yield _Block.LISTS, _COST_LISTS
        if four[0].is_word != four[1].is_word and self._gaps[start] in _COST_PAIR:
            yield _Block.PAIR, _COST_PAIR[self._gaps[start]]

    def _alike(self, start: int) -> bool:
        """Two pairs, each loosely bound, and no closer bond from the one pair to the other.

        Where the text names each of the four once, only their order counts.
        """
        gaps = self._gaps[start : start + 3]
        if self._each_once:
            return gaps[0] in _WITHIN and gaps[2] in _WITHIN
        first, middle, second = map(_LOOSENESS.get, gaps)
        if first is None or second is None:
            return False
        return (
            middle is not None
            and middle >= max(first, second)
            and (first == second or first < _LOOSENESS[Gap.COMMA])
        )

    def _in_order(self, start: int) -> bool:
        """Two of one kind, a tie, two of the other: the first goes with the first."""
        one, two, three, four = self._mentions[start : start + 4]
        first, middle, second = self._gaps[start : start + 3]
        joins = _JOINS | {Gap.LINK}
        if one.which == two.which or three.which == four.which or not {first, second} <= joins:
            return False
        between = self._text[two.end : three.start]
        if middle is Gap.LINE:  # the two rows of a table
            rows = (between, self._text[one.end : two.start], self._text[three.end : four.start])
            return all("|" in row for row in rows)
        if self._text[four.end : four.end + 20].lstrip(" ,(\"'").startswith("respectively"):
            return middle in _LOOSENESS
        return middle is Gap.LINK or (middle is Gap.TIGHT and any(tie in between for tie in _TIES))


def _assign(
    left: Mention, right: Mention, certain: bool = True, listed: bool = False
) -> Assignment:
    word, identifier = (left, right) if left.is_word else (right, left)
    end = max(left.end, right.end)
    return Assignment(word.which, identifier.which, left.start, end, certain, listed)


def _pair_with_neighbours(
    mentions: Sequence[Mention], gaps: Sequence[Gap], alone: bytearray, start: int
) -> Iterator[Assignment]:
    """A pair, and what is listed with it: "white: wallet, revolver" gives white to both."""
    end = start + 1
    certain = gaps[start] is not Gap.LOOSE
    listed = [
        _assign(mentions[neighbour], mentions[partner], certain, listed=True)
        for neighbour, beside, gap, partner in (
            (start - 1, start, start - 1, end),
            (end + 1, end, end, start),
        )
        if 0 <= neighbour < len(mentions)
        and alone[neighbour]
        and mentions[neighbour].is_word == mentions[beside].is_word
        and mentions[neighbour].which != mentions[beside].which
        and gaps[gap] in _JOINS
    ]
    yield _assign(mentions[start], mentions[end], certain, listed=bool(listed))
    yield from listed
