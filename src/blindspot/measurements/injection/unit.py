"""Answer the prompts of a slice while vectors from other contexts replace its identifiers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

import numpy as np

from blindspot.measurements.association import ASSOCIATION
from blindspot.measurements.injection.vectors import Given, noise
from blindspot.measurements.injection.windows import LARGE, MOST, Window, sliding, window_width
from blindspot.measurements.mechanistic import Findings, each, scaled, tokens_in
from blindspot.measurements.sample import SMALL
from blindspot.models.base import Progress
from blindspot.models.residual import InjectionRequest, ResidualStream, Source
from blindspot.stimuli import AssociationPrompt, Context

GROUP, LITERAL, NEUTRAL, RANDOM = "group", "literal", "neutral", "random"
SOURCES = (GROUP, LITERAL, NEUTRAL, RANDOM)
"""Source of the vectors: contexts with a cue of either sense or of neither, or random. A large
model is not asked for random ones, which are only shown."""

MAX_NEW_TOKENS = 40
GENERATED = 20
"""Tokens of an answer, roughly."""

METHOD = "overwrite-3"
"""Bump when the same prompts and vectors would give different findings."""


@dataclass(frozen=True)
class InjectionUnit:
    """All answers of a slice: each prompt untouched, and with every source in every window.

    Findings, rows as `rows` orders them, prompt by prompt: ``texts`` and ``complete`` (row,) of
    the generated answers; ``scores`` (row, 2) float64, log-probabilities (nats) of the stereotyped
    and of the counter answer; ``margins`` (row,) float32; and ``windows`` (window, 2). No rows
    where a vector is not finite.

    Attributes:
        prompts: ambiguous contexts.
        given: for each prompt, the contexts of the first three sources.
        width: layers of a window, None for the published share.
        seed: of the random vectors.
        brief: whether a small model is asked as a large one is.
    """

    prompts: tuple[Context, ...]
    given: tuple[tuple[Given, ...], ...]
    width: int | None
    seed: int
    brief: bool = False

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        asked = [
            [one.text, one.mentions, one.words, _prompt(one).words, _prompt(one).candidates]
            for one in self.prompts
        ]
        given = [
            [[self._contexts[one] for one in source] for source in sources]
            for sources in self.given
        ]
        return json.dumps(
            {
                "assay": "injection",
                "method": [METHOD, MAX_NEW_TOKENS, MOST, LARGE],
                "prompts": asked,
                "contexts": [[one.text, one.spans] for one in self._contexts],
                "given": given,
                "window": self.width,
                "seed": self.seed,
                "brief": self.brief,
            }
        )

    @property
    def size(self) -> int:
        """Number of answers of a large model."""
        return len(self.prompts) * (1 + (len(SOURCES) - 1) * LARGE)

    @property
    def tokens(self) -> int:
        """Of contexts, prompts from their first identifier on, and answers."""
        asked = sum(map(_tokens, self.prompts)) * self.size // max(1, len(self.prompts))
        return tokens_in(one.text for one in self._contexts) + asked

    @cached_property
    def _contexts(self) -> dict[Context, int]:
        """Distinct contexts that vectors come from, with their numbers."""
        every = (one for sources in self.given for source in sources for one in source)
        return {one: number for number, one in enumerate(dict.fromkeys(every))}

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Read the vectors and answer."""
        small = stream.layers <= SMALL and not self.brief
        width = window_width(stream.layers, self.width)
        windows = sliding(stream.layers, width, MOST if small else LARGE)
        sources = [Source(one.text, one.spans) for one in self._contexts]
        read = stream.read(sources)
        words = len(self.prompts[0].words)
        assert read.shape == (words * len(sources), stream.layers, stream.width), "vectors"
        # The vectors of the identifiers that are read: rows of what was read.
        rows = np.array(
            [
                [
                    [words * self._contexts[one] + place for place, one in enumerate(source)]
                    for source in sources
                ]
                for sources in self.given
            ],
            np.int64,
        )
        vectors = read
        if small:
            drawn = [noise(read[row[0]], (self.seed, number)) for number, row in enumerate(rows)]
            vectors = np.concatenate([read, *drawn])
            random = len(read) + np.arange(words * len(self.prompts)).reshape(-1, 1, words)
            rows = np.concatenate([rows, random], axis=1)
        requests = list(self._requests(rows, windows))
        finite = bool(np.isfinite(vectors).all())
        done = each(scaled(progress, self.size, len(requests)))
        answers = stream.inject(requests, vectors, done=done) if finite else []
        generated = [one.generation for one in answers]
        return {
            "windows": np.array(windows, np.int64),
            "texts": [one.text for one in generated],
            "complete": np.array([one.complete for one in generated], np.bool_),
            "margins": np.array([one.margin for one in generated], np.float32),
            "scores": np.array([one.scores for one in answers], np.float64).reshape(-1, 2),
        }

    def _requests(self, rows: np.ndarray, windows: Sequence[Window]) -> Iterator[InjectionRequest]:
        for context, sources in zip(self.prompts, rows.tolist(), strict=True):
            ask = _asked(context)
            yield ask(spans=(), vectors=(), window=None)
            for source in sources:
                spans = tuple(chain.from_iterable(context.mentions))
                vectors = [
                    row
                    for row, mentions in zip(source, context.mentions, strict=True)
                    for _ in mentions
                ]
                for window in windows:
                    yield ask(spans=spans, vectors=tuple(vectors), window=window)


@dataclass(frozen=True)
class InjectionTrial:
    """Which prompts a large model answers at all, untouched.

    Findings: ``texts`` (prompt,), and ``scores`` (prompt, 2) float64 as of the unit; none of a
    small model.
    """

    prompts: tuple[Context, ...]

    @cached_property
    def content(self) -> str:
        """Everything but the model that decides its findings, as canonical JSON."""
        asked = [[one.text, _prompt(one).words, _prompt(one).candidates] for one in self.prompts]
        return json.dumps({"trial": "untouched", "method": METHOD, "prompts": asked})

    @property
    def size(self) -> int:
        """Number of answers."""
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        """Of prompts and answers."""
        return sum(map(_tokens, self.prompts))

    def run(self, stream: ResidualStream, *, progress: Progress | None = None) -> Findings:
        """Answer."""
        if stream.layers <= SMALL:
            return {}
        nothing = np.empty((0, stream.layers, stream.width), np.float32)
        requests = [_asked(one)(spans=(), vectors=(), window=None) for one in self.prompts]
        answers = stream.inject(requests, nothing, done=each(progress))
        return {
            "texts": [one.generation.text for one in answers],
            "scores": np.array([one.scores for one in answers], np.float64).reshape(-1, 2),
        }


def _tokens(context: Context) -> int:
    """Tokens of a prompt from its first identifier on, of both answers and of a generated one."""
    first = min(start for mentions in context.mentions for start, _ in mentions)
    return tokens_in([context.text[first:], *_prompt(context).candidates]) + GENERATED


def _asked(context: Context) -> partial[InjectionRequest]:
    """A request, but for what is injected."""
    prompt = _prompt(context)
    return partial(
        InjectionRequest,
        prompt=context.text,
        is_complete=ASSOCIATION.is_complete(prompt),
        candidates=prompt.candidates,
        max_new_tokens=MAX_NEW_TOKENS,
    )


def _prompt(context: Context) -> AssociationPrompt:
    assert context.prompt is not None, "an ambiguous context"
    return context.prompt
