"""What happened to the tests of a run, gathered where all reports arrive, and its exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from blindspot.gates.verdict import ExitCode, RunVerdict, Verdict

_SKIPPED = " gates were skipped; run them"
_NOTHING_JUDGED = (
    "no gate was judged: what was chosen is only reported; choose gates that have a limit, or "
    "give them one (--gates)"
)

#: Name of the JUnit property that marks a test as a gate.
GATE_PROPERTY = "gate"
VERDICT_PROPERTY = "verdict"
#: Name of the one that says why the model does not offer what a gate needs.
NOT_OFFERED_PROPERTY = "not offered"
#: Name of the one that marks a test in which the search found something.
FINDING_PROPERTY = "finding"


@dataclass
class Ledger:
    """Verdicts by gate, ordinary failures, and what keeps the run from being complete."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    ordinary_failures: int = 0
    incomplete: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: int = 0
    findings: int = 0
    skipped: int = 0
    not_offered: Counter[str] = field(default_factory=Counter)
    usage: str = ""

    def add(self, report: pytest.TestReport, name: str | None = None) -> None:
        """Take in one phase of one test; ``name``: of the test, if it is not its node id."""
        if report.when not in ("setup", "call", "teardown"):
            return  # xdist's note on the test in which a worker died: `lose` tells of the worker
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

    def lose(self, reason: str) -> None:
        """Note, once, why the run is not complete."""
        if reason not in self.incomplete:
            self.incomplete.append(reason)

    def count(self) -> Counter[Verdict]:
        """Gates by verdict."""
        return Counter(self.verdicts.values())

    @property
    def judged(self) -> bool:
        """Whether any gate was judged: a waived one was, one that is only reported was not."""
        return any(verdict.judged for verdict in self.verdicts.values())

    def conclude(self) -> None:
        """Note, once all tests ran, that none of the gates has a limit."""
        if self.verdicts and not self.judged:
            self.lose(_NOTHING_JUDGED)

    @property
    def concerned(self) -> bool:
        """Whether the run had anything to do with gates."""
        return bool(self.verdicts or self.incomplete or self.usage or self.not_offered)

    def exit_code(self, own: int) -> int:
        """The exit code of the run, given pytest's own.

        pytest's interruptions and internal errors keep their code; else usage, ordinary failures,
        failed gates, incompleteness and inconclusive gates come in this order. What the search
        found comes last: it is an ordinary failure that hides no verdict.
        """
        lacking = bool(self.incomplete or (self.not_offered and not self.verdicts))
        codes = [verdict.exit_code for verdict in self.verdicts.values() if not verdict.green]
        codes += [ExitCode.INCOMPLETE] * lacking
        pytests_own = own not in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        applying = (
            (bool(self.usage), ExitCode.USAGE),
            (pytests_own, own),
            (bool(self.ordinary_failures), ExitCode.TEST_FAILED),
            (bool(codes), min(codes, default=own)),
        )
        return next((code for applies, code in applying if applies), own)

    def verdict(self, exit_code: int) -> RunVerdict:
        """The verdict of a run that ended with ``exit_code``."""
        only_found = bool(self.findings and not self.ordinary_failures)
        if exit_code == ExitCode.PASSED or (exit_code == ExitCode.TEST_FAILED and only_found):
            return RunVerdict.PASSED if self.judged else RunVerdict.NOTHING_JUDGED
        return RunVerdict.of(exit_code)
