"""The residual stream of a model whose replicas share the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from blindspot.models.base import Progress
from blindspot.models.replicas.crew import Crew
from blindspot.models.replicas.parts import ranges
from blindspot.models.replicas.replica import Look, Work
from blindspot.models.residual import (
    Injected,
    InjectionRequest,
    Readout,
    Source,
    Vectors,
    Write,
)
from blindspot.stimuli import Question

#: Fewest contexts, vectors or requests that are worth sending.
_LEAST = 8


class SharedStream:
    """Lists of contexts, vectors and requests, cut where a list of one process may be cut too.

    Vectors travel only for the layers and rows that a part needs.
    """

    def __init__(self, crew: Crew, replicas: int, rows: int | None = None) -> None:
        self._crew, self._replicas, self._rows = crew, replicas, rows

    @cached_property
    def _shape(self) -> tuple[int, int]:
        (found,) = self._all([Look("", {})], [0], None)
        return int(found[0]), int(found[1])

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self._shape[0]

    @property
    def width(self) -> int:
        """Entries of a vector."""
        return self._shape[1]

    def in_batches(self, rows: int) -> SharedStream:
        """The same stream, with at most this many rows per pass."""
        return SharedStream(self._crew, self._replicas, rows)

    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Vectors:
        """As of `ResidualStream`."""
        parts = ranges(len(sources), self._replicas, _LEAST)
        found = self._all(
            [self._look("read", sources=[sources[n] for n in part]) for part in parts],
            [len(part) for part in parts],
            progress,
        )
        return np.concatenate(found)

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
        """As of `ResidualStream`; ``unpatched`` is the mean over parts, as it is over batches."""

        def look(some: Vectors) -> Look:
            more = {"questions": list(questions), "into": into, "how": how}
            return self._written("patch", some, layers, **more)

        found: list[Readout] = self._vectors(vectors, look, questions, layers, progress)
        return Readout(
            np.concatenate([one.patched for one in found]),
            np.mean([one.unpatched for one in found], axis=0, dtype=np.float32),
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
        """As of `ResidualStream`."""

        def look(some: Vectors) -> Look:
            more = {"questions": list(questions), "max_new_tokens": max_new_tokens, "how": how}
            return self._written("describe", some, layers, **more)

        found = self._vectors(vectors, look, questions, layers, progress)
        return [texts for part in found for texts in part]

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        progress: Progress | None = None,
    ) -> list[Injected]:
        """As of `ResidualStream`."""
        looks = []
        parts = ranges(len(requests), self._replicas, _LEAST)
        for part in parts:
            some = [requests[number] for number in part]
            used = sorted({vector for one in some for vector in one.vectors})
            place = {vector: number for number, vector in enumerate(used)}
            renumbered = [
                replace(one, vectors=tuple(place[vector] for vector in one.vectors)) for one in some
            ]
            looks.append(self._look("inject", requests=renumbered, vectors=vectors[used]))
        found = self._all(looks, [len(part) for part in parts], progress)
        return [injected for part in found for injected in part]

    def _look(self, method: str, **arguments: Any) -> Look:
        return Look(method, arguments, self._rows)

    def _written(
        self, method: str, vectors: Vectors, layers: Sequence[int] | None, **arguments: Any
    ) -> Look:
        """With the vectors of some layers alone."""
        if layers is None:
            return self._look(method, vectors=vectors, **arguments)
        some = list(layers)
        arguments |= {"vectors": vectors[:, some], "layers": some}
        return Look(method, arguments, self._rows, some)

    def _vectors(
        self,
        vectors: Vectors,
        look: Callable[[Vectors], Look],
        questions: Sequence[Question],
        layers: Sequence[int] | None,
        progress: Progress | None,
    ) -> list[Any]:
        """What comes of stretches of vectors: in an order that mixes them, each is a mixture."""
        parts = ranges(len(vectors), self._replicas, _LEAST)
        each = len(questions) * (self.layers if layers is None else len(layers))
        return self._all(
            [look(vectors[part.start : part.stop]) for part in parts],
            [len(part) * each for part in parts],
            progress,
        )

    def _all(
        self, parts: Sequence[Work[Any]], sizes: Sequence[int], progress: Progress | None
    ) -> list[Any]:
        """The results of all parts, in order; ``sizes``: of the progress that each is."""
        found: dict[int, Any] = {}

        def done(number: int, result: Any) -> None:
            found[number] = result
            if progress is not None:
                progress(sizes[number])

        self._crew.each(parts, done)
        return [found[number] for number in range(len(parts))]
