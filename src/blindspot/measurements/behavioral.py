"""What measurements by prompts have in common: their prompts, and how an answer becomes a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates.clusters import Clusters, Contributions
from blindspot.estimates.effects import Effects
from blindspot.measurements.base import (
    FORCED_CHOICE,
    GENERATED,
    LEVELS,
    VALIDITY,
    Figure,
    Level,
    Measurement,
)
from blindspot.stimuli import DEFAULT_SELECTION, Prompt, Selection, Slice, Stimuli
from blindspot.stimuli.collection import slices_in

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer, read both ways.

    Attributes:
        name: what the generated answer was read as, one of `Behavioral.answers`.
        value: of the generated answer, in [-1, 1]; NaN for no answer.
        forced: of forced choice, in [-1, 1].
        log_odds: nats, > 0 is the first candidate, or what `Behavioral.read` says.
    """

    name: str
    value: float
    forced: float
    log_odds: float


@dataclass(frozen=True)
class Scores:
    """Values of prompts in one reading, and what estimates balance; arrays are (prompt,).

    Attributes:
        values: in [-1, 1], NaN without an answer.
        identifier_first: whether the identifier of the positive group is listed first.
        second_order: the other order that the prompts balance, as `Prompt.second_order` says.
        clusters: positive words, negative words and wordings.
        refused: prompts that were refused; None where refusals are not told apart.
        step: possible error of one value.
        all_orders: whether all four orders were asked.
    """

    values: Floats
    identifier_first: Flags
    second_order: Flags
    clusters: Clusters
    refused: Flags | None
    step: float
    all_orders: bool


@dataclass(frozen=True, kw_only=True)
class Behavioral(Measurement, ABC):
    """A measurement by prompts of its own.

    Attributes:
        answers: the value of every reading of a generated answer, NaN for no answer.
        figures: what its effects say beside the one that is judged.
        axis: what the chart of its effects shows.
        shares: whether an effect of e is also (1 + e) / 2 of the answers.
        compares: whether its candidates are answers to choose from, whose mass tells something.
    """

    readings: tuple[str, ...] = (GENERATED, FORCED_CHOICE)
    levels: tuple[Level, ...] = LEVELS
    answers: Mapping[str, float]
    figures: tuple[Figure, ...] = ()
    axis: str = "effect"
    shares: bool = False
    compares: bool = True

    @property
    def asks(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)

    def slices(self, stimuli: Stimuli) -> list[Slice]:
        """Every category of every variant of every axis that it has wordings for."""
        return slices_in(stimuli, self.name, self.languages(stimuli))

    @abstractmethod
    def languages(self, stimuli: Stimuli) -> Collection[str]:
        """Languages that it has wordings in."""

    @abstractmethod
    def prompts(
        self, stimuli: Stimuli, part: Slice, selection: Selection = DEFAULT_SELECTION
    ) -> Iterator[Prompt]:
        """The prompts of a slice, wording by wording; those of the selection."""

    @abstractmethod
    def is_complete(self, prompt: Prompt) -> Callable[[str], bool]:
        """Whether the text so far is a complete answer."""

    def stop_key(self, prompt: Prompt) -> Sequence[str]:
        """What `is_complete` looks for beside the text: part of the key of a stored answer."""
        return []

    @abstractmethod
    def read(self, prompt: Prompt, text: str, scores: Sequence[float]) -> Reading:
        """One answer: the generated text, and log-probabilities (nats) of the candidates."""

    @abstractmethod
    def effects(self, scores: Scores) -> Effects:
        """The effects of prompts; `judged` is the first of them."""

    def contributions(self, effects: Sequence[Effects], statistic: str) -> Contributions:
        """Of the effect that is judged, or of the validity; others override this."""
        (found,) = effects
        if statistic == VALIDITY:
            return found.answered
        if statistic != self.judged:
            raise NotImplementedError(f"{self.name}: `contributions` does not know {statistic!r}")
        return found.contributions

    @abstractmethod
    def order(self, identifier_first: bool, second_order: bool) -> str:
        """Both orders of a prompt, in words."""

    def signs(self, second_order: Flags) -> Floats:
        """The sign of a value in the effect: -1 if higher is better."""
        return np.ones(second_order.shape)

    def forced(self, log_odds: Floats) -> Floats | None:
        """Forced-choice values derived from log-odds; None if they cannot be."""
        return None

    def telling(self, prompt: Prompt, value: float) -> float:
        """How well an answer illustrates the bias: the highest one is the example in a report."""
        return value

    def sample(self, prompt: Prompt) -> dict[str, Any]:
        """The columns of a sample row that only this measurement has."""
        return {}
