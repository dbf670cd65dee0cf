"""A replica: a model in an actor, and the pieces of work that it is sent. Imports no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from blindspot import __version__
from blindspot.models.base import Generation, GenerationRequest, Identity, Scored, ScoreRequest
from blindspot.models.options import ModelOptions
from blindspot.models.pulse import heard
from blindspot.models.residual import ResidualStream
from blindspot.models.transformers.deferred import DeferredModel

Value = TypeVar("Value")
Found_co = TypeVar("Found_co", covariant=True)


class Work(Protocol[Found_co]):
    """What a replica is sent: a picklable call of its model."""

    def __call__(self, model: DeferredModel) -> Found_co:
        """Do it."""
        ...


@dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """What came of it; ``tokens``: that were computed for it."""

    value: Value
    tokens: int


class Replica:
    """The model of an actor."""

    def __init__(self, options: ModelOptions) -> None:
        self._model = DeferredModel(options)

    def do(self, work: Work[Value]) -> Done[Value]:
        """Do a piece of work, and count the tokens of its passes."""
        tokens = 0

        def computed(count: int) -> None:
            nonlocal tokens
            tokens += count

        with heard(computed):
            value = work(self._model)
        return Done(value, tokens)


@dataclass(frozen=True, slots=True)
class Identify:
    """Read the files of the model, without its weights."""

    def __call__(self, model: DeferredModel) -> Identity:
        """The identity."""
        model.check_files()
        return model.identity


@dataclass(frozen=True, slots=True)
class Loaded:
    """A replica that is ready: what it holds, what it says of it, and which code it runs."""

    identity: Identity
    notes: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Load:
    """Load the weights."""

    def __call__(self, model: DeferredModel) -> Loaded:
        """What is loaded."""
        model.generate([])
        return Loaded(model.identity, model.notes, __version__)


@dataclass(frozen=True, slots=True)
class Generate:
    """Continue prompts."""

    requests: Sequence[GenerationRequest]

    def __call__(self, model: DeferredModel) -> list[Generation]:
        """Their continuations, in order."""
        return model.generate(self.requests)


@dataclass(frozen=True, slots=True)
class Score:
    """Score candidates."""

    requests: Sequence[ScoreRequest]

    def __call__(self, model: DeferredModel) -> list[Scored]:
        """Their log-probabilities, in order."""
        return model.score(self.requests)


@dataclass(frozen=True, slots=True)
class Answer:
    """Score candidates and continue the same prompts."""

    scores: Sequence[ScoreRequest]
    generations: Sequence[GenerationRequest]

    def __call__(self, model: DeferredModel) -> list[tuple[Scored, Generation]]:
        """Both, in order."""
        scored: dict[int, Scored] = {}
        generated: dict[int, Generation] = {}
        model.answer_each(self.scores, self.generations, scored.__setitem__, generated.__setitem__)
        return [(scored[number], generated[number]) for number in range(len(self.scores))]


@dataclass(frozen=True, slots=True)
class Look:
    """Call a method of the residual stream.

    Attributes:
        method: its name; "" for the numbers of layers and of entries of a vector.
        arguments: what it takes, by name; of ``vectors`` only those of `layers`.
        rows: most rows of a pass, None to choose by memory.
        layers: whose vectors are sent, None for all.
    """

    method: str
    arguments: dict[str, Any]
    rows: int | None = None
    layers: Sequence[int] | None = None

    def __call__(self, model: DeferredModel) -> Any:
        """What it returns."""
        stream: ResidualStream = model.residual
        if not self.method:
            return stream.layers, stream.width
        if self.rows is not None:
            stream = stream.in_batches(self.rows)
        arguments = dict(self.arguments)
        if self.layers is not None:
            sent = arguments["vectors"]
            arguments["vectors"] = np.zeros((len(sent), stream.layers, stream.width), np.float32)
            arguments["vectors"][:, list(self.layers)] = sent
        return getattr(stream, self.method)(**arguments)
