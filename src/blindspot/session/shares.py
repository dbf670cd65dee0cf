"""How the processes of a run share it: who asks, who judges, and what is left to the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from blindspot import files
from blindspot.report.files import SAMPLES, SCORES, write_samples, write_scores
from blindspot.run.ask import UnansweredError
from blindspot.run.plan import Answers
from blindspot.run.turns import Share, turn
from blindspot.session.execution import Ran, Run, asked, execute, judged
from blindspot.session.progress import Bars
from blindspot.session.session import Session

RECORD = "record.json"
#: Gates removed from the baseline, in the run's scratch directory.
GONE = "gone.json"


def run_once(session: Session, settled: Callable[[], Run]) -> Ran:
    """Execute the run that is ``settled``, once, whichever process does it.

    Under xdist the workers share the prompts, and the first that has all answers judges them for
    all. What the store holds already is read by one of them; the others wait for it.

    Raises:
        BlindspotError: the model, store, gates or baseline cannot be used.
        DismissalError: in a worker: the run was abandoned.
    """
    bars, directory = Bars(session), session.directory
    if session.worker is None:
        run = settled()
        ran = execute(run, session.open_store, bars)
        if run.options.updating:
            _leave(run, ran, directory)
        return ran
    asking = directory / "asking"
    with turn(directory / "known.lock", bars.attend):
        if (ran_before := left(directory)) is not None:
            return ran_before
        run = settled()
        if not asking.exists():
            try:
                known = asked(run, session.open_store, Share(known=True), bars)
                return _shared(run, known, directory)
            except UnansweredError:
                asking.touch()
    share = Share(directory, session.worker_number, session.workers)
    answers = asked(run, session.open_store, share, bars)
    with turn(directory / "record.lock", bars.attend):
        bars.attend()
        return left(directory) or _shared(run, answers, directory)


def left(directory: Path) -> Ran | None:
    """What another process of the run has left; None where none has."""
    path = directory / RECORD
    return Ran(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def _shared(run: Run, answers: Sequence[Answers], directory: Path) -> Ran:
    """Judge, and share the record and its files with the other processes."""
    ran = judged(run, answers)
    if ran.measured is not None and run.options.output_path is not None:
        write_samples(directory / SAMPLES, ran.measured)
    _leave(run, ran, directory)
    files.replace(directory / RECORD, json.dumps(ran.record))
    return ran


def _leave(run: Run, ran: Ran, directory: Path) -> None:
    """Leave what is needed to accept the model, or to compare with it, to whoever ends the run."""
    if ran.measured is not None:
        write_scores(directory / SCORES, ran.measured.scores(ran.cases))
    if run.options.updating:
        files.replace(directory / GONE, json.dumps(list(run.gone)))
