"""Answers as they were read: per slice of the prompts, arrays that estimates are made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import mul

import numpy as np

from blindspot.answers import Agreement, Association, read_agreement, read_association
from blindspot.files import digest
from blindspot.run.ask import Answer
from blindspot.run.tables import Flags, Floats, Table, Words
from blindspot.stimuli import AssociationPrompt, Prompt, Slice

Reading = Association | Agreement

_VALUES: dict[Reading, float] = {
    Association.STEREOTYPED: 1.0,
    Association.COUNTER: -1.0,
    Agreement.AGREE: 1.0,
    Agreement.NEUTRAL: 0.0,
    Agreement.DISAGREE: -1.0,
}


# The same answer comes back in many wordings and orders: three quarters of the readings of a model
# that keeps to the form are repetitions.
@lru_cache(maxsize=1 << 16)
def _association(
    text: str, identifiers: tuple[str, str], words: tuple[str, str]
) -> tuple[Association, float]:
    """What an answer pairs, and its value."""
    reading = read_association(text, identifiers=identifiers, words=words)
    return reading, _VALUES.get(reading, math.nan)


@lru_cache(maxsize=1 << 16)
def _agreement(text: str) -> tuple[Agreement, float]:
    """What an answer says of a statement, and its value."""
    reading = read_agreement(text)
    return reading, _VALUES.get(reading, math.nan)


@dataclass(frozen=True, slots=True)
class Observation:
    """One prompt with its answer in both readings.

    ``value``: of the generated answer, +1 stereotyped or agreed, -1 counter or disagreed, 0
    neutral, NaN for no answer. ``forced``: of forced choice, in [-1, 1]: P(stereotyped) -
    P(counter), or the expected agreement. ``log_odds`` (nats) of the stereotyped answer against
    the counter one; of statements, of the first option against the last.
    """

    prompt: Prompt
    answer: Answer
    reading: Reading
    value: float
    forced: float
    log_odds: float


def read(prompt: Prompt, answer: Answer) -> Observation:
    """Both readings of one answer; without arrays, which are slow for a few numbers."""
    scores = answer.log_probabilities
    reading: Reading
    if isinstance(prompt, AssociationPrompt):
        reading, value = _association(answer.text, prompt.identifiers, prompt.words)
        odds = scores[0] - scores[1]
        forced = math.tanh(odds / 2)
    else:
        reading, value = _agreement(answer.text)
        values, most = prompt.candidate_values, max(scores)
        shares = [math.exp(score - most) for score in scores]
        forced = math.fsum(map(mul, shares, values)) / math.fsum(shares)
        odds = scores[values.index(max(values))] - scores[values.index(min(values))]
    return Observation(prompt, answer, reading, value, forced, odds)


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
    def positive_identifier_first(self) -> Flags:
        return np.array([row.prompt.positive_identifier_first for row in self.rows], np.bool_)

    @cached_property
    def second_order(self) -> Flags:
        prompts = (row.prompt for row in self.rows)
        return np.array(
            [
                p.positive_word_first if isinstance(p, AssociationPrompt) else p.stereotype
                for p in prompts
            ],
            np.bool_,
        )

    @cached_property
    def words(self) -> list[Words]:
        return [row.prompt.words for row in self.rows]

    @cached_property
    def wordings(self) -> list[str]:
        return [row.prompt.wording for row in self.rows]

    @cached_property
    def readings(self) -> list[str]:
        return [row.reading.value for row in self.rows]

    @cached_property
    def texts(self) -> list[str]:
        return [row.answer.text for row in self.rows]

    def prompt(self, place: int) -> str:
        """The text of a prompt."""
        return self.rows[place].prompt.text

    @cached_property
    def _lines(self) -> list[str]:
        """What a digest takes of each prompt; every prompt is in the digests of several gates."""
        return [repr((row.prompt.text, row.prompt.candidates)) for row in self.rows]

    def digest(self, places: Iterable[int] | None = None) -> str:
        """Short digest of the prompts (texts and candidates): the condition of a comparison."""
        lines = sorted(self._lines if places is None else map(self._lines.__getitem__, places))
        return digest(*lines)[:16]
