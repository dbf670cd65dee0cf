"""What a run should have judged but did not: accepted gates, and waivers that match none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from blindspot.errors import line
from blindspot.paths import SUITE
from blindspot.session.naming import names_suite

if TYPE_CHECKING:
    from blindspot.baselines import Baseline
    from blindspot.session.state import Session


#: Folders of tests that are not gates.
_NO_GATES = ("search", "unit")


def note_uncollected(session: Session) -> None:
    """A configuration that excludes tests of the suite must not go unnoticed in a full run."""
    config = session.config
    of_suite = config.rootpath == SUITE or names_suite(config)
    if not (session.whole and of_suite) or config.option.collectonly:
        return
    files = [
        path
        for path in sorted((SUITE / "tests").glob("*/test_*.py"))
        if path.parent.name not in _NO_GATES
    ]
    tests = [
        (path, name)
        for path in files
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    ]
    if missing := [(path, name) for path, name in tests if (path, name) not in session.seen]:
        path, name = missing[0]
        session.ledger.lose(
            f"{len(missing)} of the suite's {len(tests)} tests were not collected, first {name} in "
            f"{path.name}: pytest's configuration excludes them (such as python_functions or "
            "norecursedirs); name the tests to run, or override it with -o"
        )


def note_vanished(session: Session, baseline: Baseline | None) -> None:
    """An accepted gate that is no longer tested must not go unnoticed."""
    if baseline is None:
        return
    from blindspot.baselines.comparison import vanished

    if lacking := sorted(baseline.gates.keys() & session.not_offered):
        session.ledger.lose(
            f"{len(lacking)} gates of the baseline {baseline.path.name} are not offered: "
            f"{session.not_offered[lacking[0]]}, first {lacking[0]}"
        )
    if session.options.limit is not None:
        return
    known = {gate: case.level for gate, case in session.known.items()}
    if gone := vanished(baseline, known, whole=session.whole):
        session.ledger.lose(
            f"{len(gone)} gates of the baseline {baseline.path.name} are no longer tested, "
            f"first {line(gone[0], 200)}; restore them, or accept the whole suite again"
        )


def note_idle_waivers(session: Session) -> None:
    """A waiver that matches no gate of the suite is a mistake: noted, or an error once expired."""
    options = session.options
    every = session.whole and options.limit is None and options.prompts_from is None
    for waiver in session.gates.waivers if every else ():
        if any(waiver.covers(gate) for gate in session.known):
            continue
        if waiver.expired():
            session.ledger.lose(
                f"the waiver of {waiver.gate!r} expired on {waiver.expires} and matches no gate; "
                "remove it"
            )
        else:
            session.ledger.notes.append(f"the waiver of {waiver.gate!r} matches no gate")
