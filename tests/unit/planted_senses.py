"""Residual streams in which the sense of a word is planted, for assays that write and ask."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from blindspot.measurements.sample import WORDINGS
from blindspot.models.residual import (
    DescriptionRequest,
    Injected,
    InjectionRequest,
    Readout,
    Source,
    Vectors,
    Write,
)
from blindspot.stimuli import (
    Context,
    Question,
    Slice,
    Stimuli,
    ambiguous_contexts,
    cued_contexts,
    load_stimuli,
    senses_of,
)

LAYERS = 6

#: Entries of a vector: the sense (+1 literal, -1 group), and a cue's and a word's own lean in nats.
SENSE, CUE, WORD = range(3)


@cache
def stimuli() -> Stimuli:
    return load_stimuli()


@cache
def cued(variant: str) -> Mapping[str, tuple[float, Context]]:
    """Contexts of either sense by their text, with the sign of the sense."""
    return {
        context.text: (sign, context)
        for sign, sense in zip((-1.0, 1.0), senses_of(stimuli(), "race", variant), strict=True)
        for context in cued_contexts(stimuli(), "race", variant, sense.name)
    }


@cache
def lean(*names: object) -> float:
    """A number that belongs to these names, standard normal."""
    return float(np.random.default_rng(zlib.crc32(repr(names).encode())).standard_normal())


def literal_first(question: Question) -> bool:
    """Whether a closed question names the literal sense first."""
    group, literal = question.candidates
    return question.text.index(literal) < question.text.index(group)


@dataclass
class PlantedSenses:
    """A model that answers by the sense that is planted in a vector; nats are log-odds (literal).

    Attributes:
        part: whose variant's contexts are known.
        ambiguous: sense of identifiers where no cue states it: +1 blind, -1 aware.
        second: the same of the negative identifier, if it differs.
        strength: nats of a sense that is sure, by layer of the vector.
        fixed: the same for vectors written at one layer.
        cues: standard deviation of what a cue word does by itself, in nats.
        words: the same of each text and word.
        identifiers: nats that the positive identifier has more than the negative one.
        other: nats of vectors of unrelated words.
        order: nats for the sense that a question names first.
        priors: nats that questions prefer one sense by, standard deviation.
        mass: probability of both senses together.
        seed: of everything drawn.
        broken: layers in which neither sense can be said.
        says: text for what a vector means in nats, and the question; None names the sense.
        into: what the stream was asked to write into.
        patches: how many it was asked for.
    """

    part: Slice
    ambiguous: float = 0.0
    second: float | None = None
    strength: Sequence[float] = (4.0,) * LAYERS
    fixed: float = 4.0
    cues: float = 0.3
    words: float = 0.2
    identifiers: float = 0.0
    other: float = 0.0
    order: float = 0.0
    priors: float = 0.0
    mass: float = 0.2
    seed: int = 0
    broken: Sequence[int] = ()
    says: Callable[[float, str], str] | None = None
    into: list[int | None] = field(default_factory=list)
    patches: int = 0
    width: int = 3

    @property
    def layers(self) -> int:
        return len(self.strength)

    def in_batches(self, rows: int) -> PlantedSenses:
        return self

    def read(
        self, sources: Sequence[Source], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        if progress:
            progress(len(sources))
        rows = [
            self._vector(source.text, source.text[slice(*span)], number)
            for source in sources
            for number, span in enumerate(source.spans)
        ]
        return np.repeat(np.array(rows, np.float32)[:, None], self.layers, axis=1)

    def _vector(self, text: str, word: str, number: int) -> tuple[float, float, float]:
        own = self.words * lean(self.seed, text, word) + self.identifiers * (0.5 - number)
        if text in cued(self.part.variant):
            sense, context = cued(self.part.variant)[text]
            return sense, self.cues * lean(self.seed, context.cue), own
        if text in _ambiguous(self.part):
            second = self.ambiguous if self.second is None else self.second
            return (self.ambiguous, second)[number], 0.0, own
        return 0.0, self.other * (word in _unrelated()), own

    def patch(
        self,
        vectors: Vectors,
        questions: Sequence[Question],
        *,
        into: int | None = None,
        layers: Sequence[int] | None = None,
        how: Write = Write.OVERWRITE,
        progress: Callable[[int], None] | None = None,
    ) -> Readout:
        self.into.append(into)
        assert vectors.shape[1:] == (self.layers, self.width)
        chosen = list(range(self.layers) if layers is None else layers)
        self.patches += len(vectors) * len(questions) * len(chosen)
        strength = np.array(self.strength if into is None else (self.fixed,) * self.layers)
        odds = strength * vectors[:, :, SENSE] + (strength > 0) * (
            vectors[:, :, CUE] + vectors[:, :, WORD]
        )
        before = np.array([self._preference(question) for question in questions])
        patched = (odds[:, None, :] + before[:, None])[:, :, chosen]
        if progress:
            for _ in range(patched.size):
                progress(1)
        unpatched = np.repeat(before[:, None], len(chosen), axis=1)
        logs = self._logs(patched)
        logs[:, :, [layer in self.broken for layer in chosen]] = -np.inf
        return Readout(logs, self._logs(unpatched))

    def _preference(self, question: Question) -> float:
        asked = " ".join(sorted(question.text.split()))  # the same in both orders
        prior = self.priors * lean(self.seed, asked)
        return prior + (self.order if literal_first(question) else -self.order)

    def _logs(self, odds: np.ndarray) -> np.ndarray:
        both = np.stack([-np.logaddexp(0.0, odds), -np.logaddexp(0.0, -odds)], axis=-1)
        return (both + np.log(self.mass)).astype(np.float32)

    def describe(
        self,
        requests: Sequence[DescriptionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        texts = []
        for number, one in enumerate(requests):
            assert one.max_new_tokens == 20
            texts.append(self._text(vectors[one.vector][one.layer], one.layer, one.question))
            self.patches += 1
            if done:
                done(number, texts[-1])
        return texts

    def _text(self, vector: np.ndarray, layer: int, question: Question) -> str:
        """Names the sense that is meant, or none."""
        meant = self.strength[layer] * vector[SENSE] + vector[CUE] + vector[WORD]
        if self.says:
            return self.says(float(meant), question.text)
        senses = senses_of(stimuli(), "race", self.part.variant)
        if abs(meant) < 2.0:
            return f" X and nothing else, {layer}"
        return f" {senses[int(meant > 0)].stems[0].rstrip('.')} of some kind, {layer}"

    def inject(
        self,
        requests: Sequence[InjectionRequest],
        vectors: Vectors,
        *,
        done: Callable[[int, Injected], None] | None = None,
    ) -> list[Injected]:
        raise AssertionError("these assays inject nothing")


@cache
def _ambiguous(part: Slice) -> frozenset[str]:
    """Texts of the ambiguous contexts of a slice, of all wordings or of those that are read."""
    every = ambiguous_contexts(stimuli(), part)
    read = ambiguous_contexts(stimuli(), part, wordings=WORDINGS)
    return frozenset(context.text for context in (*every, *read))


@cache
def _unrelated() -> frozenset[str]:
    return frozenset(word for one in stimuli().unrelated["en"] for word in one.words)
