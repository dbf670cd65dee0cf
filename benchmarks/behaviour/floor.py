"""What asking cannot do without: each distinct beginning once, and each prediction that is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.behaviour.subjects import Job, Subject
from benchmarks.harness.operations import Operations
from blindspot.models.transformers.prefix_tree import common_length


@dataclass(frozen=True, slots=True)
class Needed:
    """Tokens that go through the model, predictions that are read, and their operations."""

    tokens: int
    reads: int
    operations: int


def generation_needs(subject: Subject, jobs: Sequence[Job], texts: Sequence[str]) -> Needed:
    """Of complete answers ``texts``, one a job."""
    rendered = [subject.prompts.render(job.prompt.text) for job in jobs]
    whole = subject.prompts.encode([a + b for a, b in zip(rendered, texts, strict=True)])
    return _needs(subject, [(job, tokens) for job, tokens in zip(jobs, whole, strict=True)])


def both_need(subject: Subject, jobs: Sequence[Job], texts: Sequence[str]) -> Needed:
    """Of both readings together."""
    rendered = [subject.prompts.render(job.prompt.text) for job in jobs]
    whole = subject.prompts.encode([a + b for a, b in zip(rendered, texts, strict=True)])
    answered = list(zip(jobs, whole, strict=True))
    return _needs(subject, [*answered, *((job, text) for job in jobs for text in job.texts)])


def choice_needs(subject: Subject, jobs: Sequence[Job]) -> Needed:
    """Of the log-probabilities of all candidates."""
    return _needs(subject, [(job, text) for job in jobs for text in job.texts])


def _needs(subject: Subject, answered: Sequence[tuple[Job, tuple[int, ...]]]) -> Needed:
    operations = Operations(subject.model.config)
    # The last token is predicted, never fed.
    fed = [(job, text[: max(len(text) - 1, len(job.tokens))]) for job, text in answered]
    tokens, total = 0, 0
    before: tuple[int, ...] = ()
    for sequence in sorted({sequence for _, sequence in fed}):
        start = common_length(before, sequence)
        tokens += len(sequence) - start
        total += operations.span(start, len(sequence)) * operations.layers
        before = sequence
    reads = {
        sequence[:length]
        for job, sequence in fed
        for length in range(len(job.tokens), len(sequence) + 1)
    }
    return Needed(tokens, len(reads), total + len(reads) * operations.answer)
