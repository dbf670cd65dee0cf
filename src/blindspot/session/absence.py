"""What a run should have judged and did not: gates that were accepted, waivers that name none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindspot.measurements.base import BANDS

if TYPE_CHECKING:
    from blindspot.baselines import Baseline
    from blindspot.session.state import Session


def note_vanished(session: Session, baseline: Baseline | None) -> None:
    """A gate that was accepted and is no longer asked must not go unnoticed."""
    if baseline is None:
        return
    if shut := sorted(baseline.gates.keys() & session.shut):
        session.ledger.lose(
            f"{len(shut)} gates of the baseline {baseline.path.name} look into the model, and "
            f"{session.closed}, first {shut[0]}"
        )
    if session.options.limit is not None:
        return
    asked = {_kind(gate, case.level) for gate, case in session.known.items()}
    vanished = []
    for gate, entry in sorted(baseline.gates.items()):
        kind = _kind(gate, entry.level)
        if gate not in session.known and (session.whole or kind in asked):
            vanished.append(gate)
    if vanished:
        session.ledger.lose(
            f"{len(vanished)} gates of the baseline {baseline.path.name} are no longer tested, "
            f"first {vanished[0]}; restore them, or accept the whole suite anew"
        )


def note_idle_waivers(session: Session) -> None:
    """A waiver that names no gate of the whole suite is a slip or a leftover; told, or due."""
    options = session.options
    every = session.whole and options.limit is None and options.prompts_from is None
    for waiver in session.gates.waivers if every else ():
        if any(waiver.covers(gate) for gate in session.known):
            continue
        if waiver.expired():
            session.ledger.lose(
                f"the waiver of {waiver.gate!r} expired on {waiver.expires} and names no gate; "
                "remove it"
            )
        else:
            session.ledger.notes.append(f"the waiver of {waiver.gate!r} names no gate")


def _kind(gate: str, level: str) -> tuple[str, ...]:
    """What a gate asks, without the slice that it asks it of; a pair's words may hold a slash."""
    measurement, *rest = gate.split("/")
    asked = rest[-3:] if rest[-1] in BANDS else rest[-2:]
    return (measurement, *asked, level)
