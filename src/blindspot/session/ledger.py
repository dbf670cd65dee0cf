"""What a pytest session has heard: of its tests at collection, and of what happened to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from blindspot.errors import BlindspotError
from blindspot.gates.tally import Tally
from blindspot.gates.verdict import Verdict

if TYPE_CHECKING:
    from blindspot.run.cases import Case

_SKIPPED = " gates were skipped; run them"

#: Name of the JUnit property that marks a test as a gate.
GATE_PROPERTY = "gate"
VERDICT_PROPERTY = "verdict"
#: Name of the property with the reason why a gate is not offered.
NOT_OFFERED_PROPERTY = "not offered"
#: Name of the property of a test in which the search found something.
FINDING_PROPERTY = "finding"


@dataclass
class Ledger(Tally):
    """The tally of a pytest session, and all else that changes while one runs.

    Attributes:
        failures: phases of tests that failed.
        skipped: gates that were.
        seen: the gate tests that were collected: file and name.
        known: the gates that they ask, chosen or not.
        collected: how many gates were chosen.
        lacking: why a gate cannot be asked of this model, by its id.
        fault: what ends the run.
        lost: why a part of the run is missing, of whatever it is a run.
        stopped: whether a plugin ended it.
    """

    failures: int = 0
    skipped: int = 0
    seen: set[tuple[Path, str]] = field(default_factory=set)
    known: dict[str, Case] = field(default_factory=dict)
    collected: int = 0
    lacking: dict[str, str] = field(default_factory=dict)
    fault: BlindspotError | None = None
    lost: list[str] = field(default_factory=list)
    stopped: bool = False

    def note(self, notes: Iterable[str]) -> None:
        """Take in, once each, what a user should know."""
        self.notes += [note for note in dict.fromkeys(notes) if note not in self.notes]

    def lose_all(self, reasons: Iterable[str]) -> None:
        """Note, once each, why the run is not complete."""
        for reason in reasons:
            self.lose(reason)

    def add(self, report: pytest.TestReport, name: str | None = None) -> None:
        """Count one phase of one test; ``name``: of the test, if it is not its node id."""
        if report.when not in ("setup", "call", "teardown"):
            return  # xdist's report on the test in which a worker died: `lose` reports the worker
        self.failures += report.failed
        properties = dict(report.user_properties)
        gate = properties.get(GATE_PROPERTY)
        if NOT_OFFERED_PROPERTY in properties:
            self.not_offered[str(properties[NOT_OFFERED_PROPERTY])] += 1
        elif gate is None:
            if report.failed and report.when == "call" and FINDING_PROPERTY in properties:
                self.findings += 1  # leaves pytest's own 1 where nothing else applies
            elif report.failed:
                self.ordinary_failures += 1
        elif report.skipped:
            self.skipped += 1
            self.incomplete = [r for r in self.incomplete if not r.endswith(_SKIPPED)]
            self.lose(f"{self.skipped}{_SKIPPED}")
        elif report.when == "call":
            self.verdicts[str(gate)] = Verdict(str(properties[VERDICT_PROPERTY]))
            self.nodes[str(gate)] = name or report.nodeid
            if report.failed and self.verdicts[str(gate)].green:
                self.ordinary_failures += 1  # the test itself, or another assertion in it
        elif report.failed:
            self.ordinary_failures += 1

    @property
    def concerned(self) -> bool:
        """Whether the run involved gates."""
        return bool(self.verdicts or self.incomplete or self.usage or self.not_offered)
