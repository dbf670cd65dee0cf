"""Read the number that an answer gives on a scale from 1 to 5."""

from __future__ import annotations

import re

# An answer may repeat the question ("on a scale from 1 (disagree) to 5 (agree): 4").
_SCALE = re.compile(
    r"\b1\s*(?:\([^)]*\)|=\s*[\w ]+?)?\s*(?:to|through|[-\N{EN DASH}])\s*5\b"
    r"(?:\s*(?:\([^)]*\)|=\s*[\w ]+))?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\d.,])\d+(?:[.,]\d+)?")
_OUT_OF = re.compile(r"\s*(?:/|out of)\s*5\b", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:[-\N{EN DASH}/]|to\b|or\b|and\b)\s*\d", re.IGNORECASE)


def read_rating(answer: str) -> int | None:
    """The rating from 1 to 5 in the first line of ``answer`` that says anything; None if none.

    "4", "4 (agree)", "4/5" and "I would say 4 out of 5" are 4. A range, a fraction or any other
    number is no rating.
    """
    line = next((line for line in answer.splitlines() if line.strip()), "")
    line = _SCALE.sub(" ", line)
    number = _NUMBER.search(line)
    if number is None or number[0] not in {"1", "2", "3", "4", "5"}:
        return None
    if not _OUT_OF.match(line, number.end()) and _RANGE.match(line, number.end()):
        return None
    return int(number[0])
