"""The gates of a full default run beside a baseline, as the tests of the suite declare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from calibration_answers import source

from blindspot.gates.limits import load_gates
from blindspot.gates.rule import Against, Gate
from blindspot.paths import FIXTURES
from blindspot.run.cases import Case, cases_of
from tests.explicit import test_belief, test_gap
from tests.implicit import test_association
from tests.mechanistic import test_injection, test_interpretation, test_patching, test_probing

TESTS = (
    test_association,
    test_belief,
    test_gap,
    test_patching,
    test_interpretation,
    test_probing,
    test_injection,
)


@dataclass(frozen=True)
class Run:
    """Gates against the baseline that are no assays of the residual stream, and all families.

    ``families``: gates of each family, those against limits and mechanistic ones among them.
    """

    gates: tuple[tuple[Case, Gate], ...]
    families: Counter[str]
    alpha: float

    def first(self, family: str) -> float:
        """The error rate that the smallest p-value of a family is compared with."""
        return self.alpha / (len(self.families) * self.families[family])


def declared() -> list[dict[str, Any]]:
    """What the marks of the suite's tests say."""
    found = []
    for module in TESTS:
        for name in sorted(vars(module)):
            for mark in getattr(getattr(module, name), "pytestmark", ()):
                if name.startswith("test_") and mark.name == "blindspot_gate":
                    found.append(dict(mark.kwargs))
    return found


@cache
def full_run() -> Run:
    """All gates of ``pytest --model NEW --baseline OLD``."""
    table = load_gates(FIXTURES / "gates.toml")
    cases = [case for mark in declared() for case, _ in cases_of(source(), **mark)]

    def gate(case: Case, against: Against) -> Gate:
        return table.gate(
            case.id,
            case.statistic,
            case.level,
            measurement=case.measurement,
            axis=case.part.axis,
            variant=case.part.variant,
            category=case.part.category,
            reading=case.reading,
            band=case.band,
            against=against,
        )

    against: Sequence[Against] = ("limit", "baseline")
    gated = [(case, gate(case, kind)) for kind in against for case in cases]
    gated = [(case, each) for case, each in gated if each.limit is not None]
    judged = tuple(
        (case, each) for case, each in gated if each.against == "baseline" and not case.mechanistic
    )
    return Run(judged, Counter(each.family for _, each in gated), table.alpha)
