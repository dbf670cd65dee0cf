"""Changes to a prompt that should not matter: how it is written, never what it asks.

A transformation rewrites the text around the slots of a template. Identifiers and words stay as
they are, and so does the form of the answer: *black* and *Black* are not the same, *Answer* and
*ANSWER* are. Several are applied in a fixed order, so that a set of them is one change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from blindspot.stimuli.schema import Strict, check_distinct
from blindspot.stimuli.template import rewritten
from blindspot.stimuli.terms import Name, Text, fold, words_of

CASE = "case"
PUNCTUATION = "punctuation"
PREFIX = "prefix"
WORDS = "words"

#: From the change that says least about a model to the one that says most.
SIMPLEST_FIRST = (CASE, PUNCTUATION, PREFIX, WORDS)
#: Later ones also apply to text that earlier ones add.
_APPLIED = (WORDS, PREFIX, PUNCTUATION, CASE)
#: The key that each kind needs; the others are not for it.
_KEYS = {CASE: "to", PUNCTUATION: "replace", PREFIX: "text", WORDS: "replace"}

#: The language of a file whose transformations are for every language.
ANY_LANGUAGE = "any"

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_CASES: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "title": lambda text: _WORD.sub(lambda word: word[0][0].upper() + word[0][1:], text),
}


class Transformation(Strict):
    """One change that should not matter.

    ``to``: the case of all letters. ``replace``: replacements by original, of punctuation and white
    space or of whole words. ``text``: what precedes the prompt.
    """

    id: Name
    kind: Literal["case", "punctuation", "prefix", "words"]
    to: Literal["lower", "upper", "title"] | None = None
    replace: dict[str, str] = Field(default_factory=dict)
    text: Text | None = None

    @model_validator(mode="after")
    def _usable(self) -> Self:
        own = _KEYS[self.kind]
        for key in sorted(self.model_fields_set - {"id", "kind", own}):
            raise ValueError(f"{key}: not for the kind {self.kind!r}; remove this key")
        if own not in self.model_fields_set or not getattr(self, own):
            raise ValueError(f"{own}: the kind {self.kind!r} needs it; add it")
        for text in (self.text or "", *self.replace, *self.replace.values()):
            if "{" in text or "}" in text:
                raise ValueError(f"{own}: {text!r} has a brace; it cannot name a slot")
        check_distinct(own, self.replace if self.kind == WORDS else ())
        for old, new in self.replace.items():
            _check_replacement(self.kind, old, new)
        return self

    @property
    def added_words(self) -> frozenset[str]:
        """The words that it brings into a prompt, folded."""
        return words_of((self.text or "", *self.replace.values()))

    def apply(self, template: str) -> str:
        """A template with everything around its slots changed."""
        if self.kind == PREFIX:
            text = self.text or ""
            return (text if text[-1:].isspace() else f"{text} ") + template
        changed = rewritten(template, self._rewrite)
        # the answer follows the last word: white space there would change how it begins
        return changed.rstrip() + template[len(template.rstrip()) :]

    def _rewrite(self, text: str) -> str:
        if self.to is not None:
            return _CASES[self.to](text)
        if self.kind == PUNCTUATION:
            return _pattern(self.replace).sub(lambda found: self.replace[found[0]], text)
        known = {fold(old): new for old, new in self.replace.items()}
        pattern = re.compile(rf"(?<!\w)(?:{_pattern(self.replace).pattern})(?!\w)", re.IGNORECASE)
        return pattern.sub(lambda found: _written_like(found[0], known[fold(found[0])]), text)


class TransformationFile(Strict):
    """A file of transformations; ``language`` "any" if they can be made in every language."""

    language: Name = "en"
    transformation: tuple[Transformation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_distinct("transformation ids", (one.id for one in self.transformation))
        return self


def _check_replacement(kind: str, old: str, new: str) -> None:
    """Check that a replacement fits its kind and cannot make a prompt unreadable."""
    if fold(old) == fold(new) and (kind == WORDS or old == new):
        raise ValueError(f"replace: {old!r} becomes itself; remove it")
    if kind == WORDS:
        for text in (old, new):
            if not any(character.isalnum() for character in text) or text != text.strip():
                raise ValueError(
                    f"replace: {text!r} is not a word; write words without spaces around them"
                )
        return
    for text in (old, new):
        if any(character.isalnum() for character in text):
            raise ValueError(
                f'replace: {text!r} has letters or digits; use the kind "words" for them'
            )
    if not old:
        raise ValueError("replace: an empty text cannot be replaced; write what is replaced")
    if any(map(str.isspace, old)) and not any(map(str.isspace, new)):
        raise ValueError(f"replace: {old!r} loses its space and would join words; keep a space")


def _pattern(replace: Iterable[str]) -> re.Pattern[str]:
    """The texts to replace, the longest first; nothing is replaced twice."""
    return re.compile("|".join(map(re.escape, sorted(replace, key=len, reverse=True))))


def _written_like(old: str, new: str) -> str:
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[0].upper() + new[1:] if old[0].isupper() else new


def transform(template: str, transformations: Iterable[Transformation]) -> str:
    """A template after several transformations, in their fixed order."""
    for one in sorted(transformations, key=lambda one: _APPLIED.index(one.kind)):
        template = one.apply(template)
    return template
