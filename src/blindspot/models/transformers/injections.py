"""Answers while vectors replace words: interpretations and injected answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Generic

import torch

from blindspot.errors import ModelError
from blindspot.models.base import Generation, Result
from blindspot.models.residual import DescriptionRequest, Injected, InjectionRequest, Vectors
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.both_readings import score_and_generate
from blindspot.models.transformers.decoding import Continuation, Writer, generate
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.positions import locate
from blindspot.models.transformers.scoring import Following, score
from blindspot.models.transformers.seam import EncodedRequest, encode
from blindspot.models.transformers.waves import Node, Wave
from blindspot.models.transformers.writes import WritingEngine, writing


@torch.inference_mode()
def describe(
    blocks: Blocks,
    prompts: PromptFormat,
    ends: frozenset[int],
    requests: Sequence[DescriptionRequest],
    vectors: Vectors,
    *,
    rows: int | None = None,
    done: Callable[[int, str], None] | None = None,
) -> list[str]:
    """Greedy continuations of questions while a vector replaces the placeholder.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        requests: in any order.
        vectors: (vector, layer, width) float32.
        rows: most rows of a pass, None to choose by memory.
        done: called with the number of a request and its result, as soon as it is known.

    Returns:
        Texts, in the order of the requests.

    Raises:
        ValueError: vectors of another shape, or not finite; a request that names a missing vector
            or layer, or less than one token.
        ModelError: a question that does not fit in the model's context or in memory, or whose
        placeholder is not found.
    """
    located = cache(lambda question: locate(prompts, question.text, [question.span]))
    texts = _Results(done)

    def finish(number: int, generation: Generation) -> None:
        texts.add(number, generation.text)

    with writing(blocks, vectors, rows) as (engine, budget):
        answers = []
        for one in requests:
            if not (0 <= one.vector < len(vectors) and 0 <= one.layer < blocks.layers):
                raise ValueError(f"no such vector or layer: {one}")
            tokens, (position,) = located(one.question)
            window = one.layer, one.layer + 1
            marked = engine.marked(tokens, {position: one.vector}, window, len(tokens) - 1, one.how)
            room = engine.room(tokens, one.max_new_tokens)
            answers.append(Continuation(tokens, None, room, marked))
        generate(engine, budget, Writer(prompts, ends), answers, finish)
    return texts.ordered()


@torch.inference_mode()
def inject(
    blocks: Blocks,
    prompts: PromptFormat,
    ends: frozenset[int],
    requests: Sequence[InjectionRequest],
    vectors: Vectors,
    *,
    rows: int | None = None,
    done: Callable[[int, Injected], None] | None = None,
) -> list[Injected]:
    """Answers to prompts while vectors replace some of their words.

    Candidates are scored first, which reveals greedy choices along them, and a prompt is computed
    once for both. Equal requests are answered once.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        requests: in any order.
        vectors: (vector, layer, width) float32.
        rows: most rows of a pass, None to choose by memory.
        done: called with the number of a request and its result, as soon as it is known.

    Returns:
        In the order of the requests.

    Raises:
        ValueError: vectors of another shape, or not finite; a request that names a missing vector
            or layer, or whose parts are inconsistent.
        ModelError: a prompt that does not fit in the model's context or in memory, or a word in it
            that is not found.
    """
    for request in requests:
        _check(request, len(vectors), blocks.layers)
    found = _Results(done)
    with writing(blocks, vectors, rows) as (engine, budget):
        tasks = _tasks(engine, prompts, requests)
        scored = [number for number, task in enumerate(tasks) if task.scored.texts]

        def keep(place: int, scores: tuple[float, ...], choices: Choices) -> None:
            task = tasks[scored[place]]
            task.scores, task.choices = scores, choices

        def scoring(following: Following) -> None:
            def numbered(wave: Wave, groups: Iterable[list[tuple[int, Node]]]) -> None:
                following(wave, ([(scored[n], node) for n, node in some] for some in groups))

            questions = [tasks[number].scored for number in scored]
            score(engine, budget, questions, keep, ends, following=numbered)

        def finish(number: int, generation: Generation) -> None:
            injected = Injected(generation, tasks[number].scores)
            for asker in tasks[number].askers:
                found.add(asker, injected)

        score_and_generate(
            engine,
            budget,
            Writer(prompts, ends),
            [task.answer for task in tasks],
            lambda number: tasks[number].choices,
            scoring,
            finish,
        )
    return found.ordered()


class _Results(Generic[Result]):
    """Results of requests by number; the first one of each is kept and told."""

    def __init__(self, done: Callable[[int, Result], None] | None) -> None:
        self._done = done
        self._found: dict[int, Result] = {}

    def add(self, number: int, result: Result) -> None:
        if number not in self._found:
            self._found[number] = result
            if self._done is not None:
                self._done(number, result)

    def ordered(self) -> list[Result]:
        """In the order of the requests."""
        return [self._found[number] for number in sorted(self._found)]


def _check(request: InjectionRequest, vectors: int, layers: int) -> None:
    if not all(request.candidates):
        raise ValueError(f"an empty candidate: {request}")
    if request.window is None:
        return
    first, last = request.window
    if not 0 <= first < last <= layers:
        raise ValueError(f"no window of the model's {layers} layers: {request}")
    if not request.spans or len(request.spans) != len(request.vectors):
        raise ValueError(f"not one vector for each span: {request}")
    if not all(0 <= vector < vectors for vector in request.vectors):
        raise ValueError(f"not among the {vectors} vectors: {request}")


@dataclass(eq=False)
class _Task:
    """An answer that some requests share, and the greedy choices that scoring revealed."""

    answer: Continuation
    scored: EncodedRequest
    askers: list[int] = field(default_factory=list)
    scores: tuple[float, ...] = ()
    choices: Choices = field(default_factory=Choices)


def _tasks(
    engine: WritingEngine, prompts: PromptFormat, requests: Sequence[InjectionRequest]
) -> list[_Task]:
    """Distinct tasks. What windows and vectors do not change is encoded once per prompt."""
    kinds = dict.fromkeys((request.prompt, request.candidates) for request in requests)
    asked = [(prompts.render(prompt), candidates) for prompt, candidates in kinds]
    encoded = dict(zip(kinds, encode(prompts, asked, engine.room), strict=True))
    located = cache(lambda text, spans: locate(prompts, text, spans))
    tasks: dict[tuple[object, ...], _Task] = {}
    for number, request in enumerate(requests):
        plain = encoded[request.prompt, request.candidates]
        tokens, scored = plain.prompt, plain
        if request.window is not None:
            tokens, positions = located(request.prompt, request.spans)
            vectors = dict(zip(positions, request.vectors, strict=True))
            if any(vectors[at] != v for at, v in zip(positions, request.vectors, strict=True)):
                raise ValueError(f"two vectors for the same token: {request}")
            start, texts = plain.start, plain.texts
            if texts and (max(positions) >= start or texts[0][:start] != tokens[:start]):
                raise ModelError(
                    f"{engine.name}: its tokenizer joins a replaced word to the answer; end the "
                    f"prompt differently: {request.prompt!r}"
                )
            marked = engine.marked(tokens, vectors, request.window, start - 1, request.how)
            texts = tuple((*marked[:start], *text[start:]) for text in texts)
            scored = EncodedRequest(marked, texts, start)
        room = engine.room(tokens, request.max_new_tokens)
        # A stopping rule equals only itself.
        key = (scored.prompt, scored.texts, scored.start, id(request.is_complete), room)
        if key not in tasks:
            answer = Continuation(tokens, request.is_complete, room, scored.prompt)
            tasks[key] = _Task(answer, scored)
        tasks[key].askers.append(number)
    return list(tasks.values())
