"""What a model says while vectors stand in for words: interpretations and injected answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import torch

from blindspot.errors import ModelError
from blindspot.models.base import Generation, Progress
from blindspot.models.residual import Injected, InjectionRequest, Vectors, Write
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.decoding import Writer, generate
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.joint_answers import LateWriter, MarkedAnswer, Task, perform
from blindspot.models.transformers.positions import locate
from blindspot.models.transformers.prefix_tree import Tokens, common_length
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
    how: Write = Write.OVERWRITE,
    rows: int | None = None,
    progress: Progress | None = None,
) -> list[list[list[str]]]:
    """Greedy continuations of questions while a vector stands at the placeholder.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        vectors: (vector, layer, width) float32; each is written at the layer that it comes from.
        questions: with any candidates, which are not looked at.
        max_new_tokens: most tokens of a text.
        how: what writing does.
        rows: most rows of a pass, None to choose by memory.
        progress: called with the number of (vector, question, layer) finished.

    Returns:
        Texts, [vector][question][layer].

    Raises:
        ValueError: vectors of another shape, or not finite; ``max_new_tokens`` below 1.
        ModelError: a question that does not fit into the model's context or into memory, or whose
            placeholder is not found.
    """
    located = [locate(prompts, question.text, [question.span]) for question in questions]
    texts = [[[""] * blocks.layers for _ in questions] for _ in vectors]
    cells = [
        (vector, question, layer)
        for vector in range(len(vectors))
        for question in range(len(questions))
        for layer in range(blocks.layers)
    ]
    waiting = set(range(len(cells)))

    def done(number: int, generation: Generation) -> None:
        vector, question, layer = cells[number]
        texts[vector][question][layer] = generation.text
        _finished(waiting, number, 1, progress)

    with writing(blocks, vectors, rows) as (engine, budget):
        answers = []
        for vector, question, layer in cells:
            tokens, (position,) = located[question]
            marked = engine.marked(
                tokens, {position: vector}, (layer, layer + 1), len(tokens) - 1, how
            )
            room = _room(engine, tokens, max_new_tokens)
            answers.append(MarkedAnswer(tokens, _never, room, marked=marked))
        generate(engine, budget, LateWriter(prompts, ends), answers, done)
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
    """Answers to prompts while vectors stand in for some of their words.

    Both readings, the greedy answer and the log-probabilities of the candidates, come from one pass
    over a prompt. Equal requests are answered once.

    Args:
        blocks: of the model.
        prompts: its tokenizer and template.
        ends: ids of the tokens that end a text.
        requests: in any order.
        vectors: (vector, layer, width) float32.
        rows: most rows of a pass, None to choose by memory.
        progress: called with the number of requests finished.

    Returns:
        As the requests are ordered.

    Raises:
        ValueError: vectors of another shape, or not finite; a request that names a vector or a
            layer that there is not, or whose parts do not fit together.
        ModelError: a prompt that does not fit into the model's context or into memory, or a word in
            it that is not found.
    """
    for request in requests:
        _check(request, len(vectors), blocks.layers)
    found: list[Injected | None] = [None] * len(requests)
    waiting = set(range(len(requests)))
    with writing(blocks, vectors, rows) as (engine, budget):
        tasks, askers = [], []
        for task, numbers in _Reader(engine, prompts).tasks(requests):
            tasks.append(task)
            askers.append(numbers)

        def done(number: int, generation: Generation, scores: tuple[float, ...]) -> None:
            injected = Injected(generation, scores)
            for asker in askers[number]:
                found[asker] = injected
            _finished(waiting, askers[number][0], len(askers[number]), progress)

        perform(engine, budget, Writer(prompts, ends), tasks, done)
    return [injected for injected in found if injected is not None]


def _never(_text: str) -> bool:
    return False


def _finished(waiting: set[int], number: int, count: int, progress: Progress | None) -> None:
    """Tell that so many are finished; once for each number."""
    if number in waiting:
        waiting.remove(number)
        if progress is not None:
            progress(count)


def _room(engine: Engine, tokens: Tokens, wanted: int) -> int:
    """Tokens that may follow: those wanted, or fewer where the model's context ends."""
    if wanted < 1:
        raise ValueError(f"max_new_tokens {wanted} is not above 0")
    if engine.context is None:
        return wanted
    if len(tokens) >= engine.context:
        raise ModelError(
            f"{engine.name}: a prompt of {len(tokens)} tokens does not fit into its context of "
            f"{engine.context}; leave long prompts away"
        )
    return min(wanted, engine.context - len(tokens))


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


class _Reader:
    """Makes tokens of requests; what windows and vectors do not change is made once a prompt."""

    def __init__(self, engine: WritingEngine, prompts: PromptFormat) -> None:
        self._engine, self._prompts = engine, prompts
        self._locate = cache(lambda text, spans: locate(prompts, text, spans))
        self._read = cache(self._texts)

    def tasks(self, requests: Sequence[InjectionRequest]) -> Iterator[tuple[Task, list[int]]]:
        """Distinct tasks, and the numbers of the requests that ask for each."""
        askers: dict[tuple[object, ...], tuple[Task, list[int]]] = {}
        for number, request in enumerate(requests):
            task = self._task(request)
            # A stopping rule is equal to itself only.
            rule = (id(request.is_complete), task.answer.limit)
            key = (task.answer.marked, task.texts, task.start, rule)
            askers.setdefault(key, (task, []))[1].append(number)
        yield from askers.values()

    def _task(self, request: InjectionRequest) -> Task:
        tokens, texts, start = self._read(request.prompt, request.candidates)
        marked = tokens
        if request.window is not None:
            tokens, positions = self._locate(request.prompt, request.spans)
            vectors = dict(zip(positions, request.vectors, strict=True))
            if any(vectors[at] != v for at, v in zip(positions, request.vectors, strict=True)):
                raise ValueError(f"two vectors for the same token: {request}")
            if texts and (max(positions) >= start or texts[0][:start] != tokens[:start]):
                raise ModelError(
                    f"{self._engine.name}: its tokenizer joins a written word to the answer; end "
                    f"the prompt otherwise: {request.prompt!r}"
                )
            marked = self._engine.marked(tokens, vectors, request.window, start - 1, request.how)
            texts = tuple((*marked[:start], *text[start:]) for text in texts)
        room = _room(self._engine, tokens, request.max_new_tokens)
        answer = MarkedAnswer(tokens, request.is_complete, room, marked=marked)
        return Task(answer, texts, start)

    def _texts(
        self, prompt: str, candidates: tuple[str, ...]
    ) -> tuple[Tokens, tuple[Tokens, ...], int]:
        """Tokens of a prompt, of it with each candidate behind it, and where candidates begin."""
        rendered = self._prompts.render(prompt)
        joined = [self._prompts.join(rendered, candidate) for candidate in candidates]
        tokens, *texts = self._prompts.encode([rendered, *joined])
        start = min((common_length(tokens, text) for text in texts), default=len(tokens))
        if start == 0:  # nothing precedes the first token: the text has no opening token
            opening = self._prompts.encode([""])[0]
            texts, start = [(*opening, *text) for text in texts], len(opening)
        for text, candidate in zip(texts, candidates, strict=True):
            if len(text) <= start:
                raise ModelError(
                    f"{self._engine.name}: its tokenizer makes nothing of the answer "
                    f"{candidate!r}; leave it away, or use another model"
                )
            _room(self._engine, text[:-1], 1)
        return tokens, tuple(texts), start
