"""Answers as read: per slice of the prompts, the arrays behind estimates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blindspot.files import digest
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.measurements.tables import Digests, Flags, Floats, Table, Words
from blindspot.run.answer import Answer
from blindspot.stimuli import Prompt, Slice


@dataclass(frozen=True, slots=True)
class Observation:
    """One prompt with its answer in both readings.

    ``reading``: what the generated answer says, or why there is none; ``value``: +1 stereotyped or
    agreed, -1 counter or disagreed, 0 neutral, NaN for no answer. ``forced``: of forced choice, in
    [-1, 1]: P(stereotyped) - P(counter), or the expected agreement. ``log_odds`` (nats) of the
    stereotyped answer against the counter one; of statements, of the first option against the last.
    """

    prompt: Prompt
    answer: Answer
    reading: str
    value: float
    forced: float
    log_odds: float


def read(prompt: Prompt, answer: Answer) -> Observation:
    """Both readings of one answer; without arrays, which are slow for a few numbers."""
    measurement = BEHAVIORAL[prompt.slice.measurement]
    found = measurement.read(prompt, answer.text, answer.log_probabilities)
    name, value = (answer.missing, math.nan) if answer.missing else (found.name, found.value)
    return Observation(prompt, answer, name, value, found.forced, found.log_odds)


class Observations(Table):
    """All observations of one category slice, in the order of its prompts; arrays are (prompt,)."""

    def __init__(self, part: Slice, rows: Sequence[Observation]) -> None:
        super().__init__(part)
        self.rows = tuple(rows)

    @cached_property
    def generated(self) -> Floats:
        return np.array([row.value for row in self.rows], np.float64)

    @cached_property
    def forced(self) -> Floats:
        return np.array([row.forced for row in self.rows], np.float64)

    @cached_property
    def log_odds(self) -> Floats:
        return np.array([row.log_odds for row in self.rows], np.float64)

    @cached_property
    def mass(self) -> Floats:
        return np.array([row.answer.mass for row in self.rows], np.float64)

    @cached_property
    def first_mass(self) -> Floats:
        """Probability of the first tokens of all candidates together; NaN if not known."""
        return np.array([row.answer.first_mass for row in self.rows], np.float64)

    @cached_property
    def positive_identifier_first(self) -> Flags:
        return np.array([row.prompt.positive_identifier_first for row in self.rows], np.bool_)

    @cached_property
    def second_order(self) -> Flags:
        return np.array([row.prompt.second_order for row in self.rows], np.bool_)

    @cached_property
    def words(self) -> list[Words]:
        return [row.prompt.words for row in self.rows]

    @cached_property
    def wordings(self) -> list[str]:
        return [row.prompt.wording for row in self.rows]

    @cached_property
    def readings(self) -> list[str]:
        return [row.reading for row in self.rows]

    @cached_property
    def texts(self) -> list[str]:
        return [row.answer.text for row in self.rows]

    def prompt(self, place: int) -> str:
        """The text of a prompt."""
        return self.rows[place].prompt.text

    @cached_property
    def _lines(self) -> list[str]:
        """The part of a prompt in digests; every prompt is in the digests of several gates."""
        return [repr((row.prompt.text, row.prompt.candidates)) for row in self.rows]

    @cached_property
    def digests(self) -> Digests:
        return np.array([int(digest(each)[:8], 16) for each in self._lines], np.uint32)

    def digest(self, places: Iterable[int] | None = None) -> str:
        """Short digest of the prompts (texts and candidates), which must match in comparisons."""
        lines = sorted(self._lines if places is None else map(self._lines.__getitem__, places))
        return digest(*lines)[:16]
