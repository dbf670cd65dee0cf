"""The baseline that a run is compared with, and the one that it accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blindspot import files
from blindspot.baselines import Baseline
from blindspot.baselines.comparison import check_replaceable, mismatches, same_model
from blindspot.baselines.scores import Scores, read_scores
from blindspot.errors import BlindspotError
from blindspot.report.files import SCORES

if TYPE_CHECKING:
    from blindspot.session.state import Session

#: Gates removed from the baseline, in the run's scratch directory.
GONE = "gone.json"


def check_update(session: Session) -> None:
    """Refuse to accept a part under conditions that differ from the rest.

    Raises:
        BaselineError: see `check_replaceable`.
    """
    if session.updating and (accepted := session.own_baseline) is not None:
        measured = {*session.cases, *gone(session)}
        check_replaceable(accepted, session.options.model, session.provenance, measured)


def gone(session: Session) -> list[str]:
    """Gates of the model's baseline that no test has any more, if the whole suite is accepted."""
    accepted, chosen = session.own_baseline, session.config.option
    if accepted is None or not session.whole or chosen.keyword or chosen.markexpr:
        return []
    return sorted(accepted.gates.keys() - session.known.keys())


def note_gone(session: Session) -> None:
    """Write the gates to remove for `accept`, whose process may have collected no tests."""
    if session.updating:
        files.replace(session.directory / GONE, json.dumps(gone(session)))


def baseline_to_compare(session: Session) -> Baseline | None:
    """The baseline, unless this run replaces it or its conditions differ."""
    options = session.options
    if session.updating:
        session.uncompared = "this run accepts the model"
        return None
    if options.prompts_from is not None:
        session.uncompared = "published prompts have no baseline"
        return None
    if session.baseline is None:
        if options.baseline is not None or options.require_baseline:
            session.uncompared = f"the baseline {session.baseline_path} is missing"
            whose = "that model" if options.baseline else "this model"
            session.ledger.lose(
                f"{session.uncompared}; accept {whose} first: pytest --model NAME --snapshot-update"
            )
        return None
    if options.baseline is None and not same_model(session.baseline.model, options.model):
        session.uncompared = (
            f"{session.baseline_path} is the baseline of {session.baseline.model}, which has the "
            f"same file name as {options.model}"
        )
        session.ledger.lose(
            f"{session.uncompared}; name another directory (--baselines DIR), or compare with it: "
            f"--baseline {session.baseline_path}"
        )
        return None
    found = mismatches(session.baseline.provenance, session.provenance)
    if session.baseline.scores_path is None:
        found.append(("scores", "scores of single prompts are missing"))
    named = [(kind, how) for kind, how in found if kind not in options.allow_mismatch]
    for kind, how in named:
        session.ledger.lose(
            f"the baseline {session.baseline_path.name} was measured differently: {how}; accept "
            f"the model again, or --allow-mismatch {kind}"
        )
    if options.limit is not None and "prompts" not in options.allow_mismatch:
        session.ledger.notes.append(
            f"--limit asks only some prompts of {session.baseline_path.name}: gates on "
            "categories cannot be compared; omit it"
        )
    if named:
        session.uncompared = "the baseline was measured under other conditions"
    return None if named else session.baseline


def kept_scores(baseline: Baseline | None) -> Scores | None:
    """The scores of a baseline; None if there is none, or they are missing.

    Raises:
        BaselineError: the file is damaged.
    """
    path = baseline.scores_path if baseline is not None else None
    return None if path is None else read_scores(path)


def wants_noise_floor(session: Session, baseline: Baseline | None) -> bool:
    """Whether to measure the noise floor: by default if the run compares."""
    asked = session.options.noise_floor
    return (baseline is not None or session.reference is not None) if asked is None else asked


def accept(session: Session, *, whole: bool) -> None:
    """Write the accepted entries to the model's baseline, after all tests have ended.

    Args:
        session: of the process where all reports arrive.
        whole: whether the run completed; otherwise the old baseline stays unchanged.
    """
    from blindspot.baselines.acceptance import commit, pending_entries

    if not session.updating or not session.has_directory:
        return
    path = session.own_baseline_path
    if not whole:
        session.ledger.lose(f"the run was cut short: {path} is unchanged; run it again")
        return
    entries = pending_entries(session.directory)
    left = session.directory / GONE
    removed: list[str] = json.loads(left.read_text("utf-8")) if left.is_file() else []
    if not (entries or removed):
        if session.ledger.verdicts:
            session.ledger.notes.append(f"nothing changed: {path} is as before")
        return
    try:
        commit(
            path,
            session.options.model,
            session.provenance,
            entries,
            _scores_of(session, entries),
            reason=session.options.accept_reason,
            removed=removed,
        )
    except (OSError, BlindspotError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        session.ledger.lose(f"{path}: the baseline cannot be written ({said}); it is unchanged")
    else:
        session.ledger.notes.append(f"{len(entries)} gates accepted in {path}")
        if removed:
            session.ledger.notes.append(
                f"removed {len(removed)} gates that no test has any more, first {removed[0]}"
            )


def _scores_of(session: Session, entries: Mapping[str, Any]) -> Scores:
    """The scores of this run, without mechanistic gates that were not accepted."""
    return read_scores(session.directory / SCORES).of_gates(entries)
