"""Text as the readers see it: folded, cleaned of invisible characters, contractions written out.

Everything here is linear in the length of the text, also for text made to be slow: runs of
combining marks are cut before they are put into normal form, because sorting them is quadratic.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Vowel signs and other marks that belong to a word although "\w" leaves them out. Whole stretches
# of the Indic and South-East Asian blocks: the letters among them do no harm.
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0971-\u0df3\u0e31-\u0e4e"
    "\u0eb1-\u0ece\u0f18-\u0f39\u0f71-\u0fbc\u102b-\u103e\u1056-\u109d\u135d-\u135f\u17b4-\u17d3"
    "\u1ab0-\u1aff\u1b00-\u1b44\u1dc0-\u1dff\u20d0-\u20f0\u302a-\u302f\u3099\u309a\ufe20-\ufe2f"
)
LETTER: Final = rf"[^\W_]|[{_MARKS}]"
WORD: Final = rf"(?:{LETTER})+(?:'(?:{LETTER})+)*"

# Scripts that write no spaces between words, where any character may begin or end one: Thai, Lao,
# Tibetan, Burmese, Khmer, kana, bopomofo, Han.
_UNSPACED: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SEAM: Final = re.compile(
    rf"(?<=[{_UNSPACED}])(?=[^\W{_UNSPACED}])|(?<=[^\W{_UNSPACED}])(?=[{_UNSPACED}])"
)
_IN_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\u20e3\U000e0000-\U000e01ef]"
)
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043", "-"),
        **dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n"),
        **dict.fromkeys("\u3001\u060c", ","),
        **dict.fromkeys("\u3002\u0964\u06d4", "."),
        **dict.fromkeys("\ufdfa\ufdfb", " "),  # one sign that unfolds to a sentence
        "\u2044": "/",
        "\u0131": "i",  # a capital i folds to one with a dot, whatever the language
        "\u00bd": ".5",  # otherwise 4½ would become 41/2
    }
)
_MOST_MARKS: Final = 8

_CONTRACTIONS: Final = (
    (re.compile(r"\bcan'?t\b|\bcan ?not\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bain't\b"), "am not"),
    (re.compile(r"\b(do|does|did|is|are|was|were|would|could|should|have|has)n'?t\b"), r"\1 not"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\b(it|that|he|she|there|what)'s\b"), r"\1 is"),
    (re.compile(r"\b(\w{1,5})'re\b"), r"\1 are"),
    (re.compile(r"\b(\w{1,5})'ve\b"), r"\1 have"),
    (re.compile(r"\b(\w{1,5})'ll\b"), r"\1 will"),
    (re.compile(r"\b(\w{1,5})'d\b"), r"\1 would"),
)

_THOUGHT: Final = re.compile(r"<think>.*", re.DOTALL)  # one that the answer breaks off in


def vocabulary(words: str) -> frozenset[str]:
    """The words of a list written with spaces between them."""
    return frozenset(words.split())


def spoken(answer: str) -> str:
    """Prepared text of an answer, without the reasoning that a model writes before it."""
    text = prepare(answer)
    if "think>" not in text:
        return text
    return _THOUGHT.sub(" ", text.rpartition("</think>")[2])


def prepare(text: str) -> str:
    """Folded text with its English contractions written in full: ``can't`` is ``can not``."""
    folded = fold(text)
    if "'" not in folded and "nt" not in folded and "cannot" not in folded:
        return folded
    for pattern, full in _CONTRACTIONS:
        folded = pattern.sub(full, folded)
    return folded


def fold(text: str) -> str:
    """The same text without case, compatibility forms, typographic quotes and invisible characters.

    Line ends are all ``\\n``; a script without spaces is set apart from one with spaces.
    """
    if text.isascii():
        return text.lower().translate(_PLAIN)
    text = _few_marks(_INVISIBLE.sub("", text).translate(_PLAIN))
    text = unicodedata.normalize("NFKC", text).casefold()
    # A letter may fold into several marks, and a capital i with a dot keeps the dot as a mark.
    text = _few_marks(text).replace("i\u0307", "i")
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    return _SEAM.sub(" ", text)


def _few_marks(text: str) -> str:
    """Runs of combining marks, cut to a length that is cheap to sort."""
    run = 0
    kept: list[str] = []
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def unspaced(text: str) -> bool:
    """Whether a character is of a script that writes words without spaces between them."""
    return _IN_UNSPACED.search(text) is not None


def is_letter(character: str) -> bool:
    """Whether the character is part of a word: a letter, a digit or a mark on one."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def continues_word(text: str, index: int) -> bool:
    """Whether there is a combining mark at this index: it belongs to the letter before it."""
    return index < len(text) and unicodedata.category(text[index]).startswith("M")
