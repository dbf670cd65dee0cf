"""Ask the model everything that a run needs, each once, in any process.

Prompts are cut into fixed units; assays have units of their own. One process does a unit and stores
it in one transaction: a killed run resumes at the next unit, several processes share the work
without asking anything twice, and the batches of a unit do not depend on the number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from blindspot.measurements.mechanistic import Findings, Unit
from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import (
    GenerationRequest,
    HasScores,
    Identity,
    LanguageModel,
    ScoreRequest,
)
from blindspot.models.residual import HasResidualStream
from blindspot.run.answer import Answer, blamed, check_generations, check_scores
from blindspot.run.findings import pack, unpack
from blindspot.run.turns import Progress, shared
from blindspot.stimuli import Prompt
from blindspot.store import Answers, Store, key_of

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
    *,
    locks: Path | None = None,
    start: int = 0,
    progress: Progress = lambda _: None,
    again: int | None = None,
    known: bool = False,
) -> list[Answer]:
    """Answers to all prompts, in their order, from the store or else from the model.

    Args:
        model: asked only for answers that the store lacks; not loaded if it lacks none.
        prompts: the prompts of the run; repeated ones are asked once.
        store: the answers; shared by the processes of a run.
        locks: directory shared by the processes of a run, None if there is only one.
        start: number of this process; each begins with another unit.
        progress: called with the number of prompts answered since the last call, and with 0 while
            waiting for others; an exception from it stops the run.
        again: ask stored prompts again, this many at a time, to measure the noise floor.
        known: use the store only.

    Raises:
        ModelError: the model failed or returned an invalid answer; nothing of it is stored.
        UnansweredError: the store lacks an answer, and the model must not be asked.
    """
    identity = model.identity
    answers = store.of(identity.fingerprint(), identity.name)
    time = f"again by {again}" if again else ""
    keys = [answer_key(prompt, time) for prompt in prompts]
    pieces = units(prompts, keys, again or unit_size(identity))
    found: dict[bytes, Answer] = {}
    for part in shared(
        len(pieces),
        lambda number: _ask_unit(model, pieces[number], answers, progress, known=known),
        locks=locks and locks / f"unit{again or ''}-{identity.fingerprint()[:8]}",
        start=start,
        progress=progress,
    ):
        found |= part
    return [found[key] for key in keys]


def perform(
    model: LanguageModel,
    units: Sequence[Unit],
    store: Store,
    *,
    locks: Path | None = None,
    start: int = 0,
    progress: Progress = lambda _: None,
    again: int | None = None,
    known: bool = False,
) -> dict[str, Findings]:
    """Findings of all units by content, from the store or else from the model.

    Arguments and errors as for `ask`; ``again``: repeat them in passes of this many rows.
    """
    identity = model.identity
    answers = store.of(identity.fingerprint(), identity.name)
    kind = f"assay again by {again}" if again else "assay"
    found = shared(
        len(units),
        lambda number: _perform_unit(
            model, units[number], kind, answers, progress, again, known=known
        ),
        locks=locks and locks / f"assay{again or ''}-{identity.fingerprint()[:8]}",
        start=start,
        progress=progress,
    )
    return {unit.content: each for unit, each in zip(units, found, strict=True)}


def _ask_unit(
    model: LanguageModel,
    unit: list[tuple[bytes, Prompt]],
    answers: Answers,
    progress: Progress,
    *,
    known: bool,
) -> dict[bytes, Answer]:
    """Answers to one unit; missing ones are asked and stored in one transaction."""
    found, prompts, damaged = {}, dict(unit), []
    for key, stored in answers.get(prompts).items():
        try:
            found[key] = Answer.of(prompts[key], stored, scored=isinstance(model, HasScores))
        except ValueError:
            damaged.append(key)
    answers.drop(damaged)
    missing = {key: prompt for key, prompt in unit if key not in found}
    progress(len(found))
    if not missing:
        return found
    if known:
        raise UnansweredError
    half = partial(_halved, progress, [0])  # a prompt is done when both its readings are
    asked = list(missing.values())
    with blamed(model, asked):
        # Scores first: an engine may remember greedy choices that scoring revealed.
        scores: Sequence[Sequence[float]] = [()] * len(asked)
        if isinstance(model, HasScores):
            scores = model.score([ScoreRequest(p.text, p.candidates) for p in asked], progress=half)
            check_scores(model, asked, scores)
        else:
            half(len(asked))
        generations = model.generate(
            [GenerationRequest(p.text, stopping_rule(p), MAX_NEW_TOKENS) for p in asked],
            progress=half,
        )
        check_generations(model, asked, generations)
    kept = answers.put(
        {
            key: [g.text, g.complete, float(g.margin), [float(score) for score in given]]
            for key, g, given in zip(missing, generations, scores, strict=True)
        }
    )
    for key, each in kept.items():
        found[key] = Answer.of(prompts[key], each, scored=isinstance(model, HasScores))
    return found


def _halved(progress: Progress, odd: list[int], count: int) -> None:
    odd[0] += count
    progress(odd[0] // 2)
    odd[0] %= 2


def _perform_unit(
    model: LanguageModel,
    unit: Unit,
    kind: str,
    answers: Answers,
    progress: Progress,
    again: int | None,
    *,
    known: bool,
) -> Findings:
    key = key_of(kind, unit.content)
    for stored in answers.get([key]).values():
        try:
            findings = unpack(stored)
        except ValueError:
            answers.drop([key])
        else:
            progress(unit.size)
            return findings
    if known:
        raise UnansweredError
    assert isinstance(model, HasResidualStream)
    done = [0]

    def some(count: int) -> None:
        step = min(count, unit.size - done[0])  # sizes are approximate
        done[0] += step
        progress(step)

    stream = model.residual.in_batches(again) if again else model.residual
    stored = answers.put({key: pack(unit.run(stream, progress=some))})[key]
    progress(unit.size - done[0])
    return unpack(stored)
