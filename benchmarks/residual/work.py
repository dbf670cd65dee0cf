"""What the residual stream benchmark does: jobs, how we do them, and how plain hooks do them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness.equality import Answers, NotEqualError
from benchmarks.residual.subjects import Subject
from blindspot.models.residual import DescriptionRequest, InjectionRequest
from blindspot.models.transformers.positions import locate
from blindspot.stimuli import Question


@dataclass(frozen=True, slots=True)
class Job:
    """A prompt in which vectors stand for some tokens.

    ``places``: (position, vector number); ``window``: layers (first, last + 1) whose outputs are
    written over; ``candidates``: tokens whose log-probabilities are read, none to generate.
    """

    tokens: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    window: tuple[int, int]
    candidates: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """A workload.

    ``vectors``: (vector, layer, width), dtype and device of the model; ``new``: tokens to generate,
    0 to read candidates; ``ours``: all jobs, in their order; ``about``: its size, for people.
    """

    name: str
    subject: Subject
    vectors: Tensor
    jobs: tuple[Job, ...]
    new: int
    ours: Callable[[], Answers]
    about: str
    model: Any = field(init=False)

    def __post_init__(self) -> None:
        """Name the model that plain hooks use."""
        object.__setattr__(self, "model", self.subject.model)

    def cost(self, job: Job) -> int:
        """Tokens that a job takes without a cache."""
        return sum(len(job.tokens) + step for step in range(max(1, self.new)))

    def text(self, job: Job, generated: Sequence[int]) -> str:
        """Text of generated tokens, cut at the end of text."""
        ids = list(generated)
        ends = [ids.index(end) for end in self.subject.ends if end in ids]
        prompts = self.subject.causal.prompts
        return prompts.decode([job.tokens], [ids[: min(ends, default=len(ids))]])[0]


def patch_sweep(name: str, subject: Subject, questions: tuple[Question, ...], vectors: int) -> Work:
    """Every vector at every layer over the placeholder of every question."""
    given = subject.vectors[:vectors]
    stream, targets = subject.causal.residual, subject.targets(questions)
    jobs = tuple(
        Job(target.tokens, ((target.place, vector),), (layer, layer + 1), target.candidates)
        for vector, target, layer in product(range(len(given)), targets, range(subject.layers))
    )

    def ours() -> Answers:
        values = stream.patch(given, questions).patched
        return Answers(values=values.reshape(len(jobs), -1))

    lengths = sorted({(len(target.tokens), target.place) for target in targets})
    places = ", ".join(f"{place} of {length}" for length, place in lengths)
    about = (
        f"{len(given)} vectors x {subject.layers} layers x {len(questions)} questions, "
        f"placeholder at token {places}"
    )
    return Work(name, subject, _on(subject, given), jobs, 0, ours, about)


def selfie_sweep(subject: Subject, questions: tuple[Question, ...], vectors: int) -> Work:
    """Open questions with a patched placeholder, continued for 20 tokens."""
    given = subject.vectors[:vectors]
    stream, prompts = subject.causal.residual, subject.causal.prompts
    located = [locate(prompts, question.text, [question.span]) for question in questions]
    cells = list(product(range(len(given)), range(len(questions)), range(subject.layers)))
    jobs = tuple(
        Job(located[question][0], ((located[question][1][0], vector),), (layer, layer + 1))
        for vector, question, layer in cells
    )

    def ours() -> Answers:
        requests = [DescriptionRequest(questions[q], v, layer) for v, q, layer in cells]
        return Answers(texts=stream.describe(requests, given))

    about = (
        f"{len(given)} vectors x {subject.layers} layers x {len(questions)} questions, 20 tokens"
    )
    return Work("selfie sweep", subject, _on(subject, given), jobs, 20, ours, about)


def injection_windows(subject: Subject, contexts: int) -> Work:
    """Association prompts whose identifiers are written over in sliding windows of layers."""
    stream, prompts = subject.causal.residual, subject.causal.prompts
    width = max(1, subject.layers // 3)
    windows = [(first, first + width) for first in range(subject.layers - width + 1)]
    requests, jobs = [], []
    for context, window in product(subject.contexts[:contexts], windows):
        requests.append(
            InjectionRequest(
                context.text, context.spans, (0, 1), window, _never, (), max_new_tokens=40
            )
        )
        tokens, positions = locate(prompts, context.text, context.spans)
        jobs.append(Job(tokens, tuple(zip(positions, (0, 1), strict=True)), window))

    def ours() -> Answers:
        answers = stream.inject(requests, subject.cued)
        return Answers(
            texts=[answer.generation.text for answer in answers],
            margins=[answer.generation.margin for answer in answers],
        )

    about = f"{contexts} prompts x {len(windows)} windows of {width} layers, 40 tokens"
    vectors = _on(subject, subject.cued)
    return Work("injection windows", subject, vectors, tuple(jobs), 40, ours, about)


def _never(_text: str) -> bool:
    return False


def _on(subject: Subject, vectors: NDArray[np.float32]) -> Tensor:
    weight = subject.model.get_input_embeddings().weight
    return torch.from_numpy(vectors).to(weight)


@torch.inference_mode()
def plain_hooks(work: Work, jobs: Sequence[int]) -> Answers:
    """(a): one forward pass per patch and per generated token, a hook on each written block."""
    values, texts, margins = [], [], []
    for job in (work.jobs[number] for number in jobs):
        with ExitStack() as stack:
            for layer in range(*job.window):
                hook = _overwriting(job, work.vectors[:, layer])
                block = work.model.model.layers[layer]
                stack.callback(block.register_forward_hook(hook).remove)
            ids = torch.tensor([job.tokens], device=work.vectors.device)
            if not work.new:
                logits = work.model(input_ids=ids, use_cache=False).logits[0, -1]
                values.append(candidates_of(logits[None], job)[0])
                continue
            margin = float("inf")
            for _ in range(work.new):
                logits = work.model(input_ids=ids, use_cache=False).logits[0, -1]
                best = logits.float().topk(2)
                margin = min(margin, float(best.values[0] - best.values[1]))
                ids = torch.cat([ids, best.indices[None, :1]], dim=1)
                if int(best.indices[0]) in work.subject.ends:
                    break
            margins.append(margin)
            texts.append(work.text(job, ids[0, len(job.tokens) :].tolist()))
    return Answers(np.array(values, np.float32) if values else None, texts, margins)


def _overwriting(job: Job, vectors: Tensor) -> Any:
    """A hook that writes a job's vectors; ``vectors`` (vector, width) of the layer."""

    def write(_module: Any, _given: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        for position, number in job.places:
            hidden[0, position] = vectors[number]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    return write


def candidates_of(logits: Tensor, job: Job) -> NDArray[np.float32]:
    """Log-probabilities of a job's candidates, (row, candidate); ``logits`` (row, vocabulary)."""
    chosen = logits.float().log_softmax(-1)[:, list(job.candidates)]
    values: NDArray[np.float32] = chosen.cpu().numpy()
    return values


def check_bite(work: Work, answers: Answers, tolerance: float) -> None:
    """Refuse a workload in which writing changes nothing: all ways would then agree.

    Raises:
        NotEqualError: no vector makes a difference that is well above the tolerance.
    """
    if answers.values is not None:
        moved = float(answers.values.reshape(len(work.vectors), -1).std(axis=0).max())
        if not moved > 10 * tolerance:
            raise NotEqualError(f"{work.name}: patches move log-probabilities by {moved:.1e} only")
    elif len(set(answers.texts)) < 2:
        raise NotEqualError(f"{work.name}: every patched prompt gets the same text")
