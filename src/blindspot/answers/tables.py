"""Tables that answer by a tick: the row gets the heading of the ticked column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from blindspot.answers.text import vocabulary

_TICKS: Final = vocabulary("x * yes ✓ ✔ √ ☑ ✅ ● • [x]")
_BLANKS: Final = vocabulary("no - – ✗ ✘ ☐ ❌ ○ [ ]") | {"", "[ ]"}
_RULE: Final = re.compile(r"[\s|:+=\-]*")


def ticks_named(text: str) -> str:
    """Prepared text with every tick of a table replaced by the heading of its column."""
    if "|" not in text:
        return text
    lines = text.split("\n")
    headings: list[str] = []
    for number, line in enumerate(lines):
        if "|" not in line:
            headings = []
        elif _RULE.fullmatch(line) is None:
            cells = _cells(line)
            if not headings:
                headings = cells
            elif _ticked(cells, headings):
                lines[number] = f"| {cells[0]} | {_chosen(cells, headings)} |"
    return "\n".join(lines)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _ticked(cells: Sequence[str], headings: Sequence[str]) -> bool:
    """Whether a row holds its own heading and, for the rest, a tick and blanks."""
    marks = cells[1:]
    return (
        len(cells) == len(headings) > 2
        and cells[0] not in _TICKS | _BLANKS
        and all(mark in _TICKS | _BLANKS for mark in marks)
        and any(mark in _TICKS for mark in marks)
    )


def _chosen(cells: Sequence[str], headings: Sequence[str]) -> str:
    return " ".join(
        heading for cell, heading in zip(cells[1:], headings[1:], strict=True) if cell in _TICKS
    )
