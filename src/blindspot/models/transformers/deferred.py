"""A model that is loaded on first use: a run that finds all answers in the store never loads it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from blindspot.errors import ModelError
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Progress,
    Scored,
    ScoreRequest,
)
from blindspot.models.options import ModelOptions
from blindspot.models.pulse import loaded
from blindspot.models.transformers.changes import open_changes
from blindspot.models.transformers.checkpoint import Checkpoint, open_checkpoint
from blindspot.models.transformers.faults import explained
from blindspot.models.transformers.loader import identify, load
from blindspot.models.transformers.location import locate
from blindspot.models.transformers.sameness import same_weights

if TYPE_CHECKING:
    from blindspot.models.residual import ResidualStream
    from blindspot.models.transformers.model import CausalModel

#: Below this many parameters the matrices are too small to share between threads: a bundled model
#: of 0.7 million takes several times the CPU seconds with two threads on two busy cores.
_SMALL = 20_000_000


def threads_for(parameters: int, cores: int, workers: int) -> int:
    """CPU threads of one process: one for a small model, else this worker's share of the cores."""
    return 1 if parameters < _SMALL else max(1, cores // max(1, workers))


def settle_threads(parameters: int) -> None:
    """Set torch's CPU threads, unless the user did by OMP_NUM_THREADS."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(threads_for(parameters, os.cpu_count() or 1, workers))


class DeferredModel:
    """A `LanguageModel` by its options. Its identity only reads files, requests load it."""

    def __init__(self, options: ModelOptions) -> None:
        self.options = options

    def check_files(self) -> None:
        """Check that the model exists, without torch and without the network.

        Raises:
            ModelError: it does not, or its files are not those of a model.
        """
        options = self.options
        with explained(options.name, "cannot be read", kinds=(OSError,)):
            self._checkpoint()
            open_changes(options)

    def equals(self, other: DeferredModel) -> bool:
        """Whether both have the same weights, so that a comparison of them says nothing.

        Raises:
            ModelError: as `check_files`.
        """
        ours, theirs = self.options, other.options
        if (ours.adapter, ours.steer) != (theirs.adapter, theirs.steer):
            return False
        with explained(self.options.name, "cannot be read", kinds=(OSError,)):
            return same_weights(self._checkpoint(), other._checkpoint())

    def _checkpoint(self) -> Checkpoint:
        options = self.options
        located = locate(options.name, options.revision, code=options.trust_remote_code)
        return open_checkpoint(located)

    @cached_property
    def identity(self) -> Identity:
        """The identity of the model."""
        return identify(self.options)

    @cached_property
    def _model(self) -> CausalModel:
        began = time.monotonic()
        if self.identity.device == "cpu":
            settle_threads(self.identity.parameters)
        model = load(self.options)
        if model.identity.fingerprint() != self.identity.fingerprint():
            # Its answers would be stored as those of the previous checkpoint.
            raise ModelError(
                f"{self.options.name}: the checkpoint was replaced since the run began; run again"
            )
        loaded(time.monotonic() - began)
        return model

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on how it was loaded, for readers of its answers; none before it is."""
        return self._model.notes if "_model" in self.__dict__ else ()

    @property
    def residual(self) -> ResidualStream:
        """Its residual stream.

        Raises:
            ModelError: its architecture cannot be patched; names it and the check that failed.
        """
        return self._model.residual

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests."""
        return self._model.generate(requests, progress=progress)

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """Log-probability (nats) of each candidate as the whole continuation."""
        return self._model.score(requests, progress=progress)

    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """Greedy continuations, each as soon as it is complete."""
        self._model.generate_each(requests, done)

    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, Scored], None]
    ) -> None:
        """Log-probability (nats) of each candidate, request by request."""
        self._model.score_each(requests, done)

    def answer_each(
        self,
        scores: Sequence[ScoreRequest],
        generations: Sequence[GenerationRequest],
        scored: Callable[[int, Scored], None],
        generated: Callable[[int, Generation], None],
    ) -> None:
        """Both of the same prompts, each computed once."""
        self._model.answer_each(scores, generations, scored, generated)

    def release(self) -> None:
        """Release the weights; the next request loads them again."""
        if self.__dict__.pop("_model", None) is not None:
            gc.collect()  # a model and its hooks refer to each other
