"""What happened to the tests of a run, gathered where all reports arrive, and its exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

import pytest

_SKIPPED = " gates were skipped; run them"

#: Name of the JUnit property that marks a test as a gate.
GATE_PROPERTY = "gate"
VERDICT_PROPERTY = "verdict"
#: Name of the one that says why a mechanistic gate cannot be asked of this model.
CLOSED_PROPERTY = "closed"
#: Name of the one that marks a test in which the search found something.
FINDING_PROPERTY = "finding"


class ExitCode(IntEnum):
    """Exit codes beside pytest's own; where several apply, the first in `Ledger.exit_code` wins."""

    PASSED = 0
    TEST_FAILED = 1
    USAGE = 4
    BIAS = 10
    INCOMPLETE = 11
    INCONCLUSIVE = 12


_CODES = frozenset(int(code) for code in ExitCode)


@dataclass
class Ledger:
    """Verdicts by gate, ordinary failures, and what keeps the run from being complete."""

    verdicts: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    ordinary_failures: int = 0
    incomplete: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: int = 0
    findings: int = 0
    skipped: int = 0
    closed: int = 0
    closed_because: str = ""
    usage: str = ""

    def add(self, report: pytest.TestReport, name: str | None = None) -> None:
        """Take in one phase of one test; ``name``: of the test, if it is not its node id."""
        if report.when not in ("setup", "call", "teardown"):
            return  # xdist's note on the test in which a worker died: `lose` tells of the worker
        self.failures += report.failed
        properties = dict(report.user_properties)
        gate = properties.get(GATE_PROPERTY)
        if CLOSED_PROPERTY in properties:
            self.closed += 1
            self.closed_because = str(properties[CLOSED_PROPERTY])
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
            self.verdicts[str(gate)] = str(properties[VERDICT_PROPERTY])
            self.nodes[str(gate)] = name or report.nodeid
            if report.failed and self.verdicts[str(gate)] in ("pass", "reported", "waived"):
                self.ordinary_failures += 1  # the test itself, or another assertion in it
        elif report.failed:
            self.ordinary_failures += 1

    def lose(self, reason: str) -> None:
        """Note, once, why the run is not complete."""
        if reason not in self.incomplete:
            self.incomplete.append(reason)

    def count(self) -> Counter[str]:
        """Gates by verdict."""
        return Counter(self.verdicts.values())

    @property
    def concerned(self) -> bool:
        """Whether the run had anything to do with gates."""
        return bool(self.verdicts or self.incomplete or self.usage or self.closed)

    def exit_code(self, own: int) -> int:
        """The exit code of the run, given pytest's own.

        pytest's interruptions and internal errors keep their code; else usage, ordinary failures,
        failed gates, incompleteness and inconclusive gates come in this order. What the search
        found comes last: it is an ordinary failure that hides no verdict.
        """
        count = self.count()
        pytests_own = own not in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        applying = (
            (bool(self.usage), ExitCode.USAGE),
            (pytests_own, own),
            (bool(self.ordinary_failures), ExitCode.TEST_FAILED),
            (bool(count["fail"]), ExitCode.BIAS),
            (bool(count["error"] or self.incomplete), ExitCode.INCOMPLETE),
            (bool(self.closed and not self.verdicts), ExitCode.INCOMPLETE),
            (bool(count["inconclusive"]), ExitCode.INCONCLUSIVE),
        )
        return next((code for applies, code in applying if applies), own)

    def verdict(self, exit_code: int) -> str:
        """The verdict of a run that ended with ``exit_code``, in one word."""
        words = {
            ExitCode.TEST_FAILED: "failed",
            ExitCode.BIAS: "failed",
            ExitCode.INCONCLUSIVE: "inconclusive",
        }
        only_found = bool(self.findings and not self.ordinary_failures)
        if exit_code == ExitCode.PASSED or (exit_code == ExitCode.TEST_FAILED and only_found):
            return "passed" if self.count()["pass"] else "nothing judged"
        return words.get(ExitCode(exit_code), "incomplete") if exit_code in _CODES else "incomplete"
