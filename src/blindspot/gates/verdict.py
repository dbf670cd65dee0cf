"""The verdicts of a gate and of a run: their order, colors, words and exit codes.

Code that shows, counts or sorts verdicts iterates over these enums; no other list exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Exit codes beside pytest's own; where several apply, the first in `Tally.exit_code` wins."""

    PASSED = 0
    TEST_FAILED = 1
    USAGE = 4
    BIAS = 10
    INCOMPLETE = 11
    INCONCLUSIVE = 12


@dataclass(frozen=True, slots=True)
class Look:
    """How a verdict is shown.

    ``style``: in the terminal, as rich writes it. ``tone``: color of its badge on the page, a
    variable of the style sheet; "" for the muted one. ``symbol``: precedes the word there.
    ``annotation``: level on GitHub; "" for no annotation. ``loud``: upper case in the terminal.
    """

    style: str
    tone: str
    symbol: str
    annotation: str = ""
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """The words for gates with a verdict.

    ``one`` and ``many``: a clause on ``{n}`` gates of ``{judged}``; "" where they need no mention.
    ``beside``: of ``n`` gates compared with another model. ``meaning``: of the word, in strict
    mode ``strictly``.
    """

    meaning: str
    one: str = ""
    many: str = ""
    beside: str = ""
    strictly: str = ""

    def count(self, n: int, judged: str) -> str:
        """The clause on ``n`` gates; ``judged`` names all, such as "3 gates"."""
        return (self.one if n == 1 else self.many or self.one).format(n=n, judged=judged)


class Verdict(StrEnum):
    """Verdicts of a gate, the worst first."""

    FAIL = "fail"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"
    PASS = "pass"
    REPORTED = "reported"

    @property
    def green(self) -> bool:
        """Whether the test of its gate passes."""
        return self.exit_code is ExitCode.PASSED

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that it gives an otherwise good run."""
        return _KNOWN[self].exit_code

    @property
    def look(self) -> Look:
        """How it is shown."""
        return _KNOWN[self].look

    @property
    def words(self) -> Words:
        """The words for it."""
        return _KNOWN[self].words

    @property
    def severity(self) -> int:
        """Its place in the order, 0 for the worst."""
        return list(Verdict).index(self)

    @property
    def judged(self) -> bool:
        """Whether a limit was applied: all verdicts but reported."""
        return self is not Verdict.REPORTED

    @property
    def waivable(self) -> bool:
        """Whether a waiver can cover it: never a gate that was not measured."""
        return not self.green and self is not Verdict.ERROR


@dataclass(frozen=True, slots=True)
class _Known:
    exit_code: ExitCode
    look: Look
    words: Words


_KNOWN = {
    Verdict.FAIL: _Known(
        ExitCode.BIAS,
        Look("bold red", "fail", "✕", annotation="error", loud=True),
        Words(
            "clearly beyond the limit",
            one="{n:,} of {judged} fails",
            many="{n:,} of {judged} fail",
            beside="clearly worse beyond the margin",
        ),
    ),
    Verdict.ERROR: _Known(
        ExitCode.INCOMPLETE,
        Look("bold magenta", "error", "!", annotation="error", loud=True),
        Words(
            "not measured, or not comparable",
            one="{n:,} could not be measured or compared",
            beside="not comparable",
        ),
    ),
    Verdict.INCONCLUSIVE: _Known(
        ExitCode.INCONCLUSIVE,
        Look("yellow", "doubt", "?", annotation="warning"),
        Words(
            "neither, or the controls do not separate",
            one="{n:,} is inconclusive",
            many="{n:,} are inconclusive",
            beside="inconclusive",
        ),
    ),
    Verdict.WAIVED: _Known(
        ExitCode.PASSED,
        Look("cyan", "doubt", "~", annotation="notice"),
        Words(
            "would fail, but is accepted until a date",
            one="{n:,} would fail but is waived, with a reason",
            many="{n:,} would fail but are waived, with a reason",
            beside="worse, but waived",
        ),
    ),
    Verdict.PASS: _Known(
        ExitCode.PASSED,
        Look("green", "pass", "✓"),
        Words(
            "not beyond the limit", beside="within the margin", strictly="clearly within the limit"
        ),
    ),
    Verdict.REPORTED: _Known(
        ExitCode.PASSED,
        Look("dim", "", "–"),
        Words("measured and not judged"),
    ),
}


def worst(verdicts: Iterable[str]) -> Verdict:
    """The worst of some verdicts; `Verdict.REPORTED` of none."""
    found = set(verdicts)
    return next((verdict for verdict in Verdict if verdict in found), Verdict.REPORTED)


class RunVerdict(StrEnum):
    """Verdicts of a run."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INCOMPLETE = "incomplete"
    NOTHING_JUDGED = "nothing judged"

    @classmethod
    def of(cls, exit_code: int) -> RunVerdict:
        """The verdict of a run that ended with this code."""
        return _OF_CODE.get(exit_code, cls.INCOMPLETE)

    @property
    def color(self) -> str:
        """Of its line in the terminal, as pytest names colors."""
        return {"passed": "green", "inconclusive": "yellow"}.get(self, "red")

    @property
    def tone(self) -> str:
        """Its color on the page: a variable of the style sheet."""
        return {"passed": "pass", "failed": "fail", "inconclusive": "doubt"}.get(self, "error")


_OF_CODE = {
    int(ExitCode.PASSED): RunVerdict.PASSED,
    int(ExitCode.TEST_FAILED): RunVerdict.FAILED,
    int(ExitCode.BIAS): RunVerdict.FAILED,
    int(ExitCode.INCONCLUSIVE): RunVerdict.INCONCLUSIVE,
}
