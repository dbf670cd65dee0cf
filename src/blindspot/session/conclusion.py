"""The end of a run: its exit code, the model that it accepts, and its files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from blindspot.baselines.acceptance import commit, pending_entries
from blindspot.baselines.scores import read_scores
from blindspot.errors import BlindspotError
from blindspot.report.document import publish
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
from blindspot.report.schema import Document, Record, nothing_measured
from blindspot.session.execution import Ran
from blindspot.session.session import Session
from blindspot.session.shares import GONE, left


@dataclass(frozen=True)
class Conclusion:
    """The record of a run, None where there is none, and its exit code."""

    record: Record | None
    exit_code: int


def conclude(
    session: Session, ran: Ran | None, pytest_session: pytest.Session, *, beside: Collection[str]
) -> Conclusion:
    """Set the exit code of the run and write its files.

    Args:
        session: of the process where all reports arrive.
        ran: what came of the run in this process, None where another one asked.
        pytest_session: whose exit code is set.
        beside: files that were written already.
    """
    ledger, own = session.ledger, int(pytest_session.exitstatus)
    stopped = stopped_early(session)
    if ledger.stopped and (ledger.failures or ledger.incomplete or ledger.lost):
        own = int(pytest.ExitCode.TESTS_FAILED)  # not interrupted
    if ran is None and session.has_directory:
        ran = left(session.directory)
    if ran is not None:
        ledger.lose_all(ran.record["incomplete"])
        unheard = sum(gate not in ledger.verdicts for gate in ran.gates)
        if unheard > ledger.skipped and not stopped:
            ledger.lose(f"{unheard - ledger.skipped} gates were not judged; run again")
    ledger.conclude()
    ended = own in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    accept(session, whole=ended and not (stopped or ledger.stopped or ledger.lost))
    if not session.options.follows:
        _write(session, ran, ledger.exit_code(own), beside)
    code = ledger.exit_code(own)  # a report that cannot be written also makes the run incomplete
    # torchrun kills all processes as soon as one ends with another code; the first one reports it.
    pytest_session.exitstatus = 0 if session.options.follows else code
    return Conclusion(None if ran is None else ran.record, code)


def stopped_early(session: Session) -> bool:
    """Whether failures ended the run: --maxfail, or a plugin."""
    maxfail = session.config.getoption("maxfail", default=None) or 0
    failures = session.ledger.failures
    return bool(0 < maxfail <= failures or (session.ledger.stopped and failures > 0))


def _write(session: Session, ran: Ran | None, exit_code: int, beside: Collection[str]) -> None:
    """Write the report to ``--output-path``, and the GitHub summary under GitHub Actions."""
    options, ledger = session.options, session.ledger
    mode: Literal["default", "strict"] = "strict" if options.strict else "default"
    record = ran.record if ran else nothing_measured(options.candidate, mode)
    document = report_document(record, ledger, exit_code, command=session.commands.ask)
    if (directory := options.output_path) is not None:
        try:
            _write_files(session, ran, directory, document, beside)
        except OSError as error:
            ledger.lose(f"--output-path {directory}: {error.strerror}; the report is missing")
    try:
        announce(document, os.environ, sys.stdout)
    except OSError as error:
        ledger.notes.append(f"the step summary cannot be written: {error.strerror}")


def _write_files(
    session: Session,
    ran: Ran | None,
    directory: Path,
    document: Document,
    beside: Collection[str],
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    written = {*beside, REPORT}
    if ran is not None and ran.measured is not None:
        write_samples(directory / SAMPLES, ran.measured)
        write_scores(directory / SCORES, ran.measured.scores(ran.cases))
        written |= {SAMPLES, SCORES}
    elif session.has_directory:
        found = (SAMPLES, SCORES)
        written |= {name for name in found if take_over(session.directory / name, directory)}
    write_report(directory, document)
    written |= {path.name for path in publish(directory, document)}
    remove_others(directory, written)


def accept(session: Session, *, whole: bool) -> None:
    """Write the accepted entries to the model's baseline, after all tests have ended.

    Args:
        session: of the process where all reports arrive.
        whole: whether the run completed; otherwise the old baseline stays unchanged.
    """
    options, inputs, ledger = session.options, session.inputs, session.ledger
    if not options.updating or not session.has_directory:
        return
    path = inputs.own_baseline_path
    if not whole:
        ledger.lose(f"the run was cut short: {path} is unchanged; run it again")
        return
    entries = pending_entries(session.directory)
    gone = session.directory / GONE
    removed: list[str] = json.loads(gone.read_text("utf-8")) if gone.is_file() else []
    if not (entries or removed):
        if ledger.verdicts:
            ledger.notes.append(f"nothing changed: {path} is as before")
        return
    try:
        scores = read_scores(session.directory / SCORES).of_gates(entries)
        commit(
            path,
            options.candidate,
            inputs.provenance,
            entries,
            scores,
            reason=options.accept_reason,
            removed=removed,
        )
    except (OSError, BlindspotError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        ledger.lose(f"{path}: the baseline cannot be written ({said}); it is unchanged")
    else:
        ledger.notes.append(f"{len(entries)} gates accepted in {path}")
        if removed:
            ledger.notes.append(
                f"removed {len(removed)} gates that no test has any more, first {removed[0]}"
            )
