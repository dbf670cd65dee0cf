"""The work of a model in a run: prompts, assays, and a sample of both repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from blindspot.gates.outcomes import limit_of
from blindspot.measurements.mechanistic import Findings, Unit
from blindspot.models.base import HasWeights, LanguageModel
from blindspot.run.answer import Answer
from blindspot.run.ask import perform
from blindspot.run.findings import assay_all, parts_of, units_of
from blindspot.run.noise import (
    INSIDE_TOGETHER,
    TOGETHER,
    NoiseFloor,
    chosen,
    looked_again,
    noise_floor,
)
from blindspot.run.result import Measured, ask_all, measure, prompts_of
from blindspot.run.turns import Progress
from blindspot.session.dismissal import DismissalError, look
from blindspot.session.progress import ProgressBar
from blindspot.session.state import Session
from blindspot.stimuli import Prompt, Slice
from blindspot.store import Store


def measuring(
    session: Session,
    model: LanguageModel,
    name: str,
    store: Store,
    *,
    again: bool = False,
    known: bool = False,
) -> Callable[[], tuple[Measured, NoiseFloor | None]]:
    """Ask a model everything that the run needs; reading the answers comes later.

    Args:
        session: with the cases of its tests.
        model: the candidate or the reference.
        name: of the model, for messages.
        store: where answers are kept.
        again: repeat a sample of the work, for the noise floor.
        known: use the store only.

    Raises:
        UnansweredError: with ``known``, if an answer is missing in the store.
    """
    wanted = prompts_of(session.source, session.cases.values())
    parts = parts_of(session.cases.values())
    assays = session.assays if parts else {}
    places = chosen(wanted) if again else {}
    repeated = {part: [wanted[part][place] for place in found] for part, found in places.items()}
    looked = looked_again(assays, parts) if again else []
    locks = session.directory if session.worker and not known else None
    first, start = session.worker_number == 0, session.worker_number

    def asked(prompts: dict[Slice, list[Prompt]], label: str, at_once: int | None) -> list[Answer]:
        size = sum(len(part) for part in prompts.values())
        with uncaptured(session), ProgressBar(size, label, enabled=first) as progress:
            return ask_all(
                prompts,
                model,
                store,
                locks=locks,
                start=start,
                progress=attentive(session, progress),
                again=at_once,
                known=known,
            )

    def performed(units: Sequence[Unit], label: str, rows: int | None) -> dict[str, Findings]:
        size = sum(unit.size for unit in units)
        with (
            uncaptured(session),
            ProgressBar(size, label, unit="patches", enabled=first) as progress,
        ):
            return perform(
                model,
                units,
                store,
                locks=locks,
                start=start,
                progress=attentive(session, progress),
                again=rows,
                known=known,
            )

    answers = asked(wanted, name, None)
    second = asked(repeated, f"{name}, again", TOGETHER) if again else []
    findings = performed(units_of(assays, parts), f"{name}, inside", None)
    units = units_of(assays, looked)
    findings_again = performed(units, f"{name}, inside again", INSIDE_TOGETHER) if units else {}
    identity = model.identity
    if isinstance(model, HasWeights):
        session.ledger.notes += [n for n in model.notes if n not in session.ledger.notes]

    def read() -> tuple[Measured, NoiseFloor | None]:
        assayed = assay_all(assays, parts, findings)
        measured = measure(identity, wanted, answers, assayed, partial(limit_of, session.gates))
        if not again:
            return measured, None
        inside = assay_all(assays, looked, findings_again)
        return measured, noise_floor(measured.tables, places, second, assayed, inside)

    return read


def attentive(session: Session, progress: Progress = lambda _: None) -> Progress:
    """``progress`` that first checks whether the run was abandoned or took too long."""
    directory = session.directory if session.worker else None
    timeout = session.config.pluginmanager.get_plugin("timeout")
    key = getattr(timeout, "SESSION_EXPIRE_KEY", None)  # pytest-timeout checks only between tests
    expires = session.config.stash.get(key, None) if key is not None else None

    def looking(count: int) -> None:
        if directory is not None:
            look(directory)
        if expires and time.time() > expires:
            why = "--session-timeout: exceeded while the model was answering"
            session.ledger.lose(why)
            raise DismissalError(why)
        progress(count)

    return looking


def uncaptured(session: Session) -> AbstractContextManager[None]:
    """Show the progress bar despite pytest's capture."""
    plugins = session.config.pluginmanager
    if (terminal := plugins.get_plugin("terminalreporter")) is not None:
        terminal.ensure_newline()
    capture = plugins.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
