"""The verdicts of a run, counted: its exit code and its verdict in a word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from blindspot.gates.verdict import ExitCode, RunVerdict, Verdict

_NOTHING_JUDGED = (
    "no gate was judged: the selected gates are only reported; select gates that have a limit, or "
    "set one (--gates)"
)
#: pytest's own codes that ours may replace: passed, tests failed, no tests collected.
_ORDINARY = (0, 1, 5)


@dataclass
class Tally:
    """Verdicts by gate, ordinary failures, and what keeps the run from being complete.

    ``nodes``: the test of each gate; ``findings``: tests in which the search found something;
    ``not_offered``: how many gates this model does not offer, by reason; ``usage``: a mistake
    of the command line.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    ordinary_failures: int = 0
    incomplete: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: int = 0
    not_offered: Counter[str] = field(default_factory=Counter)
    usage: str = ""

    def lose(self, reason: str) -> None:
        """Note, once, why the run is not complete."""
        if reason not in self.incomplete:
            self.incomplete.append(reason)

    def count(self) -> Counter[Verdict]:
        """Gates by verdict."""
        return Counter(self.verdicts.values())

    @property
    def judged(self) -> bool:
        """Whether any gate was judged; waived gates count, reported ones do not."""
        return any(verdict.judged for verdict in self.verdicts.values())

    def conclude(self) -> None:
        """Note, once all tests ran, that none of the gates has a limit."""
        if self.verdicts and not self.judged:
            self.lose(_NOTHING_JUDGED)

    def exit_code(self, own: int) -> int:
        """The exit code of the run, given pytest's own.

        pytest's interruptions and internal errors keep their code; else usage, ordinary failures,
        failed gates, incompleteness and inconclusive gates come in this order. Findings of the
        search come last: an ordinary failure that hides no verdict.
        """
        lacking = bool(self.incomplete or (self.not_offered and not self.verdicts))
        codes = [verdict.exit_code for verdict in self.verdicts.values() if not verdict.green]
        codes += [ExitCode.INCOMPLETE] * lacking
        pytests_own = own not in _ORDINARY
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
