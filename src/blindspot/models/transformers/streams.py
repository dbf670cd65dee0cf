"""The residual stream of a transformers model, behind the `ResidualStream` protocol."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from blindspot.models.base import Progress
from blindspot.models.residual import (
    DescriptionRequest,
    Injected,
    InjectionRequest,
    Readout,
    Source,
    Vectors,
    Write,
)
from blindspot.models.transformers import injections
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.memory import Budget, limits_for
from blindspot.models.transformers.patches import Sweep
from blindspot.models.transformers.selfcheck import check
from blindspot.models.transformers.stream_check import SelfCheck
from blindspot.models.transformers.vectors import ReadingEngine, read
from blindspot.stimuli import Question


class TransformersStream:
    """Reads and writes the residual stream of any causal language model of transformers.

    ``tier``: how patches are run, chosen by the self-check.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: Any,
        prompts: PromptFormat,
        name: str,
        *,
        ends: frozenset[int],
        rows: int | None = None,
    ) -> None:
        """Find the blocks and try them.

        Args:
            model: in evaluation mode, on the device where it runs.
            prompts: its tokenizer and template.
            name: of the model, for messages.
            ends: ids of the tokens that end a text.
            rows: most rows of a forward pass (a patch needs two), None to choose by memory.

        Raises:
            ModelError: its architecture cannot be patched; names it and the check that failed.
        """
        self._prompts, self._ends, self._rows = prompts, ends, rows
        self._blocks = Blocks(model, name)
        checked = SelfCheck(self._blocks)
        self.tier = checked.tier
        self._engine = ReadingEngine(self._blocks)
        self._kv_bytes = check(self._engine)
        self._budget = self._budgeted()
        checked.check_reading(self._engine, self._budget)

    def _budgeted(self) -> Budget:
        limits = limits_for(
            self._engine.device,
            kv_bytes=self._kv_bytes,
            vocabulary=self._engine.vocabulary,
            rows=self._rows,
        )
        return Budget(limits, self._blocks.name)

    def in_batches(self, rows: int) -> TransformersStream:
        """The same stream, with at most this many rows per pass (a patch needs two)."""
        stream = copy.copy(self)
        stream._rows = rows
        stream._budget = stream._budgeted()
        return stream

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self._blocks.layers

    @property
    def width(self) -> int:
        """Entries of a vector."""
        return self._blocks.width

    @torch.inference_mode()
    def read(self, sources: Sequence[Source], *, progress: Progress | None = None) -> Vectors:
        """Vectors at all layers, (vector, layer, width), sources in order, spans within.

        Raises:
            ModelError: a word that no token covers, or a prompt that the model cannot take.
        """
        return read(self._engine, self._budget, self._prompts, sources, progress=progress)

    @torch.inference_mode()
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

        Raises:
            ValueError: vectors, layer or questions of another shape.
            ModelError: a question that this model cannot be asked.
        """
        sweep = Sweep(self._blocks, self._prompts, self.tier, self._budget)
        return sweep.patch(vectors, questions, into=into, layers=layers, how=how, progress=progress)

    @torch.inference_mode()
    def describe(
        self,
        requests: Sequence[DescriptionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """Continuations of questions while vectors, (vector, layer, width), are written."""
        return injections.describe(
            self._blocks,
            self._prompts,
            self._ends,
            requests,
            vectors,
            rows=self._rows,
            done=done,
        )

    @torch.inference_mode()
    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        """Answers to prompts while vectors, (vector, layer, width), replace their words."""
        return injections.inject(
            self._blocks,
            self._prompts,
            self._ends,
            requests,
            vectors,
            rows=self._rows,
            done=done,
        )
