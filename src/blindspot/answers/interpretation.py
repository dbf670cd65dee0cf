"""Reading a description of a word: does it speak of the group, of the literal sense, of both?

The rules:

* A stem counts where a word begins with it, whatever the case: "ethnic" in "multi-ethnicity", not
  in "multiethnic". A stem with a full stop behind it is a whole word: "origin." is not in
  "original". In scripts without spaces between words any place is the beginning of one.
* Stems of several words are phrases; a hyphen or a line end joins their words as a space does.
* If several stems begin at the same place, the longest counts and consumes its text: with
  the stems "people of color" and "color", "people of color" speaks of the first alone.
* Nothing is weighted: one stem of a sense is enough, and a negated one counts too ("color, not
  origin" speaks of both).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from blindspot.answers.text import LETTER, fold, unspaced


class InterpretedSense(StrEnum):
    """What a description of a word speaks of."""

    GROUP = "group"
    LITERAL = "literal"
    BOTH = "both"
    NEITHER = "neither"


_OF_SENSES: Final = {
    frozenset(): InterpretedSense.NEITHER,
    frozenset({0}): InterpretedSense.GROUP,
    frozenset({1}): InterpretedSense.LITERAL,
    frozenset({0, 1}): InterpretedSense.BOTH,
}
_JOINT: Final = re.compile(r"[\s\-]+")
_LETTER: Final = re.compile(LETTER)
_MOST_JOINTS: Final = 4  # characters between two words of a phrase


def read_interpretation(
    text: str, *, group: Sequence[str], literal: Sequence[str]
) -> InterpretedSense:
    """What a text speaks of, by the stems of the two senses. A stem of both counts for both."""
    lexicon = _lexicon(tuple(group), tuple(literal))
    if not lexicon.senses:
        return InterpretedSense.NEITHER
    folded = fold(text)
    found: frozenset[int] = frozenset()
    for match in lexicon.pattern.finditer(folded):
        found |= lexicon.senses_of(match, folded)
        if len(found) == len(("group", "literal")):
            break
    return _OF_SENSES[found]


def stems_in(text: str, stems: Sequence[str]) -> list[str]:
    """The stems that occur in a text, each searched for on its own, in their order."""
    if read_interpretation(text, group=stems, literal=()) is InterpretedSense.NEITHER:
        return []
    return [
        stem
        for stem in stems
        if read_interpretation(text, group=(stem,), literal=()) is InterpretedSense.GROUP
    ]


class _Stem(NamedTuple):
    spelling: str
    whole: bool

    @property
    def pattern(self) -> str:
        joint = rf"[\s\-]{{1,{_MOST_JOINTS}}}"
        body = joint.join(re.escape(word) for word in self.spelling.split(" "))
        return body + (f"(?!{LETTER})" if self.whole else "")


class _Lexicon(NamedTuple):
    """The pattern that finds all stems, and the senses of each."""

    pattern: re.Pattern[str]
    senses: dict[_Stem, frozenset[int]]

    def senses_of(self, match: re.Match[str], text: str) -> frozenset[int]:
        """The senses of a match; a stem without a stop also matches the whole word."""
        stem = _Stem(_JOINT.sub(" ", match.group()), whole=False)
        found = self.senses.get(stem, frozenset())
        if not _LETTER.match(text, match.end()):
            found |= self.senses.get(stem._replace(whole=True), frozenset())
        return found


@lru_cache(maxsize=1024)
def _lexicon(group: tuple[str, ...], literal: tuple[str, ...]) -> _Lexicon:
    senses: dict[_Stem, frozenset[int]] = {}
    for sense, stems in enumerate((group, literal)):
        for stem in filter(None, map(_read_stem, stems)):
            senses[stem] = senses.get(stem, frozenset()) | {sense}
    longest_first = sorted(senses, key=lambda stem: (-len(stem.spelling), stem))
    # Separate spaced scripts, whose stems are tried only where a word begins.
    spaced = [stem for stem in longest_first if not unspaced(stem.spelling[0])]
    other = [stem.pattern for stem in longest_first if unspaced(stem.spelling[0])]
    initials = "".join(sorted({re.escape(stem.spelling[0]) for stem in spaced}))
    begun = f"(?<!{LETTER})(?=[{initials}])(?:{'|'.join(stem.pattern for stem in spaced)})"
    return _Lexicon(re.compile("|".join([begun] * bool(spaced) + other)), senses)


def _read_stem(stem: str) -> _Stem | None:
    folded = fold(stem).strip()
    spelling = _JOINT.sub(" ", folded.rstrip(".")).strip()
    if not spelling:
        return None
    return _Stem(spelling, folded.endswith(".") and not unspaced(spelling[-1]))
