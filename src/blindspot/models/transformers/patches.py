"""Patch every vector over the placeholder of every question and read the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blindspot.models.base import Progress
from blindspot.models.residual import Readout, Vectors, Write
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.hook_points import Run, Tier, opened
from blindspot.models.transformers.memory import Budget, Cost, Limits, batches
from blindspot.models.transformers.targets import Target, target_of
from blindspot.stimuli import Question


class Sweep:
    """Patches of all vectors at all layers, as many at once as memory allows."""

    def __init__(self, blocks: Blocks, prompts: PromptFormat, tier: Tier, budget: Budget) -> None:
        self._blocks, self._prompts = blocks, prompts
        self._tier, self._budget = tier, budget

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
        """As `ResidualStream.patch`.

        Raises:
            ValueError: vectors of another shape or not finite, a layer that is not there, or
                questions with different numbers of candidates.
            ModelError: a question that cannot be asked, or numbers that are not finite.
        """
        self._check(vectors, questions, into)
        targets = [target_of(self._prompts, question) for question in questions]
        for target in targets:
            self._blocks.admit(target.tokens)
        chosen = list(range(self._blocks.layers) if layers is None else layers)
        candidates = len(targets[0].candidates) if targets else 0
        shape = (len(vectors), len(targets), len(chosen), candidates)
        patched, unpatched = np.empty(shape, np.float32), np.empty(shape[1:], np.float32)
        for number, target in enumerate(targets):
            run = self._opened(target)
            if into is None:
                read = [
                    self._read(run, target, layer, vectors[:, layer], how, _Told(progress))
                    for layer in chosen
                ]
                values = torch.stack([values for values, _ in read], dim=1)
                own = torch.stack([own for _, own in read])
            else:
                rows = vectors[:, chosen].reshape(-1, self._blocks.width)
                values, own = self._read(run, target, into, rows, how, _Told(progress))
                values = values.view(len(vectors), len(chosen), candidates)
            # Numbers leave an accelerator once per question: it need not wait in between.
            patched[:, number], unpatched[number] = values.cpu().numpy(), own.cpu().numpy()
        if not (np.isfinite(patched).all() and np.isfinite(unpatched).all()):
            raise self._blocks.not_finite()
        return Readout(patched, unpatched)

    def _check(self, vectors: Vectors, questions: Sequence[Question], into: int | None) -> None:
        layers, width = self._blocks.layers, self._blocks.width
        if vectors.ndim != 3 or vectors.shape[1:] != (layers, width):
            raise ValueError(
                f"vectors of shape {vectors.shape} are not (vector, {layers} layers, {width} wide) "
                f"as {self._blocks.name} needs them"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("a vector to be written contains NaN or infinity")
        if into is not None and not 0 <= into < layers:
            raise ValueError(f"{self._blocks.name} has no layer {into}, only 0 to {layers - 1}")
        if len({len(question.candidates) for question in questions}) > 1:
            raise ValueError("questions with different numbers of candidates")

    def _opened(self, target: Target) -> Run:
        """Run a question untouched."""
        tokens, found = torch.tensor([target.tokens]), []
        self._budget.waves(
            [target.tokens],
            lambda _: found.append(opened(self._blocks, self._tier, tokens, target.place)),
        )
        return found[-1]

    def _read(
        self,
        run: Run,
        target: Target,
        layer: int,
        vectors: NDArray[np.float32],
        how: Write,
        told: _Told,
    ) -> tuple[Tensor, Tensor]:
        """Candidates' log-probabilities, patched (vector, candidate) and unpatched (candidate,).

        Args:
            run: the question.
            target: its tokens.
            layer: where the vectors are written.
            vectors: (vector, width).
            how: what writing does.
            told: called with the number done.
        """
        wanted = torch.tensor(target.candidates, device=run.clean.device)
        if layer == self._blocks.layers - 1 and not target.answers_in_place:
            # After the last block only the token that answers matters.
            own = _log_probabilities(run.clean[None], wanted)[0]
            told(len(vectors))
            return own.expand(len(vectors), -1), own
        identity = run.own[layer][None]
        rows = torch.tensor(vectors, dtype=identity.dtype)
        if identity.is_cuda:
            rows = rows.pin_memory()  # copied while the accelerator works
        patched = run.clean.new_empty((len(rows), len(wanted)), dtype=torch.float32)
        owns: dict[int, Tensor] = {}
        cost = Cost(tokens=run.fresh, slots=len(target.tokens))

        def work(wave: range) -> None:
            for first, stop in _batches(wave, cost, self._budget.limits):
                # The identity patch is in the same batch: rounding in another batch would bias the
                # comparison (3 % of a probability in bfloat16). The value at the placeholder is the
                # same in every row, and known.
                written = how.onto(identity, rows[first:stop].to(identity, non_blocking=True))
                batch = torch.cat([identity, written])
                values = _log_probabilities(run.logits(layer, batch), wanted)
                owns[first], patched[first:stop] = values[0], values[1:]
                told(stop)

        # Numbered to make them distinct: a wave can then be cut anywhere.
        self._budget.waves([(n, *target.tokens[1:]) for n in range(len(rows))], work)
        if not owns:
            return patched, _log_probabilities(run.clean[None], wanted)[0]
        return patched, torch.stack(list(owns.values())).mean(0)


def _log_probabilities(logits: Tensor, wanted: Tensor) -> Tensor:
    """Of the wanted tokens, (row, wanted) float32 nats. ``logits`` (row, vocabulary)."""
    logits = logits.float()
    return logits[:, wanted] - logits.logsumexp(-1, keepdim=True)


class _Told:
    """Reports each vector to a progress bar once, even if it is repeated after memory ran out."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, done: int) -> None:
        if self._progress is not None and done > self._done:
            self._progress(done - self._done)
        self._done = max(done, self._done)


def _batches(wave: range, cost: Cost, limits: Limits) -> Iterator[tuple[int, int]]:
    """Cut vectors into batches (first, last + 1) of similar size, with room for one more row."""
    rows = len(next(batches([cost] * (len(wave) + 1), limits)))
    pieces = -(-len(wave) // max(1, rows - 1))
    cuts = [wave.start + len(wave) * piece // pieces for piece in range(pieces + 1)]
    yield from pairwise(cuts)
