"""The search through one space: plan, ask in few batches, and shrink what is found.

Hypothesis runs one example at a time, but a model needs many prompts at once. So the examples are
drawn twice with the same seed: first only to collect the prompts, then, with the answers, to shrink
the simplest finding. While Hypothesis runs, nothing is asked: it shrinks as far as answers exist;
then everything simpler in one slot is asked at once, and it shrinks again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from blindspot.errors import SearchError
from blindspot.run.answer import Answer
from blindspot.search.change import Change, read_changes
from blindspot.search.space import Point, Space
from blindspot.stimuli import Contrast, Prompt

Ask = Callable[[Sequence[Prompt]], list[Answer]]


class Exploration:
    """A space, the contrasts drawn from it, and all answers so far.

    Args:
        space: what is searched.
        examples: how many contrasts are drawn.
        seed: decides which; the same seed and space give the same contrasts.
    """

    def __init__(self, space: Space, examples: int, seed: object) -> None:
        self.space = space
        self.examples = examples
        self.seed = seed
        self.batches = 0
        self.changes: dict[Contrast, Change] = {}

    @cached_property
    def drawn(self) -> list[tuple[Point, Contrast]]:
        """The drawn contrasts."""
        if not self.space.changes:
            return []
        from blindspot.search.drawing import drawn

        return drawn(self.space, self.examples, self.seed)

    @property
    def planned(self) -> list[Contrast]:
        """The contrasts that are asked first."""
        return [contrast for _, contrast in self.drawn]

    def learn(self, contrasts: Iterable[Contrast], ask: Ask) -> bool:
        """Ask missing answers of these contrasts in one batch; whether there were any.

        Raises:
            SearchError: an answer has no finite score.
        """
        new = [one for one in dict.fromkeys(contrasts) if one not in self.changes]
        if not new:
            return False
        answers = ask([prompt for contrast in new for prompt in contrast.prompts])
        for change in read_changes(new, answers):
            if math.isnan(change.value):
                raise SearchError(
                    f"{change.contrast.id}: the model's scores are not numbers; the search cannot "
                    "compare them"
                )
            self.changes[change.contrast] = change
        self.batches += 1
        return True

    def search(self, ask: Ask) -> Change | None:
        """The simplest finding, None if nothing changes enough.

        Simplest: no simpler value in any single slot also changes enough.

        Raises:
            SearchError: an answer has no finite score, or there is nothing to ask.
        """
        from blindspot.search.drawing import shrunk

        if not self.drawn:
            raise SearchError(
                f"{self.space.id}: no transformation changes any of its prompts; add one for its "
                "language"
            )
        self.learn(self.planned, ask)
        found = [point for point, contrast in self.drawn if self.changes[contrast].found]
        if not found:
            return None

        def counts(contrast: Contrast) -> bool:
            return contrast in self.changes and self.changes[contrast].found

        start = min(found, key=lambda point: point.simplicity)
        point = shrunk(self.space, self.examples, self.seed, start, counts)
        while self.learn(self.space.simpler(point).values(), ask):
            point = shrunk(self.space, self.examples, self.seed, start, counts)
        return self._simplest(point, ask)

    def _simplest(self, point: Point, ask: Ask) -> Change:
        """Hypothesis stops where one step down is not a finding, although two steps down may be."""
        simpler = self.space.simpler(point)
        self.learn(simpler.values(), ask)
        for near, contrast in simpler.items():
            if self.changes[contrast].found:
                return self._simplest(near, ask)
        return self.changes[self.space.at(point)]

    def strongest(self, count: int) -> list[Change]:
        """The largest changes found so far, the largest first."""
        return sorted(self.changes.values(), key=lambda change: -abs(change.value))[:count]

    @property
    def prompts(self) -> int:
        """How many different prompts were asked."""
        return len({prompt.text for contrast in self.changes for prompt in contrast.prompts})
