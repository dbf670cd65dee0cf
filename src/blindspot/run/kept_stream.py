"""A residual stream that keeps what a unit finds piece by piece, not only when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from blindspot.measurements.mechanistic import Findings
from blindspot.models.base import Generation, Progress
from blindspot.models.residual import (
    Injected,
    InjectionRequest,
    Readout,
    ResidualStream,
    Source,
    Vectors,
    Write,
)
from blindspot.run.findings import pack, unpack
from blindspot.run.keeper import Keeper
from blindspot.run.spells import spells
from blindspot.stimuli import Question

#: Rows of the first list, and seconds that a list should take: what is found is kept every ten.
_FIRST, _SHORT_S, _LONG_S = 16, 3.0, 6.0


class KeptStream:
    """A stream whose patches, texts and answers are kept for a unit that may be ended early.

    A piece is a question at a layer, or an injected answer. The calls of a unit and their pieces
    have the same numbers in every run, under which the next run finds what is left of an earlier
    one. Vectors are not kept: they are large, and soon read again.
    """

    def __init__(self, stream: ResidualStream, keep: Keeper, key: bytes) -> None:
        self._stream, self._keep, self._key = stream, keep, key
        self._calls = 0
        self._waiting: dict[str, tuple[Findings, int]] = {}

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self._stream.layers

    @property
    def width(self) -> int:
        """Entries of a vector."""
        return self._stream.width

    def in_batches(self, rows: int) -> ResidualStream:
        """As of the stream, which keeps nothing."""
        return self._stream.in_batches(rows)

    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Vectors:
        """As of the stream."""
        return self._stream.read(sources, progress=progress)

    def patch(
        self,
        vectors: Vectors,
        questions: Sequence[Question],
        *,
        into: int | None = None,
        layers: Sequence[int] | None = None,
        how: Write = Write.OVERWRITE,
        progress: Progress | None = None,
    ) -> Readout:
        """As of the stream."""
        chosen = list(range(self.layers) if layers is None else layers)

        def do(question: int, some: Sequence[int]) -> Iterable[Findings]:
            found = self._stream.patch(
                vectors, [questions[question]], into=into, layers=some, how=how, progress=progress
            )
            for place in range(len(some)):
                patched, own = found.patched[:, 0, place], found.unpatched[0, place]
                yield {"patched": patched, "own": own}

        found = self._cells(len(questions), chosen, do, len(vectors), progress)
        shape = len(questions), len(chosen)
        patched = np.array([one["patched"] for one in found], np.float32)
        own = np.array([one["own"] for one in found], np.float32)
        candidates = len(questions[0].candidates) if questions else 0
        return Readout(
            np.moveaxis(patched.reshape(*shape, len(vectors), candidates), 2, 0),
            own.reshape(*shape, candidates),
        )

    def describe(
        self,
        vectors: Vectors,
        questions: Sequence[Question],
        *,
        max_new_tokens: int = 20,
        layers: Sequence[int] | None = None,
        how: Write = Write.OVERWRITE,
        progress: Progress | None = None,
    ) -> list[list[list[str]]]:
        """As of the stream."""
        chosen = list(range(self.layers) if layers is None else layers)

        def do(question: int, some: Sequence[int]) -> Iterable[Findings]:
            texts = self._stream.describe(
                vectors,
                [questions[question]],
                max_new_tokens=max_new_tokens,
                layers=some,
                how=how,
                progress=progress,
            )
            for place in range(len(some)):
                yield {"texts": [rows[0][place] for rows in texts]}

        found = self._cells(len(questions), chosen, do, len(vectors), progress)
        return [
            [
                [str(one["texts"][vector]) for one in found[first : first + len(chosen)]]
                for first in range(0, len(found), len(chosen))
            ]
            for vector in range(len(vectors))
        ]

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        progress: Progress | None = None,
    ) -> list[Injected]:
        """As of the stream."""

        def do(numbers: Sequence[int]) -> Iterable[Findings]:
            some = [requests[number] for number in numbers]
            for one in self._stream.inject(some, vectors, progress=progress):
                text = one.generation
                yield {
                    "texts": [text.text],
                    "figures": np.array([text.tokens, text.complete, text.margin, *one.scores]),
                }

        found = self._pieces(len(requests), do, 1, progress)
        return [_injected(one) for one in found]

    def flush(self) -> None:
        """Store all that was found."""
        for name, (piece, size) in self._waiting.items():
            self._keep.hold(self._key, name, pack(piece), size)
        self._waiting = {}
        self._keep.store()

    def _cells(
        self,
        questions: int,
        layers: Sequence[int],
        do: Callable[[int, Sequence[int]], Iterable[Findings]],
        size: int,
        progress: Progress | None,
    ) -> list[Findings]:
        """Findings of every question at every layer, question by question."""
        cells = [(question, layer) for question in range(questions) for layer in layers]

        def some(numbers: Sequence[int]) -> Iterable[Findings]:
            for question, mine in groupby((cells[n] for n in numbers), lambda cell: cell[0]):
                yield from do(question, [layer for _, layer in mine])

        return self._pieces(len(cells), some, size, progress)

    def _pieces(
        self,
        count: int,
        do: Callable[[Sequence[int]], Iterable[Findings]],
        size: int,
        progress: Progress | None,
    ) -> list[Findings]:
        """Findings of the numbered pieces of a call; those that are kept are not made again."""
        self._calls += 1
        names = [f"{self._calls}-{number}" for number in range(count)]
        kept = self._keep.parts((self._key, name) for name in names)
        found: dict[int, Findings] = {}
        for number, name in enumerate(names):
            if (value := kept.get((self._key, name))) is not None and (piece := _sound(value)):
                found[number] = piece
        if found and progress is not None:
            progress(size * len(found))
        left = [number for number in range(count) if number not in found]
        first = max(1, _FIRST // size)
        for some in spells(len(left), first=first, short=_SHORT_S, long=_LONG_S):
            for number, piece in zip(left[some], do(left[some]), strict=True):
                found[number] = piece
                self._waiting[names[number]] = piece, size
            if self._keep.due:
                self.flush()
        return [found[number] for number in range(count)]


def _sound(value: Any) -> Findings:
    """A piece as it was stored; empty if it is damaged."""
    try:
        return unpack(value)
    except ValueError:
        return {}


def _injected(piece: Findings) -> Injected:
    tokens, complete, margin, *scores = np.asarray(piece["figures"], np.float64).tolist()
    text = str(piece["texts"][0])
    return Injected(Generation(text, int(tokens), bool(complete), margin), tuple(scores))
