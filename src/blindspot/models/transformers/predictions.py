"""Predictions of a pass, looked at in blocks of the vocabulary.

A block of logits stays in a processor's cache while it is made and looked at, and the logits of
all tokens are never there at once: half a megabyte for each prediction of a large vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from blindspot.models.transformers.products import product_for

#: Tokens of a block on a CPU. Measured on 64 predictions of 49,152 tokens from vectors of width
#: 768: 75 GFLOP/s in blocks of 4,096, 61 in one product.
_BLOCK = 4096
#: Stands for -inf, which some models mask tokens by.
LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True, slots=True)
class Best:
    """The greedy choice at each read, and its distance to the second best (logits, >= 0).

    ``doubtful``: whether that distance is so small that other rows in the pass might turn it.
    """

    token: list[int]
    margin: list[float]
    doubtful: list[bool]


def block_size(device: torch.device, vocabulary: int) -> int:
    """Tokens whose logits are made at once: all of them, but on a CPU."""
    return _BLOCK if device.type == "cpu" else vocabulary


class Predictions:
    """What may follow some tokens; to be looked at once."""

    def __init__(
        self, count: int, vocabulary: int, device: torch.device, block: Callable[[int, int], Tensor]
    ) -> None:
        """Nothing is computed yet.

        Args:
            count: predictions.
            vocabulary: tokens.
            device: of the logits.
            block: logits (count, stop - start) float32 of the tokens from start to stop, which may
                be overwritten.
        """
        self._count, self._vocabulary, self._device, self._block = count, vocabulary, device, block

    @classmethod
    def of(cls, logits: Tensor) -> Predictions:
        """Of logits (predictions, vocabulary) float32, which are overwritten."""
        count, vocabulary = logits.shape
        return cls(count, vocabulary, logits.device, lambda start, stop: logits[:, start:stop])

    @classmethod
    def by_head(cls, hidden: Tensor, head: torch.nn.Linear, count: int) -> Predictions:
        """Of what the output layer is given, (rows, width), of which the first ``count`` are."""
        product = product_for(head.weight)

        def block(start: int, stop: int) -> Tensor:
            bias = None if head.bias is None else head.bias[start:stop]
            return product(hidden, head.weight[start:stop], bias)[:count].float()

        return cls(count, head.out_features, hidden.device, block)

    def logits(self) -> Tensor:
        """All of them, (predictions, vocabulary) float32."""
        return torch.cat([block for _, block in self._blocks()], dim=1)

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        """Highest logit, second highest, and token of the highest; each (predictions,)."""
        best = _Running(self._count, self._device)
        for start, block in self._blocks():
            best.add(start, block)
        return best.first, best.second, best.token

    def totals(self, rows: Tensor, columns: Tensor) -> tuple[_Running, Tensor]:
        """As ``best``, with the log of the sum of all (predictions,); and logits of some tokens.

        Args:
            rows: (targets,) int64 on the CPU, which prediction.
            columns: (targets,) int64 on the CPU, which token.
        """
        best = _Running(self._count, self._device)
        chosen = torch.zeros(len(rows), device=self._device)
        for start, block in self._blocks():
            here = ((columns >= start) & (columns < start + block.shape[1])).nonzero()[:, 0]
            at = (rows[here].to(self._device), (columns[here] - start).to(self._device))
            chosen[here.to(self._device)] = block[at]
            best.add(start, block, total=True)
        return best, chosen

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        step = block_size(self._device, self._vocabulary)
        for start in range(0, self._vocabulary, step):
            yield start, self._block(start, min(start + step, self._vocabulary))


class _Running:
    """Best tokens of the blocks so far; ``total``: log of the sum of their exponentials."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.first = torch.full((count,), LOWEST, device=device)
        self.second, self.total = self.first.clone(), self.first.clone()
        self.token = torch.zeros(count, dtype=torch.long, device=device)

    def add(self, start: int, block: Tensor, *, total: bool = False) -> None:
        """Take a block into account; it is overwritten."""
        first, token = block.max(-1)
        second = block.scatter_(-1, token[:, None], LOWEST).amax(-1)
        if total:
            rest = block.sub_(first[:, None]).exp_().sum(-1)
            self.total = torch.logaddexp(self.total, first + rest.log1p())
        better = first > self.first
        self.second = torch.maximum(
            torch.maximum(self.second, second), torch.minimum(self.first, first)
        )
        self.first = torch.maximum(self.first, first)  # NaN stays
        self.token = torch.where(better, token + start, self.token)
