"""Verdicts: every case against its limit, and against the other models that a run compares with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

from blindspot.baselines import Baseline, Entry
from blindspot.estimates import Accepted, Contributions, Estimate, difference
from blindspot.gates.floors import Answered, Unread, unread
from blindspot.gates.limits import GateTable
from blindspot.gates.rule import Against, Check, Gate, GateResult, Others, judge
from blindspot.gates.verdict import Verdict, worst
from blindspot.gates.waivers import Waiver
from blindspot.run.cases import Case
from blindspot.run.result import Measures


class Judgeable(Answered, Protocol):
    """A model that can be judged: just measured, or from the report of an earlier run."""

    def estimate(self, case: Case) -> Estimate:
        """The estimate that a case judges."""
        ...

    def contributions(self, case: Case) -> Contributions | None:
        """The contributions of its clusters, None if there are none."""
        ...

    def comparisons(self, case: Case) -> int:
        """Of how many comparisons it is the one that decides; 1 where there is no choice."""
        ...

    def digest(self, case: Case) -> str:
        """Digest of its prompts."""
        ...

    def unreadable(self, case: Case) -> str:
        """Why the controls of a mechanistic case allow no verdict; "" if they do."""
        ...


@dataclass(frozen=True, slots=True)
class Other:
    """A model to compare with, a baseline or a reference.

    ``kept``: its scores, None if they are missing and that is allowed. ``entries``: what a baseline
    holds for each gate. A mechanistic gate is missing if the controls of the other model do not
    allow it, unless the gate may be unreadable.
    """

    name: str
    kept: Measures | None
    entries: Mapping[str, Entry] | None = None

    @classmethod
    def of_baseline(cls, baseline: Baseline, kept: Measures | None) -> Other:
        """An accepted baseline with its scores."""
        return cls(f"the baseline {baseline.path.name}", kept, baseline.gates)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one case, with everything that a report says of it."""

    case: Case
    estimate: Estimate
    limit: GateResult
    prompts: str
    against: Mapping[Others, GateResult] = field(default_factory=dict)
    missing: str = ""
    waiver: Waiver | None = None
    expired: bool = False

    @property
    def results(self) -> tuple[GateResult, ...]:
        """Against the limit, then against the other models."""
        return (self.limit, *self.against.values())

    @property
    def judged(self) -> Verdict:
        """The worst verdict, ignoring waivers."""
        missing = (Verdict.ERROR,) if self.missing else ()
        return worst((*(result.verdict for result in self.results), *missing))

    @property
    def verdict(self) -> Verdict:
        """The verdict that counts: a waiver covers the gate until it expires, then fails it."""
        found = self.judged
        if self.waiver is None or not found.judged:
            return found
        if self.expired:
            return Verdict.FAIL
        return Verdict.WAIVED if found.waivable else found


def outcomes(
    measured: Judgeable,
    cases: Sequence[Case],
    gates: GateTable,
    others: Mapping[Others, Other] | None = None,
    *,
    allowed: frozenset[str] = frozenset(),
    strict: bool = False,
    floor: Callable[[Case, int], float] | None = None,
    today: date | None = None,
) -> dict[str, Outcome]:
    """Judge all cases together, by id: the family-wise error rate is controlled over all of them.

    Args:
        measured: the model under test.
        cases: the gates of the run.
        gates: limits, margins and waivers.
        others: models to compare with.
        allowed: mismatches that the user allows.
        strict: see `judge`.
        floor: the noise floor of a case with this many answers.
        today: for the expiry of waivers; by default the present day in UTC.
    """
    checks: list[Check] = []
    missing: dict[str, str] = {}
    estimates = {case.id: measured.estimate(case) for case in cases}
    digests = {case.id: measured.digest(case) for case in cases}
    for case in cases:
        estimate = estimates[case.id]
        unreadable, weak = measured.unreadable(case), unread(measured, gates, case)
        several = measured.comparisons(case)
        gate = gate_of(gates, case, "limit")
        check = Check(gate, estimate, unreadable=unreadable, comparisons=several)
        checks.append(_weakened(check, weak))
        for against, other in (others or {}).items() if not unreadable else ():
            gate = gate_of(gates, case, against)
            compared = _compare(measured, case, digests[case.id], other, allowed)
            if not isinstance(compared, str):
                noise = floor(case, estimate.n) if floor is not None else math.nan
                check = Check(gate, estimate, *compared, floor=noise, comparisons=several)
                checks.append(_weakened(check, weak or _theirs(other, gates, case)))
            elif not case.mechanistic or gate.readable == "required":
                missing[case.id] = compared
    judged: dict[str, dict[Against, GateResult]] = {}
    for result in judge(checks, gates.alpha, strict=strict):
        judged.setdefault(result.id, {})[result.against] = result
    found = {}
    for case in cases:
        waiver = gates.waiver(case.id)
        found[case.id] = Outcome(
            case,
            estimates[case.id],
            judged[case.id]["limit"],
            digests[case.id],
            {name: judged[case.id][name] for name in others or {} if name in judged[case.id]},
            missing.get(case.id, ""),
            waiver,
            waiver is not None and waiver.expired(today),
        )
    return found


def _weakened(check: Check, weak: Unread | None) -> Check:
    """A check, of answers that may be unread."""
    if weak is None:
        return check
    return replace(check, unread=weak.reason, unanswered=weak.unanswered)


def _theirs(other: Other, gates: GateTable, case: Case) -> Unread | None:
    """Why the other model's answers are unread; None if they are read."""
    found = other.kept and unread(other.kept, gates, case)
    return Unread(f"of {other.name} {found.reason}") if found else None


def _compare(
    measured: Judgeable, case: Case, digest: str, other: Other, allowed: frozenset[str]
) -> tuple[Accepted, Estimate | None] | str:
    """The other model's value and the change from it; or why the two cannot be compared."""
    entry = None
    if other.entries is not None:
        entry = other.entries.get(case.id)
        if entry is None:
            return f"{other.name} does not contain this gate"
        if entry.prompts != digest and "prompts" not in allowed:
            return f"its prompts are not those of {other.name} (were {entry.prompts}, are {digest})"
        if other.kept is None:
            return Accepted(entry.value, entry.standard_error, entry.n), None
    assert other.kept is not None
    theirs = other.kept.contributions(case)
    if theirs is None:
        return f"{other.name} has no scores for it"
    if entry is not None and not other.kept.holds(case, entry.value):
        return (
            f"the scores of {other.name} give {theirs.value:.6f} but it records {entry.value:.6f}; "
            "restore both from version control, or accept the model again"
        )
    return _accepted(theirs), _change(measured.contributions(case), theirs)


def _accepted(theirs: Contributions) -> Accepted:
    estimate = theirs.estimate()
    return Accepted(estimate.value, estimate.standard_error, estimate.n, estimate.df)


def _change(ours: Contributions | None, theirs: Contributions) -> Estimate | None:
    """Candidate minus the other, paired; None if the candidate was not measured."""
    return None if ours is None else difference(ours, theirs)


def limit_of(gates: GateTable, case: Case) -> float:
    """The limit of a case; 0 where it has none."""
    return gate_of(gates, case, "limit").limit or 0.0


def gate_of(gates: GateTable, case: Case, against: Against) -> Gate:
    """The gate of a case against its limit or another model."""
    return gates.gate(
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
