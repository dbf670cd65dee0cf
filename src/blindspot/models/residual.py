"""The protocol of the residual stream: the interface between the assays and any backend.

Pure data and typing; imports no torch. Vectors cross the interface as float32 numpy arrays, which
represent bfloat16 and float16 exactly. Layers count blocks from 0: a vector "at layer l" is the
output of block l (the input of block l + 1), the convention of TransformerLens'
``hook_resid_post``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blindspot.models.base import Generation, Identity, Progress
from blindspot.stimuli.questions import Question
from blindspot.stimuli.template import Span

Vectors = NDArray[np.float32]


class Write(Enum):
    """How writing a vector v changes a token's vector h."""

    OVERWRITE = "overwrite"  # v
    ADD = "add"  # h + v
    SCALE = "scale"  # h * v, entry by entry: a factor is a vector of it, 0 removes

    def onto(self, there: Any, vectors: Any) -> Any:
        """The result; tensors or arrays of equal shape, or one h for all."""
        if self is Write.OVERWRITE:
            return vectors
        return there + vectors if self is Write.ADD else there * vectors


@dataclass(frozen=True, slots=True)
class Source:
    """A prompt and the words in it whose vectors are read.

    ``spans``: characters (start, end) in ``text``, one per vector, end exclusive. The vector is
    that of the word's last token, the only one that has seen the whole word.
    """

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class Readout:
    """Log-probabilities (nats, float32) over the whole vocabulary, natural logarithm.

    Layers are those that were asked for. ``patched``: (vector, question, layer, candidate) while
    the vector of that layer replaces the placeholder. ``unpatched``: (question, layer, candidate)
    from identity patches (the placeholder's own vector) in the same batches, computed by the same
    code path.
    """

    patched: NDArray[np.float32]
    unpatched: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DescriptionRequest:
    """A question to continue greedily while a vector replaces its placeholder.

    ``vector``: row of the vector array; ``layer``: of that vector, and where it is written.
    ``how``: how writing changes the output of the layer.
    """

    question: Question
    vector: int
    layer: int
    max_new_tokens: int = 20
    how: Write = Write.OVERWRITE


@dataclass(frozen=True, slots=True)
class InjectionRequest:
    """A prompt to answer while vectors replace some of its words.

    ``spans``: characters in ``prompt``; ``vectors``: for each span the row of the vector array.
    ``window``: layers (first, last + 1) whose outputs are overwritten, None for an untouched
    prompt. The answer is continued greedily until ``is_complete`` or ``max_new_tokens``;
    ``candidates`` are scored as whole continuations. ``how``: how writing changes the output of
    each layer in the window.
    """

    prompt: str
    spans: tuple[Span, ...]
    vectors: tuple[int, ...]
    window: tuple[int, int] | None
    is_complete: Callable[[str], bool]
    candidates: tuple[str, ...]
    max_new_tokens: int = 40
    how: Write = Write.OVERWRITE


@dataclass(frozen=True, slots=True)
class Injected:
    """Answer to an injection: greedy text, and log-probability (nats) of each candidate."""

    generation: Generation
    scores: tuple[float, ...]


@runtime_checkable
class ResidualStream(Protocol):
    """Read, write and resume the residual stream of one model."""

    @property
    def layers(self) -> int:
        """Number of blocks."""
        ...

    @property
    def width(self) -> int:
        """Entries of a vector."""
        ...

    def in_batches(self, rows: int) -> ResidualStream:
        """The same stream, with at most this many rows per pass even if memory allows more."""
        ...

    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Vectors:
        """Vectors at all layers, (vector, layer, width), sources in order, spans within."""
        ...

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
        """Overwrite the placeholder of every question with every vector and read the candidates.

        Args:
            vectors: (vector, layer, width).
            questions: all with candidates, the same number in each.
            into: target layer of all vectors; None writes each at its own layer.
            layers: whose vectors are written, None for all.
            how: what writing does.
            progress: called with the number of (vector, question, layer) finished.
        """
        ...

    def describe(
        self,
        requests: Sequence[DescriptionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """Continuations of questions while vectors, (vector, layer, width), are written.

        ``done``: called with the number of a request and its text, as soon as it is known.
        """
        ...

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        """Answers to prompts while vectors, (vector, layer, width), replace their words.

        ``done``: called with the number of a request and its answer, as soon as it is known.
        """
        ...


@runtime_checkable
class HasResidualStream(Protocol):
    """A `LanguageModel` whose residual stream can be read and written."""

    @property
    def identity(self) -> Identity:
        """What is answering."""
        ...

    @property
    def residual(self) -> ResidualStream:
        """Its residual stream.

        Raises:
            ModelError: its architecture cannot be patched; names it and the check that failed.
        """
        ...
