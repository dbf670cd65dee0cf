"""What is settled of a run once its tests are collected, and what it should ask and does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blindspot.baselines import Baseline, Entry
from blindspot.baselines.choice import Choice, choose
from blindspot.baselines.comparison import check_replaceable, vanished
from blindspot.errors import ModelError, line
from blindspot.models.base import IsAnswered, IsServed
from blindspot.run.cases import Case
from blindspot.run.plan import plan_of
from blindspot.session.budget import settle_budget
from blindspot.session.execution import Run
from blindspot.session.session import Session
from blindspot.stimuli import EVERY, shipped_axes
from blindspot.stimuli.design import ALL


def run_of(session: Session, cases: Iterable[Case]) -> Run:
    """The run of these cases; what keeps it from being complete is noted.

    Raises:
        BlindspotError: the gates or a baseline cannot be used, or the model not be accepted.
    """
    options, inputs, ledger = session.options, session.inputs, session.ledger
    cases, gone = tuple(cases), _gone(session)
    inside = settle_budget(session, cases, again=bool(options.noise_floor))
    if options.updating and inputs.own_baseline is not None:
        measured = {*(case.id for case in cases), *gone}
        check_replaceable(inputs.own_baseline, options.candidate, inputs.provenance, measured)
    baseline = _baseline(session)
    ledger.lose_all(baseline.faults)
    ledger.note(baseline.notes)
    ledger.lose_all(_vanished(session, baseline))
    idle, notes = _idle_waivers(session)
    ledger.lose_all(idle)
    ledger.note(notes)
    again = options.noise_floor
    if isinstance(inputs.model, IsAnswered):
        if again:
            raise ModelError(
                f"--noise-floor: {options.model} was asked elsewhere and cannot be asked again; "
                "omit it"
            )
        again = False
    if again is None:
        compared = baseline.baseline is not None or inputs.reference is not None
        again = compared or isinstance(inputs.model, IsServed)
    return Run(
        options,
        plan_of(cases, inputs.source, inputs.assays, again=again, inside=inside),
        inputs.source,
        inputs.gates,
        inputs.model,
        inputs.reference,
        baseline,
        session.commands.accept,
        gone,
        tuple(ledger.incomplete),
    )


def _baseline(session: Session) -> Choice:
    """The baseline, unless this run replaces it or its conditions differ."""
    options, inputs = session.options, session.inputs
    named = options.baseline is not None
    if options.updating:
        return Choice(inputs.baseline_path, named, uncompared="this run accepts the model")
    if options.prompts_from is not None:
        return Choice(inputs.baseline_path, named, uncompared="published prompts have no baseline")
    return choose(
        Choice(inputs.baseline_path, named),
        inputs.baseline,
        options.candidate,
        inputs.provenance if inputs.baseline is not None else {},
        required=options.require_baseline,
        allowed=options.allow_mismatch,
    )


def _gone(session: Session) -> list[str]:
    """Gates of the model's baseline that no test has any more, if the whole suite is accepted."""
    chosen = session.config.option
    if not (session.options.updating and session.whole) or chosen.keyword or chosen.markexpr:
        return []
    if (accepted := session.inputs.own_baseline) is None:
        return []
    return sorted(_asked(session, accepted).keys() - session.ledger.known.keys())


def _asked(session: Session, baseline: Baseline) -> dict[str, Entry]:
    """The gates of a baseline without those of axes that this run does not ask by choice."""
    if (stimuli := session.inputs.stimuli) is None:
        return dict(baseline.gates)
    chosen = session.options.axes and EVERY not in session.options.axes
    own = tuple(f"{name}-" for name in stimuli.axes)
    others = tuple(f"{name}-" for name in shipped_axes() if name not in stimuli.axes)
    asked = {}
    for gate, entry in baseline.gates.items():
        part = gate.split("/", 1)[-1]
        if part.startswith(own) or not (chosen or part.startswith(others)):
            asked[gate] = entry
    return asked


def _vanished(session: Session, choice: Choice) -> Iterator[str]:
    """An accepted gate that is no longer tested must not go unnoticed."""
    if (baseline := choice.baseline) is None:
        return
    ledger = session.ledger
    if lacking := sorted(baseline.gates.keys() & ledger.lacking):
        yield (
            f"{len(lacking)} gates of the baseline {baseline.path.name} are not offered: "
            f"{ledger.lacking[lacking[0]]}, first {lacking[0]}"
        )
    if choice.partial:
        return
    known = {gate: case.level for gate, case in ledger.known.items()}
    if gone := vanished(_asked(session, baseline), known, whole=session.whole):
        yield (
            f"{len(gone)} gates of the baseline {baseline.path.name} are no longer tested, "
            f"first {line(gone[0], 200)}; restore them, or accept the whole suite again"
        )


def _idle_waivers(session: Session) -> tuple[list[str], list[str]]:
    """Waivers that name no gate of the whole suite: those that are due, and slips or leftovers."""
    options, known = session.options, session.ledger.known
    due, idle = [], []
    asked = options.limit is None and options.words == ALL and options.prompts_from is None
    every = session.whole and asked
    for waiver in session.inputs.gates.waivers if every else ():
        if any(waiver.covers(gate) for gate in known):
            continue
        if waiver.expired():
            due.append(
                f"the waiver of {waiver.gate!r} expired on {waiver.expires} and matches no gate; "
                "remove it"
            )
        else:
            idle.append(f"the waiver of {waiver.gate!r} matches no gate")
    return due, idle
