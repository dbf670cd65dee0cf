"""The run of a session: ask, read, measure, judge once, and share the record with every process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal, cast

import pytest

from blindspot import files
from blindspot.baselines import Baseline
from blindspot.baselines.scores import Scores
from blindspot.errors import BlindspotError
from blindspot.gates.outcomes import Other, limit_of, outcomes
from blindspot.gates.rule import Others
from blindspot.models.base import HasWeights, LanguageModel
from blindspot.report.files import (
    REPORT,
    SAMPLES,
    SCORES,
    remove_others,
    report_document,
    take_over,
    write_report,
    write_samples,
    write_scores,
)
from blindspot.report.github import announce
from blindspot.report.publication import publish
from blindspot.report.record import Beside, baseline_record, build_record
from blindspot.report.schema import Document, Published, Record, nothing_measured
from blindspot.report.schema import NoiseFloor as ReportedNoiseFloor
from blindspot.run.ask import UnansweredError
from blindspot.run.noise import NoiseFloor
from blindspot.run.result import Kept, Measured
from blindspot.run.turns import turn
from blindspot.session.absence import note_idle_waivers, note_vanished
from blindspot.session.comparing import (
    accept,
    baseline_to_compare,
    check_update,
    kept_scores,
    note_gone,
    wants_noise_floor,
)
from blindspot.session.dismissal import look
from blindspot.session.measuring import attentive, measuring
from blindspot.session.state import Session

RECORD = "record.json"
#: Fields of a reference's identity in reports.
_SHOWN = ("name", "weights", "dtype", "revision", "tokenizer", "template")


def execute(session: Session) -> None:
    """Ask, measure and judge everything that the collected tests need, once.

    Under xdist the workers share the prompts, and the first that has all answers judges them for
    all.

    Raises:
        BlindspotError: the model, store, gates or baseline cannot be used; again at every call.
        DismissalError: in a worker: the run was abandoned.
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
    check_update(session)
    baseline = baseline_to_compare(session)
    kept = kept_scores(baseline)
    _ = session.gates  # a faulty file is reported before the model is asked
    if session.worker is None:
        session.record = _asked(session, baseline, kept)()
        if session.updating:
            _write_scores(session, session.directory)
            note_gone(session)
        return
    asking, attend = session.directory / "asking", attentive(session)
    with turn(session.directory / "known.lock", attend):
        # If all answers are in the store, one worker reads them and the others wait.
        if not _has_record(session) and not asking.exists():
            try:
                _share_record(session, _asked(session, baseline, kept, known=True))
            except UnansweredError:
                asking.touch()
    if session.record is None:
        judged = _asked(session, baseline, kept)
        with turn(session.directory / "record.lock", attend):
            if not _has_record(session):
                look(session.directory)
                _share_record(session, judged)


def _asked(
    session: Session, baseline: Baseline | None, kept: Scores | None, *, known: bool = False
) -> Callable[[], Record]:
    """Ask the models everything that the run needs; reading and judging come later.

    Raises:
        UnansweredError: with ``known``, if an answer is missing in the store.
    """
    again = wants_noise_floor(session, baseline)
    reference = None
    store = session.open_store()
    try:
        measured = measuring(
            session, session.model, session.options.model, store, again=again, known=known
        )
        if session.reference is not None and session.options.reference is not None:
            _release(session.model)  # one after the other: two may not fit in memory
            reference = measuring(
                session, session.reference, session.options.reference, store, known=known
            )
            _release(session.reference)
    finally:
        store.close()

    def judged() -> Record:
        theirs = None if kept is None else Kept(kept, partial(limit_of, session.gates))
        others = _others(baseline, theirs, reference()[0] if reference is not None else None)
        session.measured, floor = measured()
        return _judge(session, session.measured, floor, baseline, others)

    return judged


def _has_record(session: Session) -> bool:
    """Whether another worker has written the record of the run, which this one then loads."""
    path = session.directory / RECORD
    if session.record is None and path.exists():
        session.record = json.loads(path.read_text("utf-8"))
    return session.record is not None


def _share_record(session: Session, judged: Callable[[], Record]) -> None:
    """Judge, and share the record and its files with the other processes."""
    session.record = judged()
    if session.options.output_path is not None and session.measured is not None:
        write_samples(session.directory / SAMPLES, session.measured)
    _write_scores(session, session.directory)
    note_gone(session)
    files.replace(session.directory / RECORD, json.dumps(session.record))


def _write_scores(session: Session, directory: Path) -> None:
    """The score of every prompt, for comparisons with this run."""
    if session.measured is not None:
        write_scores(directory / SCORES, session.measured.scores(session.cases.values()))


def _others(
    baseline: Baseline | None, kept: Kept | None, reference: Measured | None
) -> dict[Others, tuple[Other, Beside]]:
    """The models that a run compares with, for verdicts and reports."""
    others: dict[Others, tuple[Other, Beside]] = {}
    if baseline is not None:
        beside = Beside(baseline.model, {"name": baseline.model, **baseline.provenance}, kept)
        others["baseline"] = (Other.of_baseline(baseline, kept), beside)
    if reference is not None:
        identity = asdict(reference.identity)
        shown = {key: identity[key] for key in _SHOWN}
        name = reference.identity.name
        others["reference"] = (
            Other(f"the reference {name}", reference),
            Beside(name, shown, reference),
        )
    return others


def _release(model: LanguageModel) -> None:
    """Release a model's weights, if it has any."""
    if isinstance(model, HasWeights):
        model.release()


def _judge(
    session: Session,
    measured: Measured,
    floor: NoiseFloor | None,
    baseline: Baseline | None,
    others: Mapping[Others, tuple[Other, Beside]],
) -> Record:
    options = session.options
    found = outcomes(
        measured,
        list(session.cases.values()),
        session.gates,
        {against: other for against, (other, _) in others.items()},
        allowed=frozenset(options.allow_mismatch),
        strict=options.strict,
        floor=None if floor is None else floor.of,
    )
    note_vanished(session, baseline)
    note_idle_waivers(session)
    return build_record(
        measured,
        found.values(),
        alpha=session.gates.alpha,
        strict=options.strict,
        baseline=baseline_record(
            baseline,
            path=str(session.baseline_path),
            named=options.baseline is not None,
            accept=session.accept_command,
            uncompared=session.uncompared,
        ),
        incomplete=session.ledger.incomplete,
        published=_published(session, measured),
        others={against: beside for against, (_, beside) in others.items()},
        noise_floor=None if floor is None else cast("ReportedNoiseFloor", floor.as_record()),
    )


def _published(session: Session, measured: Measured) -> list[Published]:
    answers = {
        row.prompt.text: row.answer.text for table in measured.tables.values() for row in table.rows
    }
    return cast("list[Published]", session.source.beside(measured.identity.name, answers))


def conclude(session: Session, pytest_session: pytest.Session) -> None:
    """Set the exit code of the run and write its files."""
    ledger, own = session.ledger, int(pytest_session.exitstatus)
    stopped = stopped_early(session)
    if session.stopped and (ledger.failures or ledger.incomplete or session.lost):
        own = int(pytest.ExitCode.TESTS_FAILED)  # not interrupted
    record = collect_record(session)
    if record is not None and not stopped:
        unheard = sum(gate["id"] not in ledger.verdicts for gate in record["gates"])
        if unheard > ledger.skipped:
            ledger.lose(f"{unheard - ledger.skipped} gates were not judged; run again")
    ledger.conclude()
    ended = own in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    accept(session, whole=ended and not (stopped or session.stopped or session.lost))
    write_files(session, ledger.exit_code(own))
    # again: a report that cannot be written also makes the run incomplete
    session.exit_code = ledger.exit_code(own)
    # torchrun kills all processes as soon as one ends with another code; the first one reports it
    pytest_session.exitstatus = 0 if session.options.follows else session.exit_code


def stopped_early(session: Session) -> bool:
    """Whether failures ended the run: --maxfail, or a plugin."""
    maxfail = session.config.getoption("maxfail", default=None) or 0
    failures = session.ledger.failures
    return bool(0 < maxfail <= failures or (session.stopped and failures > 0))


def collect_record(session: Session) -> Record | None:
    """The record of the run: this process's own, or that of a worker."""
    if session.record is None and session.has_directory:
        path = session.directory / RECORD
        if path.is_file():
            session.record = json.loads(path.read_text("utf-8"))
    if session.record is not None:
        for reason in session.record["incomplete"]:
            session.ledger.lose(reason)
    return session.record


def write_files(session: Session, exit_code: int) -> None:
    """Write the report to ``--output-path``, and the GitHub summary under GitHub Actions."""
    if session.options.follows:
        return
    directory = session.options.output_path
    mode: Literal["default", "strict"] = "strict" if session.options.strict else "default"
    document = report_document(
        session.record or nothing_measured(session.options.model, mode),
        session.ledger,
        exit_code,
        command=session.command,
    )
    if directory is not None:
        _write_files(session, directory, document)
    try:
        announce(document, os.environ, sys.stdout)
    except OSError as error:
        session.ledger.notes.append(f"the step summary cannot be written: {error.strerror}")


def _write_files(session: Session, directory: Path, document: Document) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if session.measured is not None:
            write_samples(directory / SAMPLES, session.measured)
            _write_scores(session, directory)
            session.written |= {SAMPLES, SCORES}
        elif session.has_directory:
            for name in (SAMPLES, SCORES):
                if take_over(session.directory / name, directory):
                    session.written.add(name)
        write_report(directory, document)
        session.written.add(REPORT)
        session.written |= {path.name for path in publish(directory, document)}
        remove_others(directory, session.written)
    except OSError as error:
        session.ledger.lose(f"--output-path {directory}: {error.strerror}; the report is missing")
