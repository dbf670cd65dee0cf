"""Forms of an answer: templates that differ from a wording's own in how a model may write it.

A slot that begins with a capital, such as ``{First_word}``, is filled with a capital.
"""

from __future__ import annotations

import re
from functools import cache

from blindspot.stimuli.template import pieces

#: What a model may write before its answer: nothing, a space as after ``[/INST]``, or a new line.
_SEAMS = ("", " ", "\n")
_QUOTES = ('"', "'")
#: How a model opens a block of code, and what an answer in code has beside its slots.
_FENCES = tuple(f"```{language}\n" for language in ("", "json", "python", "javascript", "java"))
_CODE = re.compile(r"""[{\[]|[=(] ?["'(]|:\n""")
#: Between a word and its identifier, where the two are in no sentence and no code.
_SEPARATORS = (": ", " - ", " = ", " -> ")
#: Between two pairs that could stand on lines of their own.
_COMMAS = (", ", "; ")
#: Slots of a pair, and of an answer to an association prompt.
PAIR = 2


def openings(answer: str) -> list[str]:
    """Forms that begin otherwise: after white space, in a code block, with a capital, unquoted.

    The given form comes first, here and in the other lists of forms.
    """
    parts = list(pieces(answer))
    literal, name = parts[0]
    found = [_template([(seam + literal, name), *parts[1:]]) for seam in _SEAMS]
    if any(_CODE.search(each) for each, _ in parts):
        found += [_template([(fence + literal, name), *parts[1:]]) for fence in _FENCES]
    last, end = parts[-1]
    if literal in _QUOTES and end is None and last.endswith(literal):
        found.append(_template([("", name), *parts[1:-1], (last[: -len(literal)], None)]))
    first = f"{{{name}}}"
    if literal in ("", *_QUOTES):
        found += [form.replace(first, f"{{{str(name).capitalize()}}}", 1) for form in found]
    return list(dict.fromkeys(found))


def separators(answer: str) -> list[str]:
    """Forms with another separator between each word and its identifier."""
    parts = list(pieces(answer))
    between = {parts[place][0] for place in (1, 1 + PAIR)} if _is_pairs(answer) else set()
    if len(between) != 1 or not between <= {*_SEPARATORS}:
        return [answer]
    other = next(one for one in _SEPARATORS if one not in between)
    return [answer, _with(answer, {1: other, 1 + PAIR: other})]


def breaks(answer: str) -> list[str]:
    """Forms with each pair on a line of its own."""
    parts = list(pieces(answer))
    quoted = parts[0][0].strip().startswith(_QUOTES)
    if not _is_pairs(answer) or parts[PAIR][0] not in _COMMAS or quoted:
        return [answer]
    return [answer, _with(answer, {PAIR: "\n"})]


@cache
def possible(answer: str) -> frozenset[str]:
    """All forms of an answer."""
    return frozenset(
        form
        for opened in openings(answer)
        for separated in separators(opened)
        for form in breaks(separated)
    )


def beginning(form: str, slots: int) -> str:
    """A form up to the end of this many slots."""
    return _template(list(pieces(form))[:slots])


def filled(form: str, **values: str) -> str:
    """A form with its slots filled."""
    capitals = {name.capitalize(): text[:1].upper() + text[1:] for name, text in values.items()}
    return form.format(**values, **capitals)


def _is_pairs(answer: str) -> bool:
    return sum(name is not None for _, name in pieces(answer)) == 2 * PAIR


def _with(template: str, literals: dict[int, str]) -> str:
    """A template with other literals at these places."""
    parts = enumerate(pieces(template))
    return _template([(literals.get(place, literal), name) for place, (literal, name) in parts])


def _template(parts: list[tuple[str, str | None]]) -> str:
    return "".join(
        literal.replace("{", "{{").replace("}", "}}") + (f"{{{name}}}" if name else "")
        for literal, name in parts
    )
