"""Rows with tokens that vectors overwrite while the model reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from blindspot.models.residual import Vectors, Write
from blindspot.models.transformers.blocks import Blocks, hidden_of, with_hidden
from blindspot.models.transformers.engine import Engine, Pass, Row
from blindspot.models.transformers.kv_cache import Pool
from blindspot.models.transformers.memory import Budget, limits_for
from blindspot.models.transformers.prefix_tree import Tokens
from blindspot.models.transformers.selfcheck import check

#: Marks are numbered from here, beyond every vocabulary.
_MARKS = 1 << 40
_WRITES = tuple(Write)


@dataclass(frozen=True, slots=True)
class Mark:
    """A token that a vector overwrites.

    ``vector``: its row; ``window``: layers (first, last + 1) whose outputs are overwritten;
    ``how``: what writing does.
    """

    token: int
    vector: int
    window: tuple[int, int]
    how: Write


@dataclass(frozen=True, slots=True)
class _Writes:
    """The writes of a pass; of each: row, place in the chunk, vector, layers, and how."""

    rows: Tensor
    places: Tensor
    vectors: Tensor
    first: Tensor
    last: Tensor
    how: Tensor

    @classmethod
    def of(cls, writes: Sequence[tuple[int, int, Mark]]) -> _Writes:
        columns = [
            (row, place, mark.vector, *mark.window, _WRITES.index(mark.how))
            for row, place, mark in writes
        ]
        return cls(*torch.tensor(columns, dtype=torch.long).reshape(-1, 6).T)

    @property
    def layers(self) -> range:
        """Layers that any write reaches."""
        return range(int(self.first.min()), int(self.last.max())) if len(self.rows) else range(0)


class WritingEngine(Engine):
    """An engine whose rows may contain marks instead of tokens.

    Equal marks are equal numbers, so two rows share a prefix only if the same vectors overwrite it
    at the same layers, and anything shared between rows, including a cache, is valid for both. A
    mark acts in the pass that computes its token; later tokens see it in the cache.
    """

    def __init__(self, blocks: Blocks, vectors: Vectors) -> None:
        """Prepare to write.

        Args:
            blocks: of the model.
            vectors: (vector, layer, width) float32.

        Raises:
            ValueError: the vectors are not of this model's shape, or not finite.
        """
        if vectors.ndim != 3 or vectors.shape[1:] != (blocks.layers, blocks.width):
            raise ValueError(
                f"vectors of shape {vectors.shape} are not (vector, {blocks.layers} layers, "
                f"{blocks.width} wide) as {blocks.name} needs them"
            )
        self._vectors = torch.tensor(vectors, dtype=torch.float32)
        if not bool(torch.isfinite(self._vectors).all()):
            raise ValueError("a vector to be written contains NaN or infinity")
        super().__init__(blocks.model, blocks.name)
        self._blocks = blocks
        self._marks: list[Mark] = []
        self._numbers: dict[Mark, int] = {}

    def mark(self, mark: Mark) -> int:
        """The number of a mark in a row."""
        if mark not in self._numbers:
            self._numbers[mark] = _MARKS + len(self._marks)
            self._marks.append(mark)
        return self._numbers[mark]

    def marked(
        self,
        tokens: Tokens,
        vectors: Mapping[int, int],
        window: tuple[int, int],
        read: int,
        how: Write = Write.OVERWRITE,
    ) -> Tokens:
        """Tokens with marks at some positions.

        Args:
            tokens: of a prompt.
            vectors: row of the vector array, by position.
            window: layers (first, last + 1).
            read: the first token whose output is read.
            how: what writing does.
        """
        found = list(tokens)
        for position, vector in vectors.items():
            first, last = window
            if position < read:
                # After the last block nothing reads earlier tokens: rows that differ only there are
                # the same row.
                last = min(last, self._blocks.layers - 1)
            if first < last:
                found[position] = self.mark(Mark(tokens[position], vector, (first, last), how))
        return tuple(found)

    def extend(
        self,
        rows: Sequence[Row],
        pool: Pool | None,
        reads: Sequence[tuple[int, int]],
        *,
        keep: bool,
        room: int = 0,
    ) -> Pass:
        """As `Engine.extend`, for rows that may contain marks."""
        chunk = max(row.fresh for row in rows)
        plain, writes = [], []
        for number, row in enumerate(rows):
            marks = [at for at, token in enumerate(row.tokens) if token >= _MARKS]
            if marks:
                tokens, shift = list(row.tokens), chunk - len(row.tokens)
                for at in marks:
                    mark = self._marks[tokens[at] - _MARKS]
                    tokens[at] = mark.token
                    # The pass computes the last tokens of each row, as many as of the longest.
                    if at + shift >= 0:
                        writes.append((number, at + shift, mark))
                row = replace(row, tokens=tuple(tokens))  # noqa: PLW2901
            plain.append(row)
        with self._written(_Writes.of(writes)):
            return super().extend(plain, pool, reads, keep=keep, room=room)

    @contextmanager
    def _written(self, writes: _Writes) -> Iterator[None]:
        """Write during the passes within."""
        with ExitStack() as stack:
            for layer, (number, how) in product(writes.layers, enumerate(_WRITES)):
                here = (writes.first <= layer) & (layer < writes.last) & (writes.how == number)
                if not bool(here.any()):
                    continue
                at = (writes.rows[here], writes.places[here])
                values = self._vectors[writes.vectors[here], layer]
                module = self._blocks.modules[layer]
                stack.callback(module.register_forward_hook(_writer(at, values, how)).remove)
            yield


def _writer(at: tuple[Tensor, Tensor], values: Tensor, how: Write) -> Any:
    """A hook that writes ``values`` (write, width) at (row, place) of what a block returns."""

    def write(_module: Any, _arguments: Any, output: Any) -> Any:
        hidden = hidden_of(output)
        index = tuple(part.to(hidden.device) for part in at)
        # Out of place: other code may hold what a block returns.
        written = how.onto(hidden[index], values.to(hidden))
        return with_hidden(output, hidden.index_put(index, written))

    return write


@contextmanager
def writing(
    blocks: Blocks, vectors: Vectors, rows: int | None
) -> Iterator[tuple[WritingEngine, Budget]]:
    """An engine that writes these vectors, and the limits of its passes.

    Args:
        blocks: of the model.
        vectors: (vector, layer, width) float32.
        rows: most rows of a pass, None to choose by memory.

    Raises:
        ValueError: the vectors are not of this model's shape, or not finite.
        ModelError: the model produces no finite numbers.
    """
    engine = WritingEngine(blocks, vectors)
    try:
        if engine.device.type == "cuda":
            # Memory reserved for reuse does not count as free.
            torch.cuda.empty_cache()
        if blocks.checked is None:  # passes of their own, and the same for all vectors
            blocks.checked = check(engine), engine.shares, engine.unshared
        kv_bytes, engine.shares, engine.unshared = blocks.checked
        limits = limits_for(
            engine.device, kv_bytes=kv_bytes, vocabulary=engine.vocabulary, rows=rows
        )
        yield engine, Budget(limits, blocks.name)
    finally:
        engine.close()
