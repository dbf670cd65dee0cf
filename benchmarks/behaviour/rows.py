"""Ways to put prompts to a model: the paper's, plain batches, others' harnesses and ours."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.behaviour.peers import BATCH, Elsewhere, Harness
from benchmarks.behaviour.subjects import Job, Subject
from benchmarks.harness.equality import NEAR_TIE, Answers, compare
from benchmarks.harness.turns import Row
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    LanguageModel,
    Scored,
    ScoreRequest,
)
from blindspot.models.transformers.model import CausalModel
from blindspot.run.answer import Answer
from blindspot.run.ask import MAX_NEW_TOKENS, ask
from blindspot.store import Store

GENERATION, CHOICE, BOTH = "generation", "forced choice", "both readings"
PAPER = f"{GENERATION}, one at a time (a)"
BATCHES = f"{GENERATION}, batches of 16 (b)"
ENDED = f"{GENERATION}, one at a time, ended by the model"
SINGLE = f"{CHOICE}, one pass a candidate"
HARNESS = f"{CHOICE}, lm-evaluation-harness (c)"
VLLM, LLAMA, LLAMA_HALF = "vLLM", "llama.cpp", "llama.cpp in float16"
OURS, OURS_CHOICE = f"{GENERATION}, ours", f"{CHOICE}, ours"
COLD, WARM = f"{BOTH}, ours cold", f"{BOTH}, ours warm"
#: How many times more than others its answers may differ: llama.cpp's kernels are 0.02 nats away,
#: and half precision is another model.
_LOOSE = {LLAMA: 100.0, LLAMA_HALF: math.inf}
#: Nats of a whole answer. Ours lie within 1e-5 of float64; torch's own log-softmax over a large
#: vocabulary, which the others use, is 3e-4 away.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 1.0}


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """How many jobs do for the rows that take long: one of so many, batches of 16 likewise."""

    single: int
    batches: int


@dataclass(eq=False)
class Count:
    """Tokens that went through the model, padding included."""

    tokens: int = 0


@contextmanager
def counted_tokens(model: Any) -> Iterator[Count]:
    """Count what the model is fed within."""
    count = Count()

    def add(_module: Any, given: tuple[Any, ...]) -> None:
        count.tokens += given[0].numel()

    hook = model.get_input_embeddings().register_forward_pre_hook(add)
    try:
        yield count
    finally:
        hook.remove()


class Reads:
    """Our model behind the plan, asked for one of its two readings."""

    def __init__(self, model: CausalModel, readings: str) -> None:
        self._model, self._readings = model, readings

    @property
    def identity(self) -> Identity:
        """The model's."""
        return self._model.identity

    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """Its answers, or blanks where they are not wanted."""
        if self._readings == GENERATION:
            self._model.generate_each(requests, done)
            return
        for number in range(len(requests)):
            done(number, Generation("", 0, False, 0.0))

    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, Scored], None]
    ) -> None:
        """Its scores, or zeros where they are not wanted."""
        if self._readings == CHOICE:
            self._model.score_each(requests, done)
            return
        for number, request in enumerate(requests):
            done(number, Scored([0.0] * len(request.candidates)))

    def generate(self, *_: Any, **__: Any) -> list[Generation]:
        """Never: the plan takes each answer as it comes."""
        raise NotImplementedError

    score = generate


class Unasked:
    """A model that must not be asked."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def generate(self, *_: Any, **__: Any) -> list[Generation]:
        """Never."""
        raise AssertionError("the store did not know an answer")

    def score(self, *_: Any, **__: Any) -> list[tuple[float, ...]]:
        """Never."""
        raise AssertionError("the store did not know a score")


def _part(all_of: Sequence[T], one_in: int) -> Sequence[T]:
    """One of so many, evenly taken; at least one."""
    return all_of[min(one_in // 2, len(all_of) - 1) :: one_in]


class Ways:
    """Every way to answer the jobs of a subject."""

    def __init__(
        self,
        subject: Subject,
        jobs: Sequence[Job],
        *,
        harness: bool = False,
        peers: Mapping[str, Elsewhere] | None = None,
    ) -> None:
        self.subject, self.jobs = subject, jobs
        self._harness = Harness(subject) if harness else None
        self._peers = peers or {}
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        self.margins: list[float] = []

    def fill(self) -> None:
        """Let the store that `warm` reads know everything."""
        self._kept = tempfile.TemporaryDirectory()
        self._ask(self.subject.fresh(), Path(self._kept.name))

    def close(self) -> None:
        """Remove that store."""
        if self._kept is not None:
            self._kept.cleanup()

    def rows(self, parts: Parts) -> list[Row]:
        """All of them, (a) first."""
        count = len(self.jobs)
        some = _part(range(count), parts.single)
        by_length = sorted(range(count), key=lambda n: (len(self.jobs[n].tokens), n))
        batches = [by_length[at : at + BATCH] for at in range(0, count, BATCH)]
        batched = [n for batch in _part(batches, parts.batches) for n in batch]
        every, everything = _part(range(count), parts.batches), range(count)
        made = [
            Row(PAPER, some, lambda numbers: self.one_by_one(numbers, to_the_limit=True)),
            Row(ENDED, some, lambda numbers: self.one_by_one(numbers, to_the_limit=False)),
            Row(BATCHES, batched, self.batches),
            Row(OURS, everything, lambda _: self.ours(GENERATION)),
            Row(SINGLE, some, self.one_pass_a_candidate),
            Row(OURS_CHOICE, everything, lambda _: self.ours(CHOICE)),
            Row(COLD, everything, lambda _: self.ours(BOTH)),
            Row(WARM, everything, lambda _: self.warm()),
        ]
        if self._harness is not None:
            made.insert(5, Row(HARNESS, every, self.scored))
        for name, peer in self._peers.items():
            loose = _LOOSE.get(name, 1.0)
            write, rate = partial(self.written, peer), partial(self.rated, peer)
            made += [
                TimedElsewhere(f"{GENERATION}, {name}", everything, write, loose=loose),
                TimedElsewhere(f"{CHOICE}, {name}", every, rate, loose=loose),
            ]
        for row in made:
            row.share = len(row.jobs) / count
        return made

    @torch.inference_mode()
    def one_by_one(self, numbers: Sequence[int], *, to_the_limit: bool) -> Answers:
        """`model.generate` on a prompt at a time."""
        texts = []
        for job in (self.jobs[number] for number in numbers):
            ids = self._ids([job.tokens])
            found = self._generate(ids, torch.ones_like(ids), to_the_limit=to_the_limit)
            texts.append(self.subject.answer(job, found[0]))
        return Answers(texts=texts)

    @torch.inference_mode()
    def batches(self, numbers: Sequence[int]) -> Answers:
        """`model.generate` on left-padded batches of like length."""
        texts = []
        for start in range(0, len(numbers), BATCH):
            some = [self.jobs[number] for number in numbers[start : start + BATCH]]
            longest = max(len(job.tokens) for job in some)
            padded = [[0] * (longest - len(job.tokens)) + list(job.tokens) for job in some]
            mask = [[0] * (longest - len(j.tokens)) + [1] * len(j.tokens) for j in some]
            found = self._generate(self._ids(padded), self._ids(mask), to_the_limit=True)
            texts += [self.subject.answer(job, ids) for job, ids in zip(some, found, strict=True)]
        return Answers(texts=texts)

    @torch.inference_mode()
    def one_pass_a_candidate(self, numbers: Sequence[int]) -> Answers:
        """A forward pass over prompt and candidate for each of them."""
        found = []
        for job in (self.jobs[number] for number in numbers):
            values = []
            for text in job.texts:
                logits = self.subject.model(self._ids([text]), use_cache=False).logits[0]
                start = len(job.tokens)
                chosen = logits[start - 1 : -1].float().log_softmax(-1)
                values.append(float(chosen.gather(1, self._ids([text[start:]]).T).sum()))
            found.append(values)
        return Answers(values=self._table(found))

    def scored(self, numbers: Sequence[int]) -> Answers:
        """lm-evaluation-harness."""
        assert self._harness is not None
        return Answers(values=self._table(self._harness.score([self.jobs[n] for n in numbers])))

    def ours(self, readings: str) -> Answers:
        """The plan, with an empty store."""
        with tempfile.TemporaryDirectory() as directory:
            model = self.subject.fresh()
            asked = model if readings == BOTH else Reads(model, readings)
            given = self._ask(asked, Path(directory))
        self.margins = [answer.margin for answer in given] if readings != CHOICE else self.margins
        return self._answers(given, readings)

    def warm(self) -> Answers:
        """The plan, with a store that knows all answers."""
        assert self._kept is not None
        model = Unasked(self.subject.identity)
        return self._answers(self._ask(model, Path(self._kept.name)), BOTH)

    def written(self, peer: Elsewhere, _: Sequence[int]) -> tuple[Answers, float, float]:
        """A peer's answers until the end of the text."""
        found, wall, cpu = peer.generate(self.jobs)
        texts = [self.subject.answer(job, ids) for job, ids in zip(self.jobs, found, strict=True)]
        return Answers(texts=texts), wall, cpu

    def rated(self, peer: Elsewhere, numbers: Sequence[int]) -> tuple[Answers, float, float]:
        """A peer's log-probabilities; vLLM shares no beginnings for those of prompt tokens."""
        found, wall, cpu = peer.score([self.jobs[number] for number in numbers])
        return Answers(values=self._table(found)), wall, cpu

    def _ask(self, model: LanguageModel, directory: Path) -> list[Answer]:
        store = Store(directory)
        try:
            return ask(model, [job.prompt for job in self.jobs], store)
        finally:
            store.close()

    def _answers(self, given: Sequence[Answer], readings: str) -> Answers:
        values = self._table([answer.log_probabilities for answer in given])
        texts = [answer.text for answer in given]
        return Answers(
            None if readings == GENERATION else values, () if readings == CHOICE else texts
        )

    def _table(self, values: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """(job, candidate) nats, 0 where a job has fewer candidates than another."""
        table = np.zeros((len(values), max(len(job.texts) for job in self.jobs)), np.float32)
        for at, row in enumerate(values):
            table[at, : len(row)] = row
        return table

    def _generate(self, ids: Any, mask: Any, *, to_the_limit: bool) -> list[list[int]]:
        settings = self.subject.model.generation_config
        end, settings.eos_token_id = settings.eos_token_id, None
        try:
            found = self.subject.model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
                **({} if to_the_limit else {"eos_token_id": end}),
            )
        finally:
            settings.eos_token_id = end
        rows: list[list[int]] = found[:, ids.shape[1] :].tolist()
        assert not to_the_limit or len(rows[0]) == MAX_NEW_TOKENS
        return rows

    def _ids(self, rows: Sequence[Sequence[int]]) -> Any:
        return torch.tensor([list(row) for row in rows], device=self.subject.model.device)


@dataclass(eq=False)
class TimedElsewhere(Row):
    """A row whose process takes the time itself: ``run`` returns answers, wall and CPU seconds.

    ``loose``: how many times more than others its answers may differ.
    """

    run: Callable[[Sequence[int]], Any] = field(default=lambda _: None)
    loose: float = 1.0

    def time(self, device: str) -> None:
        """Do it once."""
        answers, wall, cpu = self.run(self.jobs)
        self.walls.append(wall / self.share)
        self.cpus.append(cpu / self.share)
        self.answers = self.answers or answers


def check(ways: Ways, rows: Sequence[Row], dtype: torch.dtype) -> None:
    """Compare ours with (a) and with one pass a candidate, and all the others with ours.

    Raises:
        NotEqualError: two of them differ.
    """
    by_name = {row.name: row for row in rows}
    ours, choice = by_name[OURS], by_name[OURS_CHOICE]
    for row in rows:
        loose = getattr(row, "loose", 1.0)
        other = by_name[PAPER] if row is ours else by_name[SINGLE] if row is choice else None
        differences = [0.0]
        if row.name.startswith((GENERATION, BOTH)):
            differences.append(_compared(ways, row, other or ours, _texts, dtype, loose))
        if row.name.startswith((CHOICE, BOTH)):
            differences.append(_compared(ways, row, other or choice, _values, dtype, loose))
        row.difference = max(differences)


def _compared(
    ways: Ways,
    row: Row,
    other: Row,
    taken: Callable[[Row, Sequence[int]], Answers],
    dtype: torch.dtype,
    loose: float,
) -> float:
    both = sorted(set(row.jobs) & set(other.jobs))
    what = f"{ways.subject.name}: {row.name} against {other.name}"
    margins = [ways.margins[number] for number in both]
    expected = replace(taken(other, both), margins=margins)
    allowed = loose * TOLERANCE[dtype], loose * NEAR_TIE[dtype]
    return compare(what, taken(row, both), expected, *allowed)


def _texts(row: Row, numbers: Sequence[int]) -> Answers:
    assert row.answers is not None
    at = {number: place for place, number in enumerate(row.jobs)}
    return Answers(texts=[row.answers.texts[at[number]] for number in numbers])


def _values(row: Row, numbers: Sequence[int]) -> Answers:
    assert row.answers is not None
    assert row.answers.values is not None
    at = {number: place for place, number in enumerate(row.jobs)}
    return Answers(values=row.answers.values[[at[number] for number in numbers]])
