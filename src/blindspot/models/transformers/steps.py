"""Rows that grow by a token at a time after a forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from blindspot.models.transformers.engine import Engine, Pass, Row
from blindspot.models.transformers.prefix_tree import Tokens


def stepped(engine: Engine, passed: Pass, sequences: Sequence[Tokens]) -> Cached | Recomputed:
    """The rows of a pass, ready to grow; ``sequences`` are their tokens."""
    return Recomputed(engine, sequences) if passed.cache is None else Cached(engine, passed)


class Cached:
    """Rows that keep their past."""

    def __init__(self, engine: Engine, passed: Pass) -> None:
        assert passed.cache is not None
        self._engine, self._cache = engine, passed.cache
        self._mask, self._lengths = passed.mask, passed.lengths

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows)
        self._cache.keep(index)
        self._lengths = self._lengths[index]
        self._mask = self._mask[index.to(self._mask.device)]

    def advance(self, tokens: Sequence[int]) -> Tensor:
        """Feed a token to each row; (rows, vocabulary) logits of the next one."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        fed = torch.tensor(tokens)
        logits = self._engine.step(fed, self._lengths, self._mask, self._cache)
        self._lengths = self._lengths + 1
        return logits


class Recomputed:
    """Rows of a model whose past cannot be kept row by row: all is computed again."""

    def __init__(self, engine: Engine, sequences: Sequence[Tokens]) -> None:
        self._engine, self._sequences = engine, list(sequences)

    def keep(self, rows: Sequence[int]) -> None:
        self._sequences = [self._sequences[row] for row in rows]

    def advance(self, tokens: Sequence[int]) -> Tensor:
        pairs = zip(self._sequences, tokens, strict=True)
        self._sequences = [(*sequence, token) for sequence, token in pairs]
        rows = [Row(sequence) for sequence in self._sequences]
        last = [(n, len(row.tokens) - 1) for n, row in enumerate(rows)]
        return self._engine.extend(rows, None, last, keep=False).logits
