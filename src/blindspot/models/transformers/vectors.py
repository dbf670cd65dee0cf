"""Vectors of words at all layers, read in batches that share prefixes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from blindspot.models.base import Progress
from blindspot.models.residual import Source, Vectors
from blindspot.models.transformers.blocks import Blocks, hidden_of
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.kv_cache import RowCache
from blindspot.models.transformers.memory import Budget
from blindspot.models.transformers.positions import locate
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.waves import Node, Wave

#: Reads of each token sequence: positions, and the number of the vector there.
Wanted = Mapping[Tokens, Sequence[tuple[int, int]]]


class ReadingEngine(Engine):
    """An engine whose passes also return the vectors.

    ``vectors``: of the last pass, (read, width) for each block, in the order of its reads.
    """

    def __init__(self, blocks: Blocks) -> None:
        """Read from these blocks."""
        super().__init__(blocks.model, blocks.name)
        self.blocks = blocks
        self.vectors: list[Tensor] = []

    def _forward(
        self, tokens: Tensor, mask: Tensor, places: Tensor, cache: RowCache | None, reads: Tensor
    ) -> Tensor:
        self.vectors = []

        def keep(_module: object, _arguments: object, output: object) -> None:
            hidden = hidden_of(output)
            self.vectors.append(hidden.flatten(0, 1)[reads.to(hidden.device)])

        hooks = [module.register_forward_hook(keep) for module in self.blocks.modules]
        with self.blocks.hooks(*hooks):
            return super()._forward(tokens, mask, places, cache, reads)


def read(
    engine: ReadingEngine,
    budget: Budget,
    prompts: PromptFormat,
    sources: Sequence[Source],
    *,
    progress: Progress | None = None,
) -> Vectors:
    """Vectors at all layers, as `ResidualStream.read`.

    Each prompt is computed up to the last word read (nothing later can change the vector), equal
    ones once.

    Raises:
        ModelError: a word that no token covers, a prompt that the model cannot take, or numbers
            that are not finite.
    """
    wanted: dict[Tokens, list[tuple[int, int]]] = defaultdict(list)
    finishes: dict[Tokens, int] = defaultdict(int)  # number of sources that a sequence finishes
    count = 0
    for source in sources:
        tokens, positions = locate(prompts, source.text, source.spans)
        cut = tokens[: max(positions, default=0) + 1]
        engine.blocks.admit(cut)
        finishes[cut] += 1
        for position in positions:
            wanted[cut].append((position, count))
            count += 1

    def done(tokens: Tokens) -> None:
        if progress is not None:
            progress(finishes.pop(tokens, 0))

    return vectors_at(engine, budget, wanted, done)


def vectors_at(
    engine: ReadingEngine,
    budget: Budget,
    wanted: Wanted,
    done: Callable[[Tokens], None] = lambda _: None,
) -> Vectors:
    """Vectors at positions of token sequences, (vector, layer, width) by their numbers.

    Args:
        engine: runs the passes.
        budget: their limits.
        wanted: numbers run from 0 on.
        done: called with each sequence that is finished.
    """
    count = sum(map(len, wanted.values()))
    vectors = np.empty((count, engine.blocks.layers, engine.blocks.width), np.float32)
    ordered = sorted(wanted)

    def work(run: range) -> None:
        wave = Wave(engine, budget, ordered[run.start : run.stop])
        numbers: dict[tuple[Node, int], list[int]] = defaultdict(list)
        for row in wave.rows:
            chain = wave.chain(row)
            for position, number in wanted[row.tokens]:
                node = next(node for node in chain if position >= node.begin)
                node.wanted[position] = set()
                numbers[node, position].append(number)

        def reader(_logits: Tensor, places: list[tuple[Node, int]]) -> None:
            found = torch.stack([layer.float().cpu() for layer in engine.vectors], dim=1)
            for place, vector in zip(places, found.numpy(), strict=True):
                vectors[numbers[place]] = vector  # (layer, width)

        for rows in wave.groups(reader):
            for batch in wave.batches([row for row in rows if row.wanted]):
                wave.compute(batch, reader, keep=False)
            for row in rows:
                done(row.tokens)

    budget.waves(ordered, work)
    engine.vectors = []
    if not np.isfinite(vectors).all():
        raise engine.blocks.not_finite()
    return vectors
