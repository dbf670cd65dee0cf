"""The run of a session: ask, read, measure, judge once, and keep the record for every process."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from filelock import FileLock

from blindspot.baselines import Baseline
from blindspot.errors import BlindspotError
from blindspot.estimates.statistics import BANDS
from blindspot.models.base import LanguageModel
from blindspot.models.deferred import DeferredModel
from blindspot.plan.assaying import assay_all, parts_of, perform, units_of
from blindspot.plan.run import Measured, ask_all, measure, outcomes, prompts_of
from blindspot.plan.store import Store
from blindspot.report.comparison import compare
from blindspot.report.files import (
    SAMPLES,
    move_samples,
    report_document,
    write_report,
    write_samples,
)
from blindspot.report.progress import ProgressBar
from blindspot.report.record import Record, baseline_record, build_record
from blindspot.session.dismissal import attentive, look
from blindspot.session.state import Session

RECORD = "record.json"


def execute(session: Session) -> None:
    """Ask everything that the collected tests need, measure it and judge it; once.

    Under xdist the workers share the asking, and the first that has all answers reads and judges
    them for all.

    Raises:
        BlindspotError: the model, store, gates or baseline cannot be used; again at every call.
        DismissalError: in a worker: the run was given up.
    """
    if session.fault is not None:
        raise session.fault
    if session.record is not None:
        return
    try:
        _execute(session)
    except BlindspotError as error:
        session.fault = error
        raise


def _execute(session: Session) -> None:
    session.check_update()
    baseline = session.baseline_to_compare(session.provenance())
    _ = session.gates  # a faulty file is told before the model is asked
    store = session.open_store()
    try:
        measured = _measure(session, session.model, session.options.model, store)
        reference = None
        if session.reference is not None and session.options.reference is not None:
            _release(session.model)  # one after the other: two may not fit into memory
            reference = _measure(session, session.reference, session.options.reference, store)
            _release(session.reference)
    finally:
        store.close()

    def judged() -> Record:
        session.measured = measured()
        return _judge(
            session, session.measured, baseline, reference() if reference is not None else None
        )

    if session.worker is None:
        session.record = judged()
        return
    path = session.directory / RECORD
    with FileLock(session.directory / "record.lock"):
        if path.exists():
            session.record = json.loads(path.read_text("utf-8"))
            return
        look(session.directory)
        session.record = judged()
        if session.options.output_path is not None and session.measured is not None:
            write_samples(session.directory / SAMPLES, session.measured)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(session.record), "utf-8")
        temporary.replace(path)


def _measure(
    session: Session, model: LanguageModel, name: str, store: Store
) -> Callable[[], Measured]:
    """Ask a model everything that the run needs; reading the answers is left for later."""
    wanted = prompts_of(session.source, session.cases.values())
    parts = parts_of(session.cases.values())
    units = units_of(session.assays, parts) if parts else []
    locks = session.directory if session.worker else None
    first = session.worker_number == 0
    prompts = sum(len(part) for part in wanted.values())
    with (
        _uncaptured(session),
        ProgressBar(prompts, name, enabled=first) as progress,
    ):
        answers = ask_all(
            wanted,
            model,
            store,
            locks=locks,
            start=session.worker_number,
            progress=attentive(progress, locks),
        )
    rows = sum(unit.size for unit in units)
    with (
        _uncaptured(session),
        ProgressBar(rows, f"{name}, inside", unit="patches", enabled=first) as progress,
    ):
        findings = perform(
            model,
            units,
            store,
            locks=locks,
            start=session.worker_number,
            progress=attentive(progress, locks),
        )
    identity = model.identity

    def read() -> Measured:
        assayed = assay_all(session.assays, parts, findings) if parts else {}
        return measure(identity, wanted, answers, assayed)

    return read


def _release(model: LanguageModel) -> None:
    """Let go of a model's weights, if it holds any."""
    if isinstance(model, DeferredModel):
        model.release()


def _uncaptured(session: Session) -> AbstractContextManager[None]:
    """Let the progress bar through pytest's capture."""
    plugins = session.config.pluginmanager
    if (terminal := plugins.get_plugin("terminalreporter")) is not None:
        terminal.ensure_newline()
    capture = plugins.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()


def _judge(
    session: Session, measured: Measured, baseline: Baseline | None, reference: Measured | None
) -> Record:
    options = session.options
    cases = list(session.cases.values())
    found = outcomes(measured, cases, session.gates, baseline, allowed=options.allow_mismatch)
    _note_vanished(session, baseline)
    return build_record(
        measured,
        found.values(),
        alpha=session.gates.alpha,
        baseline=baseline_record(
            baseline,
            path=str(session.baseline_path),
            named=options.baseline is not None,
            accept=session.accept_command,
            uncompared=session.uncompared,
        ),
        incomplete=session.ledger.incomplete,
        published=_published(session, measured),
        reference=compare(measured, reference, cases) if reference is not None else None,
    )


def _note_vanished(session: Session, baseline: Baseline | None) -> None:
    """A gate that was accepted and is no longer asked must not go unnoticed."""
    if baseline is None or session.options.limit is not None:
        return
    asked = {_kind(gate, case.level) for gate, case in session.known.items()}
    vanished = []
    for gate, entry in sorted(baseline.gates.items()):
        kind = _kind(gate, entry.level)
        if gate not in session.known and kind in asked:
            vanished.append(gate)
    if vanished:
        session.ledger.lose(
            f"{len(vanished)} gates of the baseline {baseline.path.name} are no longer tested, "
            f"first {vanished[0]}; restore them or accept the model anew"
        )


def _kind(gate: str, level: str) -> tuple[str, ...]:
    """What a gate asks, without the slice that it asks it of; a pair's words may hold a slash."""
    measurement, *rest = gate.split("/")
    asked = rest[-3:] if rest[-1] in BANDS else rest[-2:]
    return (measurement, *asked, level)


def _published(session: Session, measured: Measured) -> list[dict[str, Any]]:
    if session.options.prompts_from is None:
        return []
    from blindspot.published.source import PublishedPrompts

    assert isinstance(session.source, PublishedPrompts)
    return session.source.rows(measured)


def conclude(session: Session, pytest_session: pytest.Session) -> None:
    """Set the exit code of the run and write its files."""
    ledger, own = session.ledger, int(pytest_session.exitstatus)
    maxfail = session.config.getoption("maxfail", default=None) or 0
    stopped = 0 < maxfail <= ledger.failures or (session.stopped and ledger.failures > 0)
    if session.stopped and (ledger.failures or session.lost):
        own = int(pytest.ExitCode.TESTS_FAILED)  # not interrupted by anybody
    record = collect_record(session)
    if record is not None and not stopped:
        unheard = sum(gate["id"] not in ledger.verdicts for gate in record["gates"])
        if unheard > ledger.skipped:
            ledger.lose(f"{unheard - ledger.skipped} gates were not judged; run again")
    write_files(session, ledger.exit_code(own))
    session.exit_code = ledger.exit_code(own)  # a report that cannot be written is incomplete too
    pytest_session.exitstatus = session.exit_code


def collect_record(session: Session) -> Record | None:
    """The record of the run: this process's own, or what a worker left."""
    if session.record is None and session.has_directory:
        path = session.directory / RECORD
        if path.is_file():
            session.record = json.loads(path.read_text("utf-8"))
    if session.record is not None:
        for reason in session.record["incomplete"]:
            session.ledger.lose(reason)
    return session.record


def write_files(session: Session, exit_code: int) -> None:
    """report.json and samples.jsonl.gz, where ``--output-path`` wants them."""
    directory, record = session.options.output_path, session.record
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if session.measured is not None:
            write_samples(directory / SAMPLES, session.measured)
        elif session.has_directory and (session.directory / SAMPLES).is_file():
            move_samples(session.directory / SAMPLES, directory)
        document = report_document(record, session.ledger, exit_code, session.options.model)
        write_report(directory, document)
    except OSError as error:
        session.ledger.lose(f"--output-path {directory}: {error.strerror}; the report is missing")
