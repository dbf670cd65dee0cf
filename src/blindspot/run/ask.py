"""Ask the model everything that a run needs, each once, in any process.

Prompts are cut into units; assays have units of their own. One process does a unit at a time:
several processes share the work without asking anything twice. What was found is stored every few
seconds: a killed run goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from blindspot.measurements.mechanistic import PASSES, Findings, Unit
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import (
    AnswersTogether,
    HasPrice,
    HasReplicas,
    Identity,
    IsAnswered,
    LanguageModel,
    offers,
)
from blindspot.run.answer import Answer, checked_identity
from blindspot.run.cost import Cost, Stopwatch, timed, trial_of
from blindspot.run.keeper import Keeper
from blindspot.run.turns import ALONE, Share, Watch, shared, turn
from blindspot.run.work import MAX_NEW_TOKENS, AssayWork, PromptWork, Work
from blindspot.stimuli import Prompt
from blindspot.store import Store, key_of

Value = TypeVar("Value")

#: Most prompts in a unit: enough for full batches on a GPU.
UNIT = 1024
#: Bump when a prompt's answer can change though its text does not (stopping rule, decoding).
DECODING = "greedy-2"
#: Parameters times prompts that a device answers in about ten seconds if it shares prefixes well;
#: two CPU cores did 2.0e9 a second where answers are short. Workers take turns at such units.
_TEN_SECONDS = {"cpu": 2e10, "mps": 2e11, "cuda": 2e13}
#: Prompts in a unit of a model of unknown size.
_UNKNOWN = 256
#: Units in a list for each replica: all wait for the last one of a list.
_LISTS = 4
#: Share of a trial's answers that end it. By its trial SmolLM2 then takes 1.3 s a prompt; a run of
#: 108, which writes the longer answers too, took 1.2 s.
_ENOUGH = 0.75
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


def units(prompts: Mapping[bytes, Prompt], size: int) -> list[list[tuple[bytes, Prompt]]]:
    """Prompts in groups of neighbours in sorted order, which share prefixes."""
    ordered = sorted(prompts.items(), key=lambda item: (item[1].text, item[0]))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def unit_size(identity: Identity, count: int, workers: int) -> int:
    """Prompts in a unit: about ten seconds of work, and about as many units for each worker.

    Units of a fast model are always the same, so its figures do not depend on who shares them.

    Args:
        identity: of the model.
        count: of all prompts.
        workers: that share them.
    """
    size: float = _UNKNOWN
    if identity.parameters:
        device = identity.device.split(":", 1)[0]
        size = _TEN_SECONDS.get(device, _TEN_SECONDS["mps"]) / identity.parameters
    if size >= UNIT:
        return UNIT
    share = count / workers
    rounds = max(1, math.ceil(share / max(_LEAST, size)))
    return _LEAST * max(1, math.ceil(share / rounds / _LEAST))


def _size(model: LanguageModel, count: int, share: Share) -> int:
    """Prompts in a unit of a run."""
    identity = checked_identity(model)
    if isinstance(model, HasReplicas):
        return unit_size(identity, count, 1) * _LISTS * model.replicas
    if share.locks is None:  # nobody else takes turns, and full batches are faster
        return UNIT
    return unit_size(identity, count, share.workers)


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
        share: of this process in the work, which is counted in prompts.
        again: ask stored prompts again, this many at a time, to measure the noise floor.

    Raises:
        ModelError: the model failed or returned an invalid answer, which is not stored.
        UnansweredError: the store lacks an answer, and the model must not be asked.
    """
    time = f"again by {again}" if again else ""
    keys = [answer_key(prompt, time) for prompt in prompts]
    scored = offers(model, "score")
    if isinstance(model, IsAnswered):
        model.check_prompts([prompt.text for prompt in prompts])
    distinct = dict(zip(keys, prompts, strict=True))
    pieces = units(distinct, again or _size(model, len(distinct), share))
    works = [PromptWork(dict(piece), scored) for piece in pieces]

    def trial(missing: Collection[bytes]) -> PromptWork:
        items = [item for piece in pieces for item in piece if item[0] in missing]
        return _trial(model, dict(() if again else trial_of(items)))

    bill = _bill_of(model, distinct)
    found = _done(model, works, store, share, f"unit{again or ''}", trial, bill=bill)
    return [found[key] for key in keys]


def _bill_of(
    model: LanguageModel, prompts: Mapping[bytes, Prompt]
) -> Callable[[Collection[bytes]], str] | None:
    """Says what missing answers to these prompts will cost; None if the model costs nothing."""
    if not isinstance(model, HasPrice):
        return None
    return lambda missing: model.bill(
        [prompt.text for key, prompt in prompts.items() if key in missing], MAX_NEW_TOKENS
    )


def try_out(model: LanguageModel, prompts: Sequence[Prompt], share: Share) -> Stopwatch:
    """What a trial of these prompts takes; nothing is kept, since stored answers take no time.

    Raises:
        ModelError: as `ask`.
    """
    asked = {answer_key(prompt): prompt for prompt in prompts}
    work, bill = _trial(model, asked), _bill_of(model, asked)
    with timed() as took:
        took.answers = len(_done(model, [work], Store(None), share, "trial", bill=bill))
    return took


def _trial(model: LanguageModel, prompts: Mapping[bytes, Prompt]) -> PromptWork:
    """The work of a trial. A model that computes here does not write the last few answers.

    They would be alone, and a step of one row takes half as long as one of eight.
    """
    early = isinstance(model, AnswersTogether) and not isinstance(model, HasReplicas)
    enough = math.ceil(_ENOUGH * len(prompts)) if early else None
    return PromptWork(prompts, offers(model, "score"), enough)


def perform(
    model: LanguageModel,
    units: Sequence[Unit],
    store: Store,
    share: Share = ALONE,
    *,
    again: int | None = None,
    speed: float | None = None,
) -> dict[str, Findings]:
    """Findings of all units by content, from the store or else from the model.

    Arguments and errors as for `ask`; ``again``: repeat them in passes of this many rows;
    ``speed``: tokens a second, NaN if unknown, of a model slow enough to say what they cost.
    """
    kind = f"assay again by {again}" if again else "assay"
    ordered = list(units)
    if share.workers > 1:  # the longest first, or one process waits for another at the end
        ordered.sort(key=lambda unit: -unit.tokens)
    works = {unit.content: AssayWork(unit, key_of(kind, unit.content), again) for unit in ordered}

    def cost(missing: Collection[bytes]) -> Cost:
        left = [unit for unit in units if works[unit.content].key in missing]
        count, tokens = sum(unit.size for unit in left), sum(unit.tokens for unit in left)
        stored = sum(unit.size for unit in units) - count
        return Cost(count, stored, PASSES, tokens, tokens / (speed or math.nan) / share.workers)

    found = _done(
        model,
        list(works.values()),
        store,
        share,
        f"assay{again or ''}",
        cost=None if speed is None else cost,
    )
    return {unit.content: found[works[unit.content].key] for unit in units}


def _done(
    model: LanguageModel,
    works: Sequence[Work[Value]],
    store: Store,
    share: Share,
    name: str,
    trial: Callable[[Collection[bytes]], Work[Value]] | None = None,
    cost: Callable[[Collection[bytes]], Cost] | None = None,
    bill: Callable[[Collection[bytes]], str] | None = None,
) -> dict[bytes, Value]:
    """Values of all work by key: stored ones are read, the rest is done and kept.

    Args:
        model: does it.
        works: the pieces.
        store: of values.
        share: of this process.
        name: of the locks.
        trial: chooses, of the keys that are missing, the work that is done first, and timed.
        cost: what missing work will cost, where that is known beforehand.
        bill: says what the keys that are missing will cost, before any work is done.
    """
    identity = checked_identity(model)
    answers = store.of(identity.fingerprint(), identity.name)
    keys = {key for work in works for key in work.keys}
    missing = keys - answers.known(keys)
    size = sum(work.size(len(work.keys & missing)) for work in works)
    if missing and share.known:
        raise UnansweredError
    locks = share.locks and share.locks / f"{name}-{identity.fingerprint()[:8]}"
    values: dict[bytes, Value] = {}
    with share.watched(size) as watch:
        if missing and bill is not None:
            watch.said(bill(missing))

        def one(work: Work[Value]) -> dict[bytes, Value]:
            return _one(work, model, Keeper(answers, share.run), watch, known=share.known)

        if cost is not None and missing:
            watch.cost(cost(missing))
        if trial is not None and (first := trial(missing)).keys:
            tried = locks and Path(f"{locks}-trial")
            with turn(tried.with_suffix(".lock"), watch.progress) if tried else nullcontext():
                # Only the first process: the prompts of a later one may be in another's unit.
                if tried is None or not tried.exists():
                    with timed() as took:
                        took.answers = len(one(first))
                    left, stored = size - took.answers, len(keys) - len(missing) + took.answers
                    watch.cost(took.cost(left, stored, "prompts", share.workers))
                    if tried is not None:
                        tried.touch()
        for part in shared(
            len(works),
            lambda number: one(works[number]),
            locks=locks,
            start=share.start,
            progress=watch.progress,
        ):
            values |= part
    return values


def _one(
    work: Work[Value], model: LanguageModel, keep: Keeper, watch: Watch, *, known: bool
) -> dict[bytes, Value]:
    """Values of one piece of work; what a run that is ended has found is kept."""
    found, damaged = {}, []
    for key, value in keep.known(work.keys).items():
        try:
            found[key] = work.read(key, value)
        except ValueError:
            damaged.append(key)
    keep.drop(damaged)
    missing = [key for key in work.keys if key not in found]
    watch.progress(0)
    if missing and known:
        raise UnansweredError
    if missing:
        try:
            work.do(model, missing, keep, watch.progress)
        finally:
            keep.close()
            watch.kept(work.size(len(keep.found.keys() & set(missing))) or keep.size)
        answered = [key for key in missing if key in keep.found]  # not all in a trial
        found |= {key: work.read(key, keep.found[key]) for key in answered}
    return found
