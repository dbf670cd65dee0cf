"""Texts whose common beginnings are computed once: a token is a node and sees those above it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class PrefixTree:
    """Texts in one pass of a model, each predicted as if it stood alone.

    In training they differ from texts alone in one thing: what they share is dropped out together.

    ``tokens`` and ``positions``: of the nodes, in the order in which they were added; ``texts``:
    numbers of the texts; ``continuations``: their tokens; ``predicting``: the nodes that predict
    them, text after text; ``length``: tokens of the longest text.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.texts: list[int] = []
        self.continuations: list[tuple[int, ...]] = []
        self.predicting: list[int] = []
        self.length = 0
        self._nodes: dict[tuple[int, int], int] = {}
        self._paths: list[list[int]] = []

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.tokens)

    @property
    def counts(self) -> list[int]:
        """Tokens of each continuation."""
        return [len(said) for said in self.continuations]

    def added(self, row: Sequence[int]) -> int:
        """How many nodes a text would add."""
        above = -1
        for known, token in enumerate(row):
            if (node := self._nodes.get((above, token))) is None:
                return len(row) - known
            above = node
        return 0

    def add(self, number: int, row: Sequence[int], count: int) -> None:
        """Add a text whose last ``count`` tokens are its continuation, behind at least one."""
        assert 0 < count < len(row), "a continuation needs a token in front of it"
        path: list[int] = []
        for position, token in enumerate(row):
            above = path[-1] if path else -1
            node = self._nodes.setdefault((above, token), len(self.tokens))
            if node == len(self.tokens):
                self.tokens.append(token)
                self.positions.append(position)
            path.append(node)
        self.texts.append(number)
        self.continuations.append(tuple(row[-count:]))
        self.predicting += path[-count - 1 : -1]
        self.length = max(self.length, len(row))
        self._paths.append(path)

    def mask(self, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """What is added to the attention of a node to another, (1, 1, node, node).

        0 to itself and to those above it, otherwise the least number; None for a single text,
        whose mask is the causal one.
        """
        if len(self.texts) == 1:
            return None
        mask = torch.full((len(self), len(self)), torch.finfo(dtype).min, dtype=dtype)
        for path in self._paths:
            nodes = torch.tensor(path)
            rows, columns = torch.tril_indices(len(path), len(path))
            mask[nodes[rows], nodes[columns]] = 0.0
        return mask[None, None].to(device)
