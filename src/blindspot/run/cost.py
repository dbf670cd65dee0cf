"""What a run will cost: some of its prompts are asked first, and timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from blindspot.models.pulse import discounted, heard

Item = TypeVar("Item")

#: Prompts of a trial, in blocks of neighbours, which share prefixes as those of a run do.
TRIAL, _BLOCK = 16, 4
#: Fewest trials in a run that is worth one.
_WORTH = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What is still to be done: so many of a ``unit``, besides those that are ``stored``.

    ``tokens``: computed for them, 0 where it is not known; ``seconds``: that it will take, NaN
    where it is not known.
    """

    count: int
    stored: int
    unit: str
    tokens: float
    seconds: float


@dataclass
class Stopwatch:
    """What a piece of work took, and how many answers it gave."""

    seconds: float = 0.0
    tokens: int = 0
    answers: int = 0

    @property
    def each(self) -> float:
        """Seconds an answer."""
        return self.seconds / max(self.answers, 1)

    def cost(self, count: int, stored: int, unit: str, workers: int) -> Cost:
        """Of ``count`` more, which ``workers`` share."""
        tokens = self.tokens * count / max(self.answers, 1)
        return Cost(count, stored, unit, tokens, self.each * count / workers)


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Time the work within, without loading the model, and count the tokens of its passes."""
    watch, began = Stopwatch(), time.monotonic()

    def computed(tokens: int) -> None:
        watch.tokens += tokens

    def later(seconds: float) -> None:
        nonlocal began
        began += seconds

    with heard(computed), discounted(later):
        yield watch
    watch.seconds = time.monotonic() - began


def trial_of(missing: Sequence[Item]) -> Sequence[Item]:
    """Some of what is missing, evenly spread; nothing of so little that it is soon done."""
    if len(missing) < _WORTH * TRIAL:
        return ()
    blocks = TRIAL // _BLOCK
    starts = (number * (len(missing) - _BLOCK) // (blocks - 1) for number in range(blocks))
    return [missing[start + place] for start in starts for place in range(_BLOCK)]
