"""Answers while vectors replace words: interpretations and injected answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import torch

from blindspot.errors import ModelError
from blindspot.models.base import Generation, Progress
from blindspot.models.residual import Injected, InjectionRequest, Vectors, Write
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.decoding import Continuation, Writer, generate
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.known_choices import Choices
from blindspot.models.transformers.positions import locate
from blindspot.models.transformers.scoring import score
from blindspot.models.transformers.seam import EncodedRequest, encode
from blindspot.models.transformers.writes import WritingEngine, writing
from blindspot.stimuli import Question


@torch.inference_mode()
def describe(
    blocks: Blocks,
    prompts: PromptFormat,
    ends: frozenset[int],
    vectors: Vectors,
    questions: Sequence[Question],
    *,
    max_new_tokens: int = 20,
    layers: Sequence[int] | None = None,
    how: Write = Write.OVERWRITE,
    rows: int | None = None,
    progress: Progress | None = None,
) -> list[list[list[str]]]:
    """Greedy continuations of questions while a vector replaces the placeholder.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        vectors: (vector, layer, width) float32; each is written at the layer that it comes from.
        questions: with any candidates, which are not looked at.
        max_new_tokens: most tokens of a text.
        layers: whose vectors are written, None for all.
        how: what writing does.
        rows: most rows of a pass, None to choose by memory.
        progress: called with the number of (vector, question, layer) finished.

    Returns:
        Texts, [vector][question][layer].

    Raises:
        ValueError: vectors of another shape, or not finite; ``max_new_tokens`` below 1.
        ModelError: a question that does not fit in the model's context or in memory, or whose
        placeholder is not found.
    """
    located = [locate(prompts, question.text, [question.span]) for question in questions]
    chosen = range(blocks.layers) if layers is None else layers
    texts = [[[""] * len(chosen) for _ in questions] for _ in vectors]
    cells = [
        (vector, question, place)
        for vector in range(len(vectors))
        for question in range(len(questions))
        for place in range(len(chosen))
    ]
    waiting = set(range(len(cells)))

    def done(number: int, generation: Generation) -> None:
        vector, question, place = cells[number]
        texts[vector][question][place] = generation.text
        _finished(waiting, number, 1, progress)

    with writing(blocks, vectors, rows) as (engine, budget):
        answers = []
        for vector, question, place in cells:
            layer = chosen[place]
            tokens, (position,) = located[question]
            marked = engine.marked(
                tokens, {position: vector}, (layer, layer + 1), len(tokens) - 1, how
            )
            room = engine.room(tokens, max_new_tokens)
            answers.append(Continuation(tokens, None, room, marked))
        generate(engine, budget, Writer(prompts, ends), answers, done)
    return texts


@torch.inference_mode()
def inject(
    blocks: Blocks,
    prompts: PromptFormat,
    ends: frozenset[int],
    requests: Sequence[InjectionRequest],
    vectors: Vectors,
    *,
    rows: int | None = None,
    progress: Progress | None = None,
) -> list[Injected]:
    """Answers to prompts while vectors replace some of their words.

    Candidates are scored first, which reveals greedy choices along them. Equal requests are
    answered once.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        requests: in any order.
        vectors: (vector, layer, width) float32.
        rows: most rows of a pass, None to choose by memory.
        progress: called with the number of requests finished.

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
    found: list[Injected | None] = [None] * len(requests)
    waiting = set(range(len(requests)))
    with writing(blocks, vectors, rows) as (engine, budget):
        tasks = _tasks(engine, prompts, requests)
        scored = [task for task in tasks if task.scored.texts]

        def keep(number: int, scores: tuple[float, ...], choices: Choices) -> None:
            scored[number].scores, scored[number].choices = scores, choices

        def done(number: int, generation: Generation) -> None:
            task = tasks[number]
            injected = Injected(generation, task.scores)
            for asker in task.askers:
                found[asker] = injected
            _finished(waiting, task.askers[0], len(task.askers), progress)

        score(engine, budget, [task.scored for task in scored], keep, ends)
        answers, writer = [task.answer for task in tasks], Writer(prompts, ends)
        writer.replay(answers, [task.choices for task in tasks])
        generate(engine, budget, writer, answers, done)
    return [injected for injected in found if injected is not None]


def _finished(waiting: set[int], number: int, count: int, progress: Progress | None) -> None:
    """Report this many as finished; once for each number."""
    if number in waiting:
        waiting.remove(number)
        if progress is not None:
            progress(count)


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
