"""The gates of a full default run beside a baseline, as the tests of the suite declare them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.calibration.answers import source
from blindspot.estimates.multiplicity import shares_of
from blindspot.gates.limits import load_gates
from blindspot.gates.outcomes import gate_of
from blindspot.gates.rule import Against, Gate, weight_of
from blindspot.paths import FIXTURES
from blindspot.run.cases import Case, cases_of

#: Folders of the suite; the search declares no gates.
TESTS = Path(__file__).parents[2] / "tests"
SUITE = ("explicit", "implicit", "mechanistic")


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
        return shares_of(self.families, weight_of, self.alpha)[family] / self.families[family]


def declared() -> list[dict[str, Any]]:
    """What the gate marks of the suite's tests say; the tests are read, not imported."""
    files = [path for name in SUITE for path in sorted(TESTS.joinpath(name).glob("test_*.py"))]
    return [
        {word.arg: ast.literal_eval(word.value) for word in mark.keywords if word.arg}
        for path in files
        for test in ast.parse(path.read_text("utf-8")).body
        if isinstance(test, ast.FunctionDef)
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("blindspot_gate")
    ]


@cache
def full_run() -> Run:
    """All gates of ``pytest --model NEW --baseline OLD``."""
    table = load_gates(FIXTURES / "gates.toml")
    cases = [case for mark in declared() for case, _ in cases_of(source(), **mark)]

    against: Sequence[Against] = ("limit", "baseline")
    gated = [(case, gate_of(table, case, kind)) for kind in against for case in cases]
    gated = [(case, each) for case, each in gated if each.limit is not None]
    judged = tuple(
        (case, each) for case, each in gated if each.against == "baseline" and not case.mechanistic
    )
    return Run(judged, Counter(each.family for _, each in gated), table.alpha)
