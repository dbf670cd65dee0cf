"""The residual stream of a model whose replicas share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from blindspot.models.base import Progress, Request, Result
from blindspot.models.replicas.crew import Crew
from blindspot.models.replicas.parts import ranges
from blindspot.models.replicas.replica import Look, Work
from blindspot.models.residual import (
    DescriptionRequest,
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
        # Stretches of vectors: in an order that mixes them, each is a mixture.
        parts = ranges(len(vectors), self._replicas, _LEAST)
        asked = {"questions": list(questions), "into": into, "how": how}
        chosen = None if layers is None else list(layers)
        looks = []
        for part in parts:
            some = vectors[part.start : part.stop]
            if chosen is None:
                looks.append(self._look("patch", vectors=some, **asked))
            else:
                given = asked | {"vectors": some[:, chosen], "layers": chosen}
                looks.append(Look("patch", given, self._rows, chosen))
        each = len(questions) * (self.layers if chosen is None else len(chosen))
        found: list[Readout] = self._all(looks, [len(part) * each for part in parts], progress)
        return Readout(
            np.concatenate([one.patched for one in found]),
            np.mean([one.unpatched for one in found], axis=0, dtype=np.float32),
        )

    def describe(
        self,
        requests: Sequence[DescriptionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """As of `ResidualStream`."""

        def look(some: Sequence[DescriptionRequest]) -> Look:
            used, place = _used(one.vector for one in some)
            renumbered = [replace(one, vector=place[one.vector]) for one in some]
            return self._look("describe", requests=renumbered, vectors=vectors[used])

        return self._each(requests, look, done)

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        """As of `ResidualStream`."""

        def look(some: Sequence[InjectionRequest]) -> Look:
            used, place = _used(vector for one in some for vector in one.vectors)
            renumbered = [
                replace(one, vectors=tuple(place[vector] for vector in one.vectors)) for one in some
            ]
            return self._look("inject", requests=renumbered, vectors=vectors[used])

        return self._each(requests, look, done)

    def _each(
        self,
        requests: Sequence[Request],
        look: Callable[[Sequence[Request]], Look],
        done: Callable[[int, Result], None] | None,
    ) -> list[Result]:
        """The results of requests, whose parts the replicas share."""
        parts = ranges(len(requests), self._replicas, _LEAST)
        found: dict[int, Result] = {}

        def finish(number: int, results: Sequence[Result]) -> None:
            for request, result in zip(parts[number], results, strict=True):
                found[request] = result
                if done is not None:
                    done(request, result)

        looks = [look([requests[number] for number in part]) for part in parts]
        self._crew.each(looks, finish)
        return [found[number] for number in range(len(requests))]

    def _look(self, method: str, **arguments: Any) -> Look:
        return Look(method, arguments, self._rows)

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


def _used(vectors: Iterable[int]) -> tuple[list[int], dict[int, int]]:
    """Which vectors requests use, and the place of each among these."""
    used = sorted(set(vectors))
    return used, {vector: place for place, vector in enumerate(used)}
