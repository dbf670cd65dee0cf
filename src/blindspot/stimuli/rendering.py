"""Templates filled in, with the position of every slot: known, never searched for."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

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


def fill(template: str, values: Mapping[str, str]) -> Filled:
    """A template whose slots are all in ``values``; doubled braces become single ones."""
    pieces: list[str] = []
    spans: dict[str, tuple[Span, ...]] = {}
    end = 0
    for literal, name, _, _ in string.Formatter().parse(template):
        pieces.append(literal)
        end += len(literal)
        if name is not None:
            start, end = end, end + len(values[name])
            pieces.append(values[name])
            spans[name] = (*spans.get(name, ()), (start, end))
    return Filled("".join(pieces), spans)
