"""A residual stream that keeps what a unit finds piece by piece, not only when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from blindspot.measurements.mechanistic import Findings
from blindspot.models.base import Generation, Progress, Result
from blindspot.models.residual import (
    DescriptionRequest,
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

#: Called with the number of a piece and what was found.
_Done = Callable[[int, Findings], None]
#: Rows of the first patches, and seconds that a list of them should take: what is found is kept
#: every ten.
_FIRST, _SHORT_S, _LONG_S = 16, 3.0, 6.0


class KeptStream:
    """A stream whose patches, texts and answers are kept for a unit that may be ended early.

    A piece is a question at a layer, a text, or an injected answer. The calls of a unit and their
    pieces have the same numbers in every run, under which the next run finds what is left of an
    earlier one. Vectors are not kept: they are large, and soon read again.
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
        cells = [(question, layer) for question in range(len(questions)) for layer in chosen]

        def look(numbers: Sequence[int], done: _Done) -> None:
            if progress is not None:
                progress((len(cells) - len(numbers)) * len(vectors))  # what was kept
            first = max(1, _FIRST // max(1, len(vectors)))
            for part in spells(len(numbers), first=first, short=_SHORT_S, long=_LONG_S):
                some = iter(numbers[part])
                for question, mine in groupby(numbers[part], lambda number: cells[number][0]):
                    found = self._stream.patch(
                        vectors,
                        [questions[question]],
                        into=into,
                        layers=[cells[number][1] for number in mine],
                        how=how,
                        progress=progress,
                    )
                    for place in range(found.patched.shape[2]):
                        patched, own = found.patched[:, 0, place], found.unpatched[0, place]
                        done(next(some), {"patched": patched, "own": own})

        found = self._pieces(len(cells), look, len(vectors))
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
        requests: Sequence[DescriptionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """As of the stream."""

        def look(numbers: Sequence[int], found: _Done) -> None:
            some = [requests[number] for number in numbers]
            self._stream.describe(
                some, vectors, done=lambda n, text: found(numbers[n], {"texts": [text]})
            )

        return self._each(len(requests), look, lambda piece: str(piece["texts"][0]), done)

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        """As of the stream."""

        def look(numbers: Sequence[int], found: _Done) -> None:
            some = [requests[number] for number in numbers]
            self._stream.inject(some, vectors, done=lambda n, one: found(numbers[n], _packed(one)))

        return self._each(len(requests), look, _injected, done)

    def flush(self) -> None:
        """Store all that was found."""
        for name, (piece, size) in self._waiting.items():
            self._keep.hold(self._key, name, pack(piece), size)
        self._waiting = {}
        self._keep.store()

    def _each(
        self,
        count: int,
        look: Callable[[Sequence[int], _Done], None],
        read: Callable[[Findings], Result],
        done: Callable[[int, Result], None] | None,
    ) -> list[Result]:
        """Results of requests, from their pieces."""

        def told(number: int, piece: Findings) -> None:
            if done is not None:
                done(number, read(piece))

        return [read(piece) for piece in self._pieces(count, look, 1, told)]

    def _pieces(
        self,
        count: int,
        look: Callable[[Sequence[int], _Done], None],
        size: int,
        told: _Done | None = None,
    ) -> list[Findings]:
        """Findings of the numbered pieces of a call; those that are kept are not made again.

        Args:
            count: of pieces.
            look: finds these pieces, and hands over each as soon as it is found.
            size: of a piece, in rows.
            told: takes each piece, whether it was kept or is found.
        """
        self._calls += 1
        names = [f"{self._calls}-{number}" for number in range(count)]
        kept = self._keep.parts((self._key, name) for name in names)
        found: dict[int, Findings] = {}

        def add(number: int, piece: Findings) -> None:
            found[number] = piece
            if told is not None:
                told(number, piece)

        def done(number: int, piece: Findings) -> None:
            add(number, piece)
            self._waiting[names[number]] = piece, size
            if self._keep.due:
                self.flush()

        for number, name in enumerate(names):
            if (value := kept.get((self._key, name))) is not None and (piece := _sound(value)):
                add(number, piece)
        if left := [number for number in range(count) if number not in found]:
            look(left, done)
        return [found[number] for number in range(count)]


def _sound(value: Any) -> Findings:
    """A piece as it was stored; empty if it is damaged."""
    try:
        return unpack(value)
    except ValueError:
        return {}


def _packed(one: Injected) -> Findings:
    text = one.generation
    return {
        "texts": [text.text],
        "figures": np.array([text.tokens, text.complete, text.margin, *one.scores]),
    }


def _injected(piece: Findings) -> Injected:
    tokens, complete, margin, *scores = np.asarray(piece["figures"], np.float64).tolist()
    text = str(piece["texts"][0])
    return Injected(Generation(text, int(tokens), bool(complete), margin), tuple(scores))
