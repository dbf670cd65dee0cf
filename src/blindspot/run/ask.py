"""Put the prompts of a run to the model, once each, whoever runs them.

The prompts are cut into fixed units. A unit is asked by one process and its answers are stored in
one transaction, so a killed run resumes at the next unit, several processes share the work without
asking anything twice, and a unit's batches are the same however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import GenerationRequest, HasScores, LanguageModel, ScoreRequest
from blindspot.stimuli import Prompt
from blindspot.store import Answer as StoredAnswer
from blindspot.store import Store, key_of

#: Prompts in a unit: small enough that little is lost, large enough for full batches on a GPU.
UNIT = 1024
#: Longest generated answer in tokens, as in the paper's protocol.
MAX_NEW_TOKENS = 40
#: Bump when a prompt's answer can change though its text does not (stopping rule, decoding).
DECODING = "greedy-2"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model gave to one prompt.

    ``text``: greedy continuation, until the answer was complete; ``margin``: smallest gap between
    its best and second-best logits; ``log_probabilities``: of each candidate as a whole, in nats;
    none of a model that offers no scores.
    """

    text: str
    complete: bool
    margin: float
    log_probabilities: tuple[float, ...]


def answer_key(fingerprint: str, prompt: Prompt, time: str = "") -> bytes:
    """Digest of all that decides the answers to a prompt; ``time`` tells a second asking apart."""
    return key_of(
        fingerprint,
        DECODING,
        MAX_NEW_TOKENS,
        prompt.text,
        prompt.candidates,
        _stop_key(prompt),
        *([time] if time else []),
    )


def _stop_key(prompt: Prompt) -> Sequence[str]:
    """What the stopping rule looks for beside the text."""
    if prompt.full_length:
        return ["full length"]
    return BEHAVIORAL[prompt.slice.measurement].stop_key(prompt)


def stopping_rule(prompt: Prompt) -> Callable[[str], bool]:
    """Says of the text so far whether it is a complete answer to a prompt."""
    if prompt.full_length:
        return _never
    return BEHAVIORAL[prompt.slice.measurement].is_complete(prompt)


def _never(_: str) -> bool:
    return False


def units(
    prompts: Iterable[Prompt], keys: Iterable[bytes], size: int | None = None
) -> list[list[tuple[bytes, Prompt]]]:
    """Distinct prompts in fixed groups: neighbours in text, which share their beginnings."""
    size = size or UNIT
    distinct = dict(zip(keys, prompts, strict=True))
    ordered = sorted(distinct.items(), key=lambda item: (item[1].text, item[0]))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def ask(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    store: Store,
    *,
    locks: Path | None = None,
    start: int = 0,
    progress: Progress = lambda _: None,
    again: int | None = None,
) -> list[Answer]:
    """Answers to all prompts, in their order, from the store or else from the model.

    Args:
        model: asked only for what the store does not know; not even loaded if it knows everything.
        prompts: the prompts of the run; repeated ones are asked once.
        store: where answers are kept; shared by the processes of a run.
        locks: directory shared by the processes of a run, None when there is only this one.
        start: number of this process, so that each begins with another unit.
        progress: called with the number of prompts answered since the last call.
        again: ask, so many at a time, what was asked before: whether it is answered the same.
    """
    fingerprint = model.identity.fingerprint()
    store.use(fingerprint, model.identity.name)
    time = f"again by {again}" if again else ""
    keys = [answer_key(fingerprint, prompt, time) for prompt in prompts]
    pending = list(enumerate(units(prompts, keys, again)))
    turn = start % len(pending) if pending else 0
    pending = pending[turn:] + pending[:turn]
    busy: list[tuple[int, list[tuple[bytes, Prompt]]]] = []
    answers: dict[bytes, StoredAnswer] = {}
    for patience in (0.0, -1.0):  # first what is free, then wait for what others have begun
        for number, unit in pending:
            lock = (
                FileLock(locks / f"unit{again or ''}-{number}.lock", timeout=patience)
                if locks
                else None
            )
            try:
                with lock or nullcontext():
                    answers |= _ask_unit(model, unit, store, progress)
            except Timeout:
                busy.append((number, unit))
        pending, busy = busy, []
    return [Answer(a[0], a[1], a[2], tuple(a[3])) for a in map(answers.__getitem__, keys)]


def _ask_unit(
    model: LanguageModel, unit: list[tuple[bytes, Prompt]], store: Store, progress: Progress
) -> dict[bytes, StoredAnswer]:
    """Answers to one unit; what the store lacks is asked and kept in one transaction."""
    known = store.get(key for key, _ in unit)
    missing = [(key, prompt) for key, prompt in unit if key not in known]
    progress(len(unit) - len(missing))
    if not missing:
        return known
    half = partial(_halved, progress, [0])  # a prompt is done when both readings of it are
    # Scores first: an engine may remember the greedy choices that it passed on the way.
    scores: Sequence[Sequence[float]] = [()] * len(missing)
    if isinstance(model, HasScores):
        scores = model.score(
            [ScoreRequest(prompt.text, prompt.candidates) for _, prompt in missing], progress=half
        )
    else:
        half(len(missing))
    generations = model.generate(
        [
            GenerationRequest(prompt.text, stopping_rule(prompt), MAX_NEW_TOKENS)
            for _, prompt in missing
        ],
        progress=half,
    )
    asked: dict[bytes, StoredAnswer] = {
        key: [generation.text, generation.complete, generation.margin, list(score)]
        for (key, _), generation, score in zip(missing, generations, scores, strict=True)
    }
    return known | store.put(asked)


def _halved(progress: Progress, odd: list[int], count: int) -> None:
    odd[0] += count
    progress(odd[0] // 2)
    odd[0] %= 2
