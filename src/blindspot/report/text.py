"""Untrusted text (names, prompts, answers) in a form that cannot deceive a reader."""

from __future__ import annotations

import unicodedata

from blindspot import errors

#: Joiners decide how letters of some scripts are written, and move nothing.
_HARMLESS = frozenset("\n\t\u200c\u200d")


def visible(text: object) -> str:
    r"""The text with invisible characters escaped, such as ``\x1b`` or ``\u202e``.

    That is control characters, marks that change the writing direction, lone surrogates and
    unassigned characters: they would vanish, reorder the line or break the file. Letters of any
    script stay.
    """
    said = str(text)
    if said.isprintable():
        return said
    return "".join(
        character
        if character.isprintable()
        or character in _HARMLESS
        or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in said.replace("\r\n", "\n")
    )


#: Characters of an answer in reports; samples.jsonl.gz has all of it.
LONGEST = 2000


def shortened(answer: str) -> str:
    """An answer for reports: cut, and marked as cut, if it is very long."""
    if len(answer) <= LONGEST:
        return answer
    return f"{answer[:LONGEST]}… [cut: {len(answer):,} characters]"


def line(text: object, longest: int = 0) -> str:
    """The text on one line, cut to ``longest`` characters if that is above 0."""
    return errors.line(" ".join(visible(text).split()), longest)
