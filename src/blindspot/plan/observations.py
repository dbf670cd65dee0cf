"""Answers as they were read: per slice of the prompts, arrays that estimates are made from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import mul

import numpy as np
from numpy.typing import NDArray

from blindspot.answers import Agreement, Association, read_agreement, read_association
from blindspot.estimates.clusters import Clusters
from blindspot.plan.asking import Answer
from blindspot.stimuli import IMPLICIT, AssociationPrompt, Prompt, Slice, StatementPrompt

Reading = Association | Agreement

# The same answer comes back in many wordings and orders: three quarters of the readings of a model
# that keeps to the form are repetitions.
_read_association = lru_cache(maxsize=1 << 16)(read_association)
_read_agreement = lru_cache(maxsize=1 << 16)(read_agreement)

_VALUES: dict[Reading, float] = {
    Association.STEREOTYPED: 1.0,
    Association.COUNTER: -1.0,
    Agreement.AGREE: 1.0,
    Agreement.NEUTRAL: 0.0,
    Agreement.DISAGREE: -1.0,
}


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
        reading = _read_association(answer.text, identifiers=prompt.identifiers, words=prompt.words)
        odds = scores[0] - scores[1]
        forced = math.tanh(odds / 2)
    else:
        reading = _read_agreement(answer.text)
        values, most = prompt.candidate_values, max(scores)
        shares = [math.exp(score - most) for score in scores]
        forced = math.fsum(map(mul, shares, values)) / math.fsum(shares)
        odds = scores[values.index(max(values))] - scores[values.index(min(values))]
    return Observation(prompt, answer, reading, _VALUES.get(reading, float("nan")), forced, odds)


class Observations:
    """All observations of one category slice, in the order of its prompts; arrays are (prompt,)."""

    def __init__(self, part: Slice, rows: Sequence[Observation]) -> None:
        self.part = part
        self.rows = tuple(rows)

    def values(self, reading: str) -> NDArray[np.float64]:
        """Values of one reading, NaN where there is no answer."""
        return self._generated if reading == "generated" else self._forced

    @cached_property
    def _generated(self) -> NDArray[np.float64]:
        return np.array([row.value for row in self.rows], np.float64)

    @cached_property
    def _forced(self) -> NDArray[np.float64]:
        return np.array([row.forced for row in self.rows], np.float64)

    @cached_property
    def refused(self) -> NDArray[np.bool_]:
        """Prompts that were refused."""
        return np.array([row.reading.value == "refused" for row in self.rows], np.bool_)

    @cached_property
    def log_odds(self) -> NDArray[np.float64]:
        """Nats, > 0 is stereotyped (or agrees)."""
        return np.array([row.log_odds for row in self.rows], np.float64)

    @cached_property
    def positive_identifier_first(self) -> NDArray[np.bool_]:
        """Whether the identifier of the positive group is listed first."""
        return np.array([row.prompt.positive_identifier_first for row in self.rows], np.bool_)

    @cached_property
    def positive_word_first(self) -> NDArray[np.bool_]:
        """Whether the positive word is listed first (associations only)."""
        prompts = (row.prompt for row in self.rows)
        return np.array(
            [isinstance(p, AssociationPrompt) and p.positive_word_first for p in prompts], np.bool_
        )

    @cached_property
    def keyed(self) -> NDArray[np.int64]:
        """+1 for a statement of the stereotype, -1 for its reverse (statements only)."""
        prompts = (row.prompt for row in self.rows)
        return np.array(
            [1 if isinstance(p, StatementPrompt) and p.stereotype else -1 for p in prompts],
            np.int64,
        )

    @cached_property
    def all_orders(self) -> bool:
        """Whether the prompts ask all four orders, as ours do; the published ones do not."""
        other = self.positive_word_first if self.part.measurement == IMPLICIT else self.keyed > 0
        return len(set(zip(self.positive_identifier_first, other, strict=True))) == 4

    @cached_property
    def clusters(self) -> Clusters:
        """Positive words, negative words and wordings, crossed."""
        prompts = [row.prompt for row in self.rows]
        return Clusters.encode(
            {
                "positive word": [prompt.words[0] for prompt in prompts],
                "negative word": [prompt.words[1] for prompt in prompts],
                "wording": [prompt.wording for prompt in prompts],
            }
        )

    @cached_property
    def pairs(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """Positions of the prompts of each word pair."""
        places: dict[tuple[str, str], list[int]] = {}
        for place, row in enumerate(self.rows):
            places.setdefault(row.prompt.words, []).append(place)
        return {pair: np.array(found, np.int64) for pair, found in places.items()}

    @cached_property
    def _lines(self) -> list[str]:
        """What a digest takes of each prompt; every prompt is in the digests of several gates."""
        return [repr((row.prompt.text, row.prompt.candidates)) for row in self.rows]

    def digest(self, places: Iterable[int] | None = None) -> str:
        """Short digest of the prompts (texts and candidates): the condition of a comparison."""
        lines = sorted(self._lines if places is None else map(self._lines.__getitem__, places))
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]
