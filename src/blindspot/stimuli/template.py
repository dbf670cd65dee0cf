"""Templates: text with ``{slots}``; the one place that parses them.

A filled template knows where the value of each slot is, so positions are never searched for.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

IDENTIFIER_SLOTS = frozenset({"first", "second"})
WORD_SLOTS = frozenset({"first_word", "second_word"})
CHOICE_SLOTS = frozenset({"first_choice", "second_choice"})

#: Characters of a text: (start, end), end exclusive.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled template and, by slot, the characters (start, end) of its values, in text order."""

    text: str
    spans: Mapping[str, tuple[Span, ...]]

    def __add__(self, after: Filled) -> Filled:
        """The two, one behind the other."""
        shift = len(self.text)
        moved = {
            name: tuple((start + shift, end + shift) for start, end in spans)
            for name, spans in after.spans.items()
        }
        names = dict.fromkeys((*self.spans, *moved))
        both = {name: self.spans.get(name, ()) + moved.get(name, ()) for name in names}
        return Filled(self.text + after.text, both)


def pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Literal text and the slot behind it, None at the end; braces of the text are single."""
    for literal, name, _, _ in string.Formatter().parse(template):
        yield literal, name


def slots(template: str) -> frozenset[str]:
    """Names of the ``{slots}`` of a template.

    Raises:
        ValueError: a brace is unbalanced, or a slot has an index, attribute, conversion or format.
    """
    names = set()
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"unbalanced brace ({error}); write {{{{ and }}}} for braces") from None
    for _, name, spec, conversion in fields:
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            raise ValueError(f"{{{name}}} is not a plain slot; write {{name}} and nothing else")
        names.add(name)
    return frozenset(names)


def check_slots(key: str, template: str, required: frozenset[str], also: frozenset[str]) -> None:
    """Check that a template has all slots that are required, and no others than ``also``.

    Raises:
        ValueError: names the key, the slot and the remedy.
    """
    try:
        found = slots(template)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if unknown := found - required - also:
        known = ", ".join(f"{{{name}}}" for name in sorted(required | also))
        named = ", ".join(f"{{{name}}}" for name in sorted(unknown))
        raise ValueError(f"{key}: unknown slot {named}; known here: {known}")
    if missing := required - found:
        named = ", ".join(f"{{{name}}}" for name in sorted(missing))
        why = (
            "it must name both identifiers, so that it can be asked in both orders"
            if missing & IDENTIFIER_SLOTS
            else "it must hold every slot of its kind"
        )
        raise ValueError(f"{key}: no slot {named}; {why}")


def order(template: str) -> list[str]:
    """Names of the slots in the order of the text."""
    return [name for _, name in pieces(template) if name]


def literals(*templates: str) -> tuple[str, ...]:
    """The pieces of templates that are not in a slot."""
    return tuple(literal for text in templates for literal, _ in pieces(text))


def rewritten(template: str, rewrite: Callable[[str], str]) -> str:
    """A template with its text changed around the slots, never within."""
    parts = []
    for literal, name in pieces(template):
        parts.append(rewrite(literal).replace("{", "{{").replace("}", "}}"))
        if name is not None:
            parts.append(f"{{{name}}}")
    return "".join(parts)


def fill(template: str, values: Mapping[str, str]) -> Filled:
    """A template whose slots are all in ``values``; doubled braces become single ones."""
    parts: list[str] = []
    spans: dict[str, tuple[Span, ...]] = {}
    end = 0
    for literal, name in pieces(template):
        parts.append(literal)
        end += len(literal)
        if name is not None:
            start, end = end, end + len(values[name])
            parts.append(values[name])
            spans[name] = (*spans.get(name, ()), (start, end))
    return Filled("".join(parts), spans)
