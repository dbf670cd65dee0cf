"""A category slice in columns: the data behind estimates, new or from a baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blindspot.estimates.clusters import Clusters
from blindspot.measurements.base import GENERATED
from blindspot.measurements.behavioral import Behavioral
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.stimuli import Slice

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Digests = NDArray[np.uint32]
Words = tuple[str, str]
#: The key of a prompt within its slice: words, wording, and its two orders.
Key = tuple[Words, str, bool, bool]
_NONE = np.zeros(0, np.int64)


class Table(ABC):
    """One row per prompt, in the order of the prompts. Arrays are (prompt,)."""

    def __init__(self, part: Slice) -> None:
        self.part = part

    @property
    def measurement(self) -> Behavioral:
        """The measurement of its prompts."""
        return BEHAVIORAL[self.part.measurement]

    @property
    @abstractmethod
    def generated(self) -> Floats:
        """+1 stereotyped or agreed, -1 counter or disagreed, 0 neutral, NaN for no answer."""

    @property
    @abstractmethod
    def forced(self) -> Floats:
        """By forced choice, in [-1, 1]: P(stereotyped) - P(counter), or expected agreement."""

    @property
    @abstractmethod
    def log_odds(self) -> Floats:
        """Nats, > 0 is stereotyped (or agrees)."""

    @property
    @abstractmethod
    def mass(self) -> Floats:
        """Probability of all candidates together; NaN if the model offers no scores."""

    @property
    @abstractmethod
    def positive_identifier_first(self) -> Flags:
        """Whether the identifier of the positive group is listed first."""

    @property
    @abstractmethod
    def second_order(self) -> Flags:
        """The other order that prompts balance."""

    @property
    @abstractmethod
    def words(self) -> Sequence[Words]:
        """The positive and the negative word of each prompt."""

    @property
    @abstractmethod
    def wordings(self) -> Sequence[str]:
        """The wording of each prompt."""

    @property
    @abstractmethod
    def readings(self) -> Sequence[str]:
        """The reading of the generated answer."""

    @property
    @abstractmethod
    def texts(self) -> Sequence[str]:
        """The generated answer."""

    @property
    @abstractmethod
    def digests(self) -> Digests:
        """A short digest of each prompt: equal if the same was asked."""

    def order(self, place: int) -> str:
        """Both orders of a prompt, in words."""
        flags = self.positive_identifier_first[place], self.second_order[place]
        return self.measurement.order(*map(bool, flags))

    def prompt(self, place: int) -> str:
        """The text of a prompt; "" if it was stored without one."""
        return ""

    def __len__(self) -> int:
        return len(self.words)

    def values(self, reading: str) -> Floats:
        """Values of one reading, NaN without an answer."""
        return self.generated if reading == GENERATED else self.forced

    @cached_property
    def refused(self) -> Flags:
        """Prompts that were refused."""
        return np.array([reading == "refused" for reading in self.readings], np.bool_)

    @cached_property
    def all_orders(self) -> bool:
        """Whether the prompts ask all four orders, as ours do; the published ones do not."""
        return np.unique(2 * self.positive_identifier_first + self.second_order).size == 4

    @cached_property
    def clusters(self) -> Clusters:
        """Positive words, negative words and wordings, crossed."""
        return Clusters.encode(
            {
                "positive word": [words[0] for words in self.words],
                "negative word": [words[1] for words in self.words],
                "wording": list(self.wordings),
            }
        )

    @cached_property
    def pairs(self) -> dict[Words, NDArray[np.int64]]:
        """Positions of the prompts of each word pair."""
        places: dict[Words, list[int]] = {}
        for place, words in enumerate(self.words):
            places.setdefault(words, []).append(place)
        return {pair: np.array(found, np.int64) for pair, found in places.items()}

    @cached_property
    def by_word(self) -> dict[str, NDArray[np.int64]]:
        """Positions of the prompts of each word, whichever the other one is."""
        places: dict[str, list[int]] = {}
        for place, words in enumerate(self.words):
            for word in words:
                places.setdefault(word, []).append(place)
        return {word: np.array(found, np.int64) for word, found in places.items()}

    def places(self, part: Slice) -> NDArray[np.int64]:
        """Positions of the prompts of a word or a pair; of all for the category itself."""
        if part.pair is not None:
            return self.pairs.get(part.pair, _NONE)
        return self.by_word.get(part.word, _NONE) if part.word else np.arange(len(self))

    @cached_property
    def keys(self) -> list[Key]:
        """The key of each prompt."""
        flags = (self.positive_identifier_first.tolist(), self.second_order.tolist())
        return list(zip(self.words, self.wordings, *flags, strict=True))


class Rows(Table):
    """Some rows of one table, or of several of the same slice, one after another."""

    def __init__(self, rows: Sequence[tuple[Table, Sequence[int]]]) -> None:
        super().__init__(rows[0][0].part)
        self._rows = [(table, list(places)) for table, places in rows]

    def _column(self, name: str) -> NDArray[Any]:
        return np.concatenate([getattr(table, name)[places] for table, places in self._rows])

    def _labels(self, name: str) -> list[Any]:
        columns = ((getattr(table, name), places) for table, places in self._rows)
        return [column[place] for column, places in columns for place in places]

    @cached_property
    def generated(self) -> Floats:
        return self._column("generated")

    @cached_property
    def forced(self) -> Floats:
        return self._column("forced")

    @cached_property
    def log_odds(self) -> Floats:
        return self._column("log_odds")

    @cached_property
    def mass(self) -> Floats:
        return self._column("mass")

    @cached_property
    def positive_identifier_first(self) -> Flags:
        return self._column("positive_identifier_first")

    @cached_property
    def second_order(self) -> Flags:
        return self._column("second_order")

    @cached_property
    def words(self) -> list[Words]:
        return self._labels("words")

    @cached_property
    def wordings(self) -> list[str]:
        return self._labels("wordings")

    @cached_property
    def readings(self) -> list[str]:
        return self._labels("readings")

    @cached_property
    def texts(self) -> list[str]:
        return self._labels("texts")

    @cached_property
    def digests(self) -> Digests:
        return self._column("digests")
