"""Words, identifiers and other texts of the fixture files, and when two of them are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from blindspot.answers.languages import UNSPACED
from blindspot.answers.text import prepare, unspaced

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


def _spaced(code: str) -> str:
    """A language that is written with spaces between words."""
    if code.split("-", 1)[0] in UNSPACED:
        raise ValueError(f"{code!r} is {WITHOUT_SPACES}")
    return code


#: Why a language cannot be asked, and what it would need.
WITHOUT_SPACES = (
    "written without spaces between words, and the reader of answers finds names at word "
    "boundaries; it would need a segmenter (docs/adding-stimuli.md): use a language with spaces"
)
#: The code of a language, such as "de" or "pt-br".
Language = Annotated[Name, AfterValidator(_spaced)]

_BREAKING = frozenset({"Cc", "Zl", "Zp"})


@lru_cache(maxsize=1 << 14)  # every name is compared with every text of every file
def fold(text: str) -> str:
    """The form in which two words count as the same, which is that of the readers of answers.

    Caseless, without compatibility forms and invisible characters; a hyphen is a space.
    """
    return " ".join(prepare(text).replace("-", " ").split())


def stands_in(phrase: str, text: str) -> bool:
    """Whether a text contains a phrase, at word boundaries if its script has spaces."""
    if unspaced(fold(phrase)):
        return fold(phrase) in fold(text)
    return _in_words(phrase) in _in_words(text)


@lru_cache(maxsize=1 << 14)
def _in_words(text: str) -> str:
    """The words of a text between single spaces, the first and the last too."""
    words = " ".join(re.findall(r"[^\W_]+", fold(text)))
    return f" {words} "


def _term(text: str) -> str:
    """A word or an identifier, as written into a prompt and searched for in an answer."""
    if text != text.strip():
        raise ValueError(f"{text!r} has white space around it; remove it")
    if any(unicodedata.category(character) in _BREAKING for character in text):
        raise ValueError(f"{text!r} holds a line break or control character; remove it")
    if not fold(text):
        raise ValueError(f"{text!r} has no visible character; fill it in")
    if unspaced(fold(text)):
        raise ValueError(f"{text!r} is {WITHOUT_SPACES}")
    return text


Term = Annotated[Text, AfterValidator(_term)]
Terms = Annotated[tuple[Term, ...], Field(min_length=1)]


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """All words of some texts, folded."""
    return frozenset(word for text in texts for word in re.findall(r"[^\W_]+", fold(text)))
