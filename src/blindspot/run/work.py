"""Pieces of work on a model: prompts, and units of assays. What is found is kept as it comes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Generic, TypeVar

from blindspot.measurements.mechanistic import Findings, Unit
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import (
    AnswersEarly,
    AnswersTogether,
    Generation,
    GenerationRequest,
    HasScores,
    LanguageModel,
    Missing,
    Progress,
    ScoreRequest,
)
from blindspot.models.pulse import beat
from blindspot.models.residual import HasResidualStream
from blindspot.run.answer import (
    Answer,
    backend_of,
    blamed,
    check_generations,
    check_scores,
    first_of,
    quoted,
)
from blindspot.run.findings import pack, unpack
from blindspot.run.keeper import Keeper
from blindspot.run.kept_stream import KeptStream
from blindspot.run.spells import spells
from blindspot.run.turns import unwatched
from blindspot.stimuli import Prompt
from blindspot.store import StoredAnswer

Value = TypeVar("Value")

#: Longest generated answer in tokens, as in the paper's protocol.
MAX_NEW_TOKENS = 40
#: Prompts in the first list for a backend that answers lists as a whole; then more if that takes
#: less than the first number of seconds, fewer if it takes more than the second.
_FIRST, _SHORT_S, _LONG_S = 16, 2.5, 5.0
#: The scores of a model that offers none.
_NONE: StoredAnswer = [[], None]
#: The name of the part of an answer that is found first.
_SCORES = "scores"


class Work(ABC, Generic[Value]):
    """What one process does in one go: values by key."""

    keys: AbstractSet[bytes]

    @abstractmethod
    def read(self, key: bytes, stored: StoredAnswer) -> Value:
        """A value as it was stored.

        Raises:
            ValueError: it is damaged.
        """

    @abstractmethod
    def size(self, count: int) -> int:
        """How much of the progress ``count`` values are."""

    @abstractmethod
    def do(
        self, model: LanguageModel, missing: Sequence[bytes], keep: Keeper, progress: Progress
    ) -> None:
        """Have the model do what is missing."""


class _EnoughError(Exception):
    """Enough prompts are answered."""


class PromptWork(Work[Answer]):
    """Prompts by key.

    Args:
        prompts: to ask, by key.
        scored: whether the model offers log-probabilities.
        enough: answers after which the work ends, if they come one by one; None for all.
    """

    def __init__(
        self, prompts: Mapping[bytes, Prompt], scored: bool, enough: int | None = None
    ) -> None:
        self.keys = prompts.keys()
        self._prompts, self._scored, self._enough = prompts, scored, enough

    def read(self, key: bytes, stored: StoredAnswer) -> Answer:
        return Answer.of(self._prompts[key], stored, scored=self._scored)

    def size(self, count: int) -> int:
        return count

    def do(
        self, model: LanguageModel, missing: Sequence[bytes], keep: Keeper, progress: Progress
    ) -> None:
        asked = [self._prompts[key] for key in missing]
        failed = f"failed on {len(asked):,} prompts, the first of which is {quoted(asked[0])}"
        with blamed(backend_of(model), failed):
            if isinstance(model, AnswersEarly):
                with suppress(_EnoughError):
                    self._stream(model, missing, asked, keep, progress)
                return
            for some in spells(len(asked), first=_FIRST, short=_SHORT_S, long=_LONG_S):
                self._batch(model, missing[some], asked[some], keep, _halved(progress))

    def _stream(
        self,
        model: AnswersEarly,
        missing: Sequence[bytes],
        asked: Sequence[Prompt],
        keep: Keeper,
        progress: Progress,
    ) -> None:
        """Scores first: an engine may remember greedy choices that scoring revealed."""
        # Of a trial whole prompts: what stays open would be counted twice.
        half, whole = (unwatched, progress) if self._enough else (_halved(progress), unwatched)
        scores: dict[int, StoredAnswer] = {}
        generations = [_request(prompt) for prompt in asked]
        generated: set[int] = set()

        def written(number: int, given: Generation) -> None:
            check_generations(model, [asked[number]], [given])
            _keep(keep, missing[number], given, scores.get(number, _NONE))
            generated.add(number)
            half(1)
            whole(1)
            if self._enough and len(generated) >= self._enough:
                raise _EnoughError

        if self._scored:
            known = keep.parts((key, _SCORES) for key in missing)
            for number, key in enumerate(missing):
                if self._sound(key, known.get((key, _SCORES))):
                    scores[number] = known[key, _SCORES]
            places = [number for number in range(len(missing)) if number not in scores]
            half(len(scores))

            def scored(place: int, given: Sequence[float]) -> None:
                number = places[place]
                check_scores(model, [requests[place]], [given])
                if error := getattr(given, "error", ""):
                    keep.failed(missing[number], _unanswered(error))
                    generated.add(number)  # an answer without scores is none
                    half(2)
                    whole(1)
                    return
                scores[number] = _scores(given)
                if not self._enough:  # what stays open is soon asked again, with others
                    keep.part(missing[number], _SCORES, scores[number])
                half(1)

            requests = [ScoreRequest(asked[n].text, asked[n].candidates) for n in places]
            if isinstance(model, AnswersTogether):
                both = [generations[n] for n in places]
                model.answer_each(requests, both, scored, lambda n, one: written(places[n], one))
            else:
                model.score_each(requests, scored)
        else:
            half(len(asked))
        left = [number for number in range(len(asked)) if number not in generated]
        model.generate_each([generations[n] for n in left], lambda n, one: written(left[n], one))

    def _sound(self, key: bytes, scores: StoredAnswer | None) -> bool:
        """Whether these are scores of a prompt, as they were stored."""
        with suppress(ValueError, TypeError):
            self.read(key, ["", True, 0.0, *(scores or ())])
            return True
        return False

    def _batch(
        self,
        model: LanguageModel,
        missing: Sequence[bytes],
        asked: Sequence[Prompt],
        keep: Keeper,
        half: Progress,
    ) -> None:
        scores: Sequence[Sequence[float]] = [()] * len(asked)
        if self._scored:
            assert isinstance(model, HasScores)
            requests = [ScoreRequest(prompt.text, prompt.candidates) for prompt in asked]
            scores = model.score(requests, progress=half)
            check_scores(model, requests, scores)
        else:
            half(len(asked))
        generations = model.generate([_request(prompt) for prompt in asked], progress=half)
        check_generations(model, asked, generations)
        told = (getattr(one, "tokens", 0) for one in generations)
        beat(sum(count for count in told if isinstance(count, int)))
        for key, generation, given in zip(missing, generations, scores, strict=True):
            if error := getattr(given, "error", ""):
                keep.failed(key, _unanswered(error))
            else:
                _keep(keep, key, generation, _scores(given))


def _request(prompt: Prompt) -> GenerationRequest:
    return GenerationRequest(prompt.text, stopping_rule(prompt), MAX_NEW_TOKENS)


def _scores(given: Sequence[float]) -> StoredAnswer:
    return [[float(score) for score in given], first_of(given)]


def _keep(keep: Keeper, key: bytes, given: Generation, scores: StoredAnswer) -> None:
    """Keep an answer, or the reason why there is none."""
    missing = getattr(given, "missing", "")
    if missing == Missing.UNANSWERED:
        keep.failed(key, _unanswered(given.error))
        return
    reason = [missing, given.error] if missing else []
    keep.whole(key, [given.text, given.complete, float(given.margin), *scores, *reason])


def _unanswered(error: str) -> StoredAnswer:
    return ["", False, math.nan, [], None, Missing.UNANSWERED.value, error]


def stopping_rule(prompt: Prompt) -> Callable[[str], bool]:
    """The stopping rule: whether the text so far is a complete answer to a prompt."""
    if prompt.full_length:
        return _never
    return BEHAVIORAL[prompt.slice.measurement].is_complete(prompt)


def _never(_: str) -> bool:
    return False


def _halved(progress: Progress) -> Progress:
    """Progress of prompts, from that of their readings: a prompt is done when both are."""
    odd = 0

    def half(count: int) -> None:
        nonlocal odd
        whole, odd = divmod(odd + count, 2)
        progress(whole)

    return half


class AssayWork(Work[Findings]):
    """A unit of an assay; ``rows``: in a pass, None for what memory allows."""

    def __init__(self, unit: Unit, key: bytes, rows: int | None) -> None:
        self.key, self.keys = key, {key}
        self._unit, self._rows = unit, rows

    def read(self, key: bytes, stored: StoredAnswer) -> Findings:
        return unpack(stored)

    def size(self, count: int) -> int:
        return self._unit.size * count

    def do(
        self, model: LanguageModel, missing: Sequence[bytes], keep: Keeper, progress: Progress
    ) -> None:
        assert isinstance(model, HasResidualStream)
        left = [self._unit.size]

        def some(count: int) -> None:
            step = min(count, left[0])  # sizes are approximate: the bar must not exceed its total
            left[0] -= step
            progress(step)

        stream = model.residual.in_batches(self._rows) if self._rows else model.residual
        kept = KeptStream(stream, keep, self.key)
        try:
            with blamed(backend_of(model), "failed where it was looked into"):
                found = pack(self._unit.run(kept, progress=some))
        except BaseException:
            kept.flush()
            raise
        progress(left[0])
        keep.whole(self.key, found)
