"""Any causal language model of transformers, behind the ``LanguageModel`` protocol."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Progress,
    Scored,
    ScoreRequest,
    in_order,
)
from blindspot.models.transformers.both_readings import score_and_generate
from blindspot.models.transformers.decoding import Continuation, Writer, generate
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices, KnownChoices
from blindspot.models.transformers.memory import Budget, limits_for
from blindspot.models.transformers.near_ties import Settler
from blindspot.models.transformers.scoring import Following, score
from blindspot.models.transformers.seam import encode
from blindspot.models.transformers.selfcheck import check, noise, rows_together

if TYPE_CHECKING:
    from blindspot.models.residual import ResidualStream

Result = TypeVar("Result")

_log = logging.getLogger(__name__)
_FLOAT32_BYTES = 4


class CausalModel:
    """A transformers model with its tokenizer.

    Answers are computed in large batches that share prefixes. In float32 they equal those of one
    prompt at a time (log-probabilities within 1e-4 nats). In half precision rounding depends on the
    batch: log-probabilities vary by some units of rounding, and near-ties may fall either way
    unless ``batch_invariant``, which re-decodes them individually. Batches depend on the set of
    requests, not on their order; on slow models also on the measured speed. Scoring before
    generating saves time: it reveals greedy choices along a candidate.

    ``model``, ``tokenizer`` and ``prompts`` are open to readers of the residual stream.
    """

    def __init__(
        self,
        model: Any,
        prompts: PromptFormat,
        identity: Identity,
        *,
        ends: frozenset[int],
        rows: int | None = None,
        batch_invariant: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: in evaluation mode, on the device where it runs.
            prompts: its tokenizer and template.
            identity: what is answering.
            ends: ids of the tokens that end a text.
            rows: most rows of a forward pass, None to choose by memory.
            batch_invariant: whether near-ties are decided without their batch in half precision.
            notes: notes on how it was loaded, for readers of its answers.
        """
        self.notes = tuple(notes)
        self.model, self.prompts, self.tokenizer = model, prompts, prompts.tokenizer
        self._identity = identity
        self._engine = Engine(model, identity.name)
        limits = limits_for(
            self._engine.device,
            kv_bytes=check(self._engine),
            vocabulary=self._engine.vocabulary,
            rows=rows,
        )
        self._budget = Budget(limits, identity.name)
        half = self._engine.model.dtype.itemsize < _FLOAT32_BYTES
        self._settler: Settler | None = None
        if batch_invariant or not half:  # in float32 hardly any choice is a near-tie
            self._engine.noise = noise(self._engine)
            self._settler = Settler(self._engine, rows_together(self._engine))
        self._log_tier(half=half)
        self._ends, self._rows = ends, rows
        self._writer = Writer(prompts, ends)
        self._known = KnownChoices()

    def _log_tier(self, *, half: bool) -> None:
        """Log how prompts are computed, and why not faster."""
        name = self._identity.name
        if self._engine.shares:
            _log.info("%s: prompts are rows of a prefix tree with a KV cache", name)
        else:
            why = self._engine.unshared
            _log.info("%s: prompts are rows of equal length, without a KV cache: %s", name, why)
        if half and self._settler is None:
            _log.info("%s: near-ties fall as the batch decides (see --batch-invariant)", name)
        elif half and self._settler is not None:
            together = self._settler.together
            rows = "one at a time" if together == 1 else f"{together} at a time"
            _log.info("%s: near-ties are re-decoded %s", name, rows)

    @property
    def identity(self) -> Identity:
        """The identity of the model, for reports and store keys."""
        return self._identity

    @property
    def settled(self) -> int:
        """Number of near-ties re-decoded since it was loaded."""
        return 0 if self._settler is None else self._settler.count

    @cached_property
    def residual(self) -> ResidualStream:
        """Its residual stream, checked on first use.

        Raises:
            ModelError: its architecture cannot be patched; names it and the check that failed.
        """
        from blindspot.models.transformers.streams import TransformersStream

        return TransformersStream(
            self.model, self.prompts, self._identity.name, ends=self._ends, rows=self._rows
        )

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests.

        A continuation begins right after the prompt (trailing blanks of the prompt are dropped), so
        in plain text it usually begins with a space.

        Raises:
            ModelError: a prompt does not fit in the model's context or in memory.
        """
        return in_order(self.generate_each, requests, progress)

    @torch.inference_mode()
    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """As `generate`; ``done`` is called with the number of a request and its continuation."""
        # A stopping rule equals only itself.
        asked = _Asked([(r.prompt, id(r.is_complete), r.max_new_tokens) for r in requests], done)
        firsts = [requests[n] for n in asked.firsts]
        rendered = [self.prompts.render(request.prompt) for request in firsts]
        answers = [
            Continuation(
                tokens, request.is_complete, self._engine.room(tokens, request.max_new_tokens)
            )
            for request, tokens in zip(firsts, self.prompts.encode(rendered), strict=True)
        ]
        self._writer.replay(answers, [self._known.of(text) for text in rendered])
        generate(self._engine, self._budget, self._writer, answers, asked.finished, self._settler)

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """Log-probability (nats) of each candidate as the whole continuation, request by request.

        All candidates of a request are scored from the same token on: the first after the prompt,
        or an earlier one where the tokenizer joins the end of the prompt to a candidate.

        Raises:
            ValueError: a candidate is empty.
            ModelError: a prompt does not fit in the model's context or in memory.
        """
        return in_order(self.score_each, requests, progress)

    @torch.inference_mode()
    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, Scored], None]
    ) -> None:
        """As `score`; ``done`` is called with the number of a request and its scores."""
        asked = _Asked(list(requests), done)
        self._score([requests[n] for n in asked.firsts], asked.finished)

    @torch.inference_mode()
    def answer_each(
        self,
        scores: Sequence[ScoreRequest],
        generations: Sequence[GenerationRequest],
        scored: Callable[[int, Scored], None],
        generated: Callable[[int, Generation], None],
    ) -> None:
        """As `score_each` and `generate_each` of the same prompts, each computed once."""
        rendered = [self.prompts.render(request.prompt) for request in generations]
        answers = [
            Continuation(
                tokens, request.is_complete, self._engine.room(tokens, request.max_new_tokens)
            )
            for request, tokens in zip(generations, self.prompts.encode(rendered), strict=True)
        ]
        told: set[int] = set()

        def found(number: int, values: Scored) -> None:
            if number not in told:
                told.add(number)
                scored(number, values)

        score_and_generate(
            self._engine,
            self._budget,
            self._writer,
            answers,
            lambda number: self._known.of(rendered[number]),
            lambda following: self._score(scores, found, following),
            generated,
            self._settler,
        )

    def _score(
        self,
        firsts: Sequence[ScoreRequest],
        done: Callable[[int, Scored], None],
        following: Following | None = None,
    ) -> None:
        """Score requests, and remember greedy choices on the way."""
        rendered = [self.prompts.render(request.prompt) for request in firsts]
        for request in firsts:
            if not request.candidates or not all(request.candidates):
                raise ValueError(f"a score request without candidates, or an empty one: {request}")
        questions = encode(
            self.prompts,
            [(text, r.candidates) for text, r in zip(rendered, firsts, strict=True)],
            self._engine.room,
        )

        def scored(number: int, values: Scored, choices: Choices) -> None:
            self._known.add(rendered[number], choices)
            done(number, values)

        score(
            self._engine,
            self._budget,
            questions,
            scored,
            self._ends,
            doubtful=self._settler is None,
            following=following,
        )


class _Asked(Generic[Result]):
    """Distinct requests among all; ``firsts``: number of the first request of each kind."""

    def __init__(self, keys: Sequence[Hashable], done: Callable[[int, Result], None]) -> None:
        self._equal: dict[int, list[int]] = defaultdict(list)
        kinds = {key: kind for kind, key in enumerate(dict.fromkeys(keys))}
        for number, key in enumerate(keys):
            self._equal[kinds[key]].append(number)
        self._done = done
        self.firsts = [numbers[0] for numbers in self._equal.values()]

    def finished(self, kind: int, result: Result) -> None:
        """Hand over the result of a kind to all its requests; the first time only."""
        for number in self._equal.pop(kind, ()):
            self._done(number, result)
