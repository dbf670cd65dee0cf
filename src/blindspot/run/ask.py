"""Ask the model everything that a run needs, each once, in any process.

Prompts are cut into fixed units; assays have units of their own. One process does a unit and stores
it in one transaction: a killed run resumes at the next unit, several processes share the work
without asking anything twice, and the batches of a unit do not depend on the number of processes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from blindspot.measurements.mechanistic import Findings, Unit
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import (
    GenerationRequest,
    HasScores,
    Identity,
    LanguageModel,
    Progress,
    ScoreRequest,
)
from blindspot.models.residual import HasResidualStream
from blindspot.run.answer import (
    Answer,
    backend_of,
    blamed,
    check_generations,
    check_scores,
    checked_identity,
    first_of,
    quoted,
)
from blindspot.run.findings import pack, unpack
from blindspot.run.turns import ALONE, Share, shared
from blindspot.stimuli import Prompt
from blindspot.store import Store, StoredAnswer, key_of

Value = TypeVar("Value")

#: Most prompts in a unit: enough for full batches on a GPU.
UNIT = 1024
#: Longest generated answer in tokens, as in the paper's protocol.
MAX_NEW_TOKENS = 40
#: Bump when a prompt's answer can change though its text does not (stopping rule, decoding).
DECODING = "greedy-2"
#: Parameters times prompts that a device answers in about ten seconds: the most that a killed run
#: loses. Two CPU cores did 2.0e9 a second (docs/performance.md).
_TEN_SECONDS = {"cpu": 2e10, "mps": 2e11, "cuda": 2e13}
#: Prompts in a unit of a model of unknown size.
_UNKNOWN = 256
#: Fewest prompts in a unit: the four orders of two pairs, which share prefixes.
_LEAST = 8


class UnansweredError(Exception):
    """The store lacks an answer, and the model must not be asked."""


def answer_key(prompt: Prompt, time: str = "") -> bytes:
    """Digest of everything but the model that decides an answer; ``time`` marks a second asking."""
    return key_of(
        DECODING,
        MAX_NEW_TOKENS,
        prompt.text,
        prompt.candidates,
        _stop_key(prompt),
        *([time] if time else []),
    )


def _stop_key(prompt: Prompt) -> Sequence[str]:
    """What the stopping rule depends on besides the text."""
    if prompt.full_length:
        return ["full length"]
    return BEHAVIORAL[prompt.slice.measurement].stop_key(prompt)


def stopping_rule(prompt: Prompt) -> Callable[[str], bool]:
    """The stopping rule: whether the text so far is a complete answer to a prompt."""
    if prompt.full_length:
        return _never
    return BEHAVIORAL[prompt.slice.measurement].is_complete(prompt)


def _never(_: str) -> bool:
    return False


def units(
    prompts: Iterable[Prompt], keys: Iterable[bytes], size: int | None = None
) -> list[list[tuple[bytes, Prompt]]]:
    """Distinct prompts in fixed groups of neighbours in sorted order, which share prefixes."""
    size = size or UNIT
    distinct = dict(zip(keys, prompts, strict=True))
    ordered = sorted(distinct.items(), key=lambda item: (item[1].text, item[0]))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def unit_size(identity: Identity) -> int:
    """Prompts in a unit: a power of two that takes about ten seconds."""
    if not identity.parameters:
        return min(UNIT, _UNKNOWN)
    device = identity.device.split(":", 1)[0]
    size = _TEN_SECONDS.get(device, _TEN_SECONDS["mps"]) / identity.parameters
    return min(UNIT, 1 << int(math.log2(max(_LEAST, size))))


def ask(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    store: Store,
    share: Share = ALONE,
    *,
    again: int | None = None,
) -> list[Answer]:
    """Answers to all prompts, in their order, from the store or else from the model.

    Args:
        model: asked only for answers that the store lacks; not loaded if it lacks none.
        prompts: the prompts of the run; repeated ones are asked once.
        store: the answers; shared by the processes of a run.
        share: of this process in the work; its progress counts prompts.
        again: ask stored prompts again, this many at a time, to measure the noise floor.

    Raises:
        ModelError: the model failed or returned an invalid answer; nothing of it is stored.
        UnansweredError: the store lacks an answer, and the model must not be asked.
    """
    time = f"again by {again}" if again else ""
    keys = [answer_key(prompt, time) for prompt in prompts]
    scored = isinstance(model, HasScores)
    pieces = units(prompts, keys, again or unit_size(checked_identity(model)))
    works = [_Prompts(dict(piece), scored) for piece in pieces]
    found = _done(model, works, store, share, f"unit{again or ''}")
    return [found[key] for key in keys]


def perform(
    model: LanguageModel,
    units: Sequence[Unit],
    store: Store,
    share: Share = ALONE,
    *,
    again: int | None = None,
) -> dict[str, Findings]:
    """Findings of all units by content, from the store or else from the model.

    Arguments and errors as for `ask`; ``again``: repeat them in passes of this many rows.
    """
    kind = f"assay again by {again}" if again else "assay"
    works = {unit.content: _Look(unit, key_of(kind, unit.content), again) for unit in units}
    found = _done(model, list(works.values()), store, share, f"assay{again or ''}")
    return {content: found[work.key] for content, work in works.items()}


class _Work(ABC, Generic[Value]):
    """What one process does in one go and stores in one transaction: values by key."""

    keys: Collection[bytes]

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
        self, model: LanguageModel, missing: Collection[bytes], progress: Progress
    ) -> Mapping[bytes, StoredAnswer]:
        """Have the model do what is missing."""


def _done(
    model: LanguageModel,
    works: Sequence[_Work[Value]],
    store: Store,
    share: Share,
    name: str,
) -> dict[bytes, Value]:
    """Values of all work by key: stored ones are read, the rest is done and kept.

    ``name``: of the locks.
    """
    identity = checked_identity(model)
    answers = store.of(identity.fingerprint(), identity.name)

    def one(number: int) -> dict[bytes, Value]:
        work, found, damaged = works[number], {}, []
        for key, stored in answers.get(work.keys).items():
            try:
                found[key] = work.read(key, stored)
            except ValueError:
                damaged.append(key)
        answers.drop(damaged)
        missing = [key for key in work.keys if key not in found]
        share.progress(work.size(len(found)))
        if missing and share.known:
            raise UnansweredError
        if missing:
            kept = answers.put(work.do(model, missing, share.progress))
            found |= {key: work.read(key, stored) for key, stored in kept.items()}
        return found

    locks = share.locks and share.locks / f"{name}-{identity.fingerprint()[:8]}"
    values: dict[bytes, Value] = {}
    for part in shared(len(works), one, locks=locks, start=share.start, progress=share.progress):
        values |= part
    return values


class _Prompts(_Work[Answer]):
    """Prompts by key; ``scored``: whether the model offers log-probabilities."""

    def __init__(self, prompts: Mapping[bytes, Prompt], scored: bool) -> None:
        self.keys = prompts.keys()
        self._prompts, self._scored = prompts, scored

    def read(self, key: bytes, stored: StoredAnswer) -> Answer:
        return Answer.of(self._prompts[key], stored, scored=self._scored)

    def size(self, count: int) -> int:
        return count

    def do(
        self, model: LanguageModel, missing: Collection[bytes], progress: Progress
    ) -> Mapping[bytes, StoredAnswer]:
        half = partial(_halved, progress, [0])  # a prompt is done when both its readings are
        asked = [self._prompts[key] for key in missing]
        failed = f"failed on {len(asked):,} prompts, the first of which is {quoted(asked[0])}"
        with blamed(backend_of(model), failed):
            # Scores first: an engine may remember greedy choices that scoring revealed.
            scores: Sequence[Sequence[float]] = [()] * len(asked)
            if isinstance(model, HasScores):
                requests = [ScoreRequest(p.text, p.candidates) for p in asked]
                scores = model.score(requests, progress=half)
                check_scores(model, requests, scores)
            else:
                half(len(asked))
            generations = model.generate(
                [GenerationRequest(p.text, stopping_rule(p), MAX_NEW_TOKENS) for p in asked],
                progress=half,
            )
            check_generations(model, asked, generations)
        return {
            key: [g.text, g.complete, float(g.margin), [float(score) for score in given], first]
            for key, g, given in zip(missing, generations, scores, strict=True)
            for first in [first_of(given)]
        }


def _halved(progress: Progress, odd: list[int], count: int) -> None:
    odd[0] += count
    progress(odd[0] // 2)
    odd[0] %= 2


class _Look(_Work[Findings]):
    """A unit of an assay; ``rows``: in a pass, None for what memory allows."""

    def __init__(self, unit: Unit, key: bytes, rows: int | None) -> None:
        self.key, self.keys = key, [key]
        self._unit, self._rows = unit, rows

    def read(self, key: bytes, stored: StoredAnswer) -> Findings:
        return unpack(stored)

    def size(self, count: int) -> int:
        return self._unit.size * count

    def do(
        self, model: LanguageModel, missing: Collection[bytes], progress: Progress
    ) -> Mapping[bytes, StoredAnswer]:
        assert isinstance(model, HasResidualStream)
        left = [self._unit.size]

        def some(count: int) -> None:
            step = min(count, left[0])  # sizes are approximate: the bar must not exceed its total
            left[0] -= step
            progress(step)

        stream = model.residual.in_batches(self._rows) if self._rows else model.residual
        with blamed(backend_of(model), "failed where it was looked into"):
            found = pack(self._unit.run(stream, progress=some))
        progress(left[0])
        return {self.key: found}
