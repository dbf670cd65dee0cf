"""Have the units of all assays done by the model, once each, whoever does them.

As with prompts: a unit is done by one process and its findings are stored in one transaction.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from blindspot.measurements.mechanistic import Assay, Assayed, Findings, Unit
from blindspot.models.base import LanguageModel
from blindspot.models.residual import HasResidualStream
from blindspot.run.cases import Case
from blindspot.stimuli import Slice
from blindspot.store import Answer, Store, key_of

Progress = Callable[[int], None]


def parts_of(cases: Iterable[Case]) -> list[Slice]:
    """The slices that the mechanistic cases need, each once."""
    return list(dict.fromkeys(case.part for case in cases if case.mechanistic))


def units_of(assays: Mapping[str, Assay], parts: Sequence[Slice]) -> list[Unit]:
    """The work of all slices, equal units once, in an order that does not depend on the slices'."""
    units = {unit.content: unit for part in parts for unit in assays[part.measurement].units(part)}
    return [units[content] for content in sorted(units)]


def perform(
    model: LanguageModel,
    units: Sequence[Unit],
    store: Store,
    *,
    locks: Path | None = None,
    start: int = 0,
    progress: Progress = lambda _: None,
    again: int | None = None,
) -> dict[str, Findings]:
    """Findings of all units by content, from the store or else from the model.

    Arguments as for `ask.ask`; ``again``: in passes of so many rows, whatever is known already.

    Raises:
        ModelError: the model's architecture cannot be patched.
    """
    fingerprint = model.identity.fingerprint()
    store.use(fingerprint, model.identity.name)
    kind = f"assay again by {again}" if again else "assay"
    keys = {unit.content: key_of(fingerprint, kind, unit.content) for unit in units}
    pending = list(enumerate(units))
    turn = start * len(pending) // 2 % len(pending) if pending else 0
    pending = pending[turn:] + pending[:turn]
    busy: list[tuple[int, Unit]] = []
    found: dict[str, Answer] = {}
    for patience in (0.0, -1.0):  # first what is free, then wait for what others have begun
        for number, unit in pending:
            name = f"assay{again or ''}-{fingerprint[:8]}-{number}.lock"
            path = locks / name if locks else None
            lock = FileLock(path, timeout=patience) if path else None
            try:
                with lock or nullcontext():
                    found[unit.content] = _perform_unit(
                        model, unit, keys[unit.content], store, progress, again
                    )
            except Timeout:
                busy.append((number, unit))
        pending, busy = busy, []
    return {content: unpack(found[content]) for content in keys}


def _perform_unit(
    model: LanguageModel,
    unit: Unit,
    key: bytes,
    store: Store,
    progress: Progress,
    again: int | None,
) -> Answer:
    if known := store.get([key]):
        progress(unit.size)
        return known[key]
    assert isinstance(model, HasResidualStream)
    done = [0]

    def some(count: int) -> None:
        step = min(count, unit.size - done[0])  # sizes are rough: the bar must not run over
        done[0] += step
        progress(step)

    stream = model.residual.in_batches(again) if again else model.residual
    findings = pack(unit.run(stream, progress=some))
    kept = store.put({key: findings})
    progress(unit.size - done[0])
    return kept[key]


def pack(findings: Findings) -> Answer:
    """Findings as the JSON that the store keeps: texts as they are, arrays as one npz file."""
    arrays = {name: item for name, item in findings.items() if not isinstance(item, list)}
    texts = {name: item for name, item in findings.items() if isinstance(item, list)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return [texts, base64.b64encode(file.getvalue()).decode("ascii")]


def unpack(answer: Answer) -> Findings:
    """The findings in what the store kept."""
    texts, encoded = answer
    with np.load(io.BytesIO(base64.b64decode(encoded)), allow_pickle=False) as file:
        return {**texts, **{name: file[name] for name in file.files}}


def assay_all(
    assays: Mapping[str, Assay], parts: Sequence[Slice], findings: Mapping[str, Findings]
) -> dict[Slice, Assayed]:
    """What the findings say of every slice."""
    return {part: assays[part.measurement].measure(part, findings) for part in parts}
