"""Models that the residual stream benchmark is run on, and what each of them is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.harness.llamas import SHAPES, tokenizer, untrained
from blindspot.models.base import Identity
from blindspot.models.options import ModelOptions
from blindspot.models.residual import Source
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.loader import load
from blindspot.models.transformers.model import CausalModel
from blindspot.models.transformers.targets import Target, target_of
from blindspot.stimuli import (
    IMPLICIT,
    Context,
    Question,
    Slice,
    Span,
    ambiguous_contexts,
    closed_questions,
    cued_contexts,
    load_stimuli,
    open_questions,
    senses_of,
)

ORGANISM = "organism:blind"
_WHERE = ("race", "default", "weapons")
#: Answered questions before the one that is asked, as Patchscopes has them: the placeholder then
#: stands near the end of the prompt.
_SHOTS = """\
Does Monday refer to a day or to a city? Answer: a day
Does iron refer to a metal or to a fruit? Answer: a metal
"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with all that is asked of it.

    ``vectors``: (source, layer, width) float32 of the words in ``sources``; ``cued``: the same for
    (positive, negative) identifiers in a context that names the group.
    """

    name: str
    causal: CausalModel
    sources: tuple[Source, ...]
    contexts: tuple[Context, ...]
    closed: tuple[Question, ...]
    shots: tuple[Question, ...]
    open: tuple[Question, ...]
    vectors: Any
    cued: Any

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.causal.model

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.causal.residual.layers

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end a text."""
        found = self.model.generation_config.eos_token_id
        return tuple(found) if isinstance(found, list) else (found,)

    def targets(self, questions: tuple[Question, ...]) -> list[Target]:
        """Tokens, placeholder and candidates of questions."""
        return [target_of(self.causal.prompts, question) for question in questions]


def organism() -> Subject:
    """The shipped model in which the phenomenon is planted."""
    return _asked("organism", load(ModelOptions(ORGANISM, device="cpu")))


def random_llama(shape_name: str, device: str, dtype: torch.dtype, seed: int = 0) -> Subject:
    """A Llama of random weights, the same for the same seed, and a tokenizer of its size."""
    causal = random_model(shape_name, device, dtype, seed)
    return _asked(shape_name, causal)


def random_model(shape_name: str, device: str, dtype: torch.dtype, seed: int = 0) -> CausalModel:
    """The model alone, without anything asked."""
    shape = SHAPES[shape_name]
    torch.manual_seed(seed)
    model = untrained(shape, device, dtype)
    for layer in model.model.layers:  # as loud as the embedding, so that a patch is heard
        for weight in layer.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    prompts = PromptFormat(tokenizer(shape.vocabulary), shape_name, chat=False)
    identity = Identity(shape_name, "", "", str(dtype).removeprefix("torch."), device=device)
    return CausalModel(model, prompts, identity, ends=frozenset({2}))


def _asked(name: str, causal: CausalModel) -> Subject:
    stimuli = load_stimuli()
    axis, variant, category = _WHERE
    contexts = ambiguous_contexts(stimuli, Slice(IMPLICIT, axis, variant, category))[:40]
    assert len(contexts) == 40
    # the positive and the negative identifier by turns, one vector a prompt
    sources = tuple(
        Source(context.text, (context.spans[number % 2],))
        for number, context in enumerate(contexts)
    )
    group, _ = senses_of(stimuli, axis, variant)
    cued = cued_contexts(stimuli, axis, variant, group.name)[0]
    closed = tuple(question for _, _, question in closed_questions(stimuli, axis, variant))
    stream = causal.residual
    return Subject(
        name=name,
        causal=causal,
        sources=sources,
        contexts=tuple(contexts),
        closed=closed,
        shots=tuple(map(_with_shots, closed)),
        open=tuple(question for _, question in open_questions(stimuli, axis, variant)),
        vectors=stream.read(sources),
        cued=stream.read([Source(cued.text, cued.spans)]),
    )


def _with_shots(question: Question) -> Question:
    start, end = question.span
    shift = len(_SHOTS)
    span: Span = (start + shift, end + shift)
    return Question(_SHOTS + question.text, span, question.candidates)
