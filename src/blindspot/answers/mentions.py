"""Where an answer names the two words and the two identifiers of its prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Final, NamedTuple

from blindspot.answers.languages import ENGLISH, forms, in_english
from blindspot.answers.text import (
    LETTER,
    continues_word,
    is_letter,
    prepare,
    unspaced,
    vocabulary,
)

Key = tuple[
    bool, int
]  # whether it is a word; 0 for the positive one of its pair, 1 for the negative


class Mention(NamedTuple):
    """One word or identifier in prepared text."""

    is_word: bool
    which: int  # 0 is the positive word or the identifier stereotyped as positive, 1 the negative
    start: int
    end: int


_KEYS: Final[tuple[Key, ...]] = ((True, 0), (True, 1), (False, 0), (False, 1))
_WINDOW: Final = 12  # characters around a name that decide whether it is one
_MODALS: Final = vocabulary("will can may might must shall would do")
_BEFORE_MODAL: Final = re.compile(
    r"(?:^|[^\w])(?:i|you|we|they|it|he|she|that|this|which|who|there|these|those) $"
)
_AFTER_MODAL: Final = re.compile(r" (?:be|have|go|get|also|not|now|then|only|always)\b")
_BEFORE_DENIED: Final = re.compile(r"\bnot\s(?:the\s|an?\s)?[\"'(*]?$")
_AFTER_DENIED: Final = re.compile(r"\W{1,4}but\b")

_LAST_WORD: Final = re.compile(rf"(?<!\w)(?:{LETTER})+$")
_LONGEST_WORD: Final = 64
_LEAST_CUT_OFF: Final = 3
_OPEN_CHOICE: Final = re.compile(
    rf"\W{{1,3}}o(?:r\b\W{{0,3}}((?:{LETTER}){{0,{_LONGEST_WORD}}}))?\Z"
)
_OTHER: Final = re.compile(
    r"\bthe (?:other|remaining)(?: (?:(?P<word>word|item|object)|one|"
    r"(?P<identifier>label|colou?r|name|identifier|option|card|tag|box|heading|entry|partner)))?\b"
)
_JOINT: Final = re.compile(r"[\s\-]+")


@dataclass(frozen=True)
class Targets:
    """The spellings of two words and two identifiers, the longest first, and what each means."""

    spellings: tuple[str, ...]
    meanings: dict[str, tuple[Key, ...]]
    identifiers: tuple[str, str]

    def mentions(self, text: str) -> list[Mention]:
        """All mentions in prepared text, in order."""
        if not self.spellings:
            return []
        found: list[Mention] = []
        for start, end in spans(self.spellings, text):
            spelling = _squeeze(text[start:end])
            if (
                continues_word(text, end)
                or (spelling in _MODALS and _is_modal(text, start, end))
                or _is_denied(text, start, end)
            ):
                continue
            for is_word, which in self.meanings[spelling]:
                found.append(Mention(is_word, which, start, end))
        return _with_the_other(text, self._without_open_choice(text, found) + self._cut_off(text))

    def _without_open_choice(self, text: str, found: list[Mention]) -> list[Mention]:
        """Without the last identifier where the text breaks off behind "black or"."""
        if not found or found[-1].is_word:
            return found
        rest = _OPEN_CHOICE.match(text, found[-1].end)
        other = self.identifiers[1 - found[-1].which]
        return found[:-1] if rest is not None and other.startswith(rest[1] or "") else found

    def _cut_off(self, text: str) -> list[Mention]:
        """The start of one identifier that ends the text: "revolver - Jam" for "Jamel"."""
        match = _LAST_WORD.search(text, max(0, len(text) - _LONGEST_WORD))
        if match is None or match.group() in self.meanings or len(match.group()) < _LEAST_CUT_OFF:
            return []
        begun = [
            which
            for which, identifier in enumerate(self.identifiers)
            if identifier.startswith(match.group())
        ]
        return [Mention(False, begun[0], *match.span())] if len(begun) == 1 else []


def spans(spellings: Sequence[str], text: str) -> Iterator[tuple[int, int]]:
    """Where the spellings occur: leftmost first; of several at one place, the first listed.

    A single pattern of alternatives would find the same. But there is one for each combination of
    word pair and identifier pair, and compiling it takes longer than reading an answer; single
    spellings are few, and fewer still in a text.
    """
    present = [
        s for s in spellings if s in text or (" " in s and all(part in text for part in s.split()))
    ]
    found = [(pattern, pattern.search(text)) for pattern in map(_pattern, present)]
    while matches := [(pattern, match) for pattern, match in found if match is not None]:
        start, end = min((match.span() for _, match in matches), key=itemgetter(0))
        yield start, end
        found = [
            (pattern, match if match.start() >= end else pattern.search(text, end))
            for pattern, match in matches
        ]


@lru_cache(maxsize=4096)
def _pattern(spelling: str) -> re.Pattern[str]:
    return re.compile(_bounded(spelling))


@lru_cache(maxsize=4096)
def targets(
    identifiers: tuple[str, str], words: tuple[str, str], language: str = ENGLISH
) -> Targets:
    """The targets of a prompt; none if two of its names differ only in case.

    A name counts with the endings of its language too, unless a form is as near to another name.
    """
    names = {
        (is_word, which): _prepared(name, language)
        for is_word, pair in ((True, words), (False, identifiers))
        for which, name in enumerate(pair)
    }
    folded = (names[False, 0], names[False, 1])
    if len(set(names.values())) < len(names) or not all(names.values()):
        return Targets((), {}, folded)
    meanings = _joined(names) | _inflected(names, language)
    meanings |= {name: (key,) for key, name in names.items()}
    longest_first = sorted(meanings, key=lambda name: (-len(name), name))
    return Targets(tuple(longest_first), meanings, folded)


@lru_cache(maxsize=4096)
def _prepared(name: str, language: str) -> str:
    """A name, prepared like the text of an answer."""
    return _squeeze(in_english(prepare(name), language).strip())


def _inflected(names: dict[Key, str], language: str) -> dict[str, tuple[Key, ...]]:
    """The names with endings; a form as near to one name as to another means neither."""
    found: dict[str, tuple[int, tuple[Key, ...]]] = {}
    for key, name in names.items():
        for form, distance in forms(name, language).items():
            nearest, keys = found.get(form, (distance, ()))
            if distance <= nearest:
                found[form] = distance, (*(keys if distance == nearest else ()), key)
    return {form: keys for form, (_, keys) in found.items() if len(keys) == 1}


def _joined(names: dict[Key, str]) -> dict[str, tuple[Key, ...]]:
    """A word and an identifier written as one, in either order: "walletWhite"."""
    joined: dict[str, tuple[Key, ...]] = {}
    ambiguous: set[str] = set()
    for word, identifier in product((0, 1), (0, 1)):
        pair: tuple[Key, Key] = ((True, word), (False, identifier))
        for left, right in (pair, pair[::-1]):
            spelling = names[left] + names[right]
            if {*joined.setdefault(spelling, (left, right))} != {*pair}:
                ambiguous.add(spelling)
    return {spelling: keys for spelling, keys in joined.items() if spelling not in ambiguous}


def _bounded(name: str) -> str:
    """A pattern for the name as a whole word. A hashtag is no mention."""
    body = r"[\s\-]{1,4}".join(re.escape(part) for part in name.split(" "))
    first, last = name[0], name[-1]
    before = r"(?<![^\W_])" if is_letter(first) and not unspaced(first) else ""
    after = r"(?![^\W_]|'(?:t|d|m|ll|re|ve)\b)" if is_letter(last) and not unspaced(last) else ""
    return rf"(?<!#){before}{body}{after}"


def _squeeze(spelling: str) -> str:
    """White space and hyphens within a name are equivalent."""
    return _JOINT.sub(" ", spelling)


def _with_the_other(text: str, found: list[Mention]) -> list[Mention]:
    """The text with "the other one" resolved, if exactly one of the four names is missing."""
    said = {(mention.is_word, mention.which) for mention in found}
    missing = [key for key in _KEYS if key not in said]
    if len(missing) != 1:
        return found
    is_word, which = missing[0]
    first = {mention.is_word: mention.end for mention in reversed(found)}  # of either kind
    others = [
        Mention(is_word, which, *match.span())
        for match in _OTHER.finditer(text, max(first.values()))
        if match["identifier" if is_word else "word"] is None
    ]
    return sorted([*found, *others], key=lambda mention: mention.start)


def _is_modal(text: str, start: int, end: int) -> bool:
    """Whether an identifier such as "will" is the auxiliary verb here."""
    return (
        _BEFORE_MODAL.search(text[max(0, start - _WINDOW) : start]) is not None
        or _AFTER_MODAL.match(text[end : end + _WINDOW]) is not None
    )


def _is_denied(text: str, start: int, end: int) -> bool:
    """Whether another name replaces this one: "not white but black"."""
    return (
        _AFTER_DENIED.match(text, end) is not None
        and _BEFORE_DENIED.search(text[max(0, start - _WINDOW) : start]) is not None
    )
