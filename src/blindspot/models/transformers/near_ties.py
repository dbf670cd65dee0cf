"""Batch invariance: near-ties depend on the answer's own tokens, not on the rest of the batch.

In half precision the best and the second-best token are often a unit of rounding apart, and how a
pass rounds depends on the rows that it computes together. A near-tie is therefore re-decoded from
its whole sequence, without a cache and in a pass whose shape depends on that sequence alone. The
answer then does not depend on the other prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from blindspot.models.transformers.engine import Best, Engine, Row
from blindspot.models.transformers.prefix_tree import Tokens


class Sequenced(Protocol):
    """A sequence that grows token by token."""

    @property
    def sequence(self) -> Tokens:
        """All tokens so far."""
        ...


class Settler:
    """Re-decodes near-ties.

    ``together``: rows of equal length in each of its passes, 1 for each alone. ``count``: choices
    re-decoded so far.
    """

    def __init__(self, engine: Engine, together: int = 1) -> None:
        self.together = together
        self.count = 0
        self._engine = engine

    def settle(self, best: Best, rows: Mapping[int, Sequenced]) -> Best:
        """The same choices, with near-ties of ``rows`` settled.

        Args:
            best: choices of a batch.
            rows: the rows that still grow, by their place in it.
        """
        lengths: dict[int, list[tuple[int, Tokens]]] = defaultdict(list)
        for place, row in rows.items():
            if best.doubtful[place]:
                sequence = row.sequence
                lengths[len(sequence)].append((place, sequence))
        if not lengths:
            return best
        token, margin = list(best.token), list(best.margin)
        for _, asked in sorted(lengths.items()):
            for start in range(0, len(asked), self.together):
                group = asked[start : start + self.together]
                found = self._choices([sequence for _, sequence in group])
                for number, (place, _) in enumerate(group):
                    token[place], margin[place] = found.token[number], found.margin[number]
                self.count += len(group)
        return replace(best, token=token, margin=margin)

    def _choices(self, sequences: list[Tokens]) -> Best:
        """Choices after sequences of equal length; the pass always has the same number of rows."""
        filled = sequences + sequences[:1] * (self.together - len(sequences))
        rows = [Row(sequence) for sequence in filled]
        last = len(sequences[0]) - 1
        reads = [(number, last) for number in range(len(rows))]
        return self._engine.best(self._engine.extend(rows, None, reads, keep=False).logits)
