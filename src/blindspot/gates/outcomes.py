"""Verdicts: every case against its limit, and against the other models that a run compares with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

from blindspot.baselines import Baseline, Entry
from blindspot.estimates import Accepted, Contributions, Estimate, difference
from blindspot.estimates.mcnemar import mcnemar
from blindspot.gates.floors import Answered, Unread, unread
from blindspot.gates.limits import GateTable
from blindspot.gates.rule import SIGNS, Against, Check, Gate, GateResult, Others, judge
from blindspot.gates.verdict import Verdict, worst
from blindspot.gates.waivers import Waiver
from blindspot.measurements.base import WORD
from blindspot.measurements.registry import STATISTICS
from blindspot.run.cases import Case
from blindspot.run.overlap import HasSlices, Overlap, failures
from blindspot.run.result import Measures

#: With fewer prompts a word has met too few words and wordings for a limit to decide.
LEAST_OF_WORD = 32
#: The same for a category of which two models were not asked the same prompts: as many as the noise
#: floor rests on. With more of them the precision of the change decides.
LEAST_IN_COMMON = 64


class Scored(HasSlices, Protocol):
    """A model with the scores of its prompts, and what they amount to."""

    def contributions(self, case: Case) -> Contributions | None:
        """The contributions of its clusters, None if there are none."""
        ...


class Judgeable(Answered, Scored, Protocol):
    """A model that can be judged: just measured, or from the report of an earlier run."""

    def estimate(self, case: Case) -> Estimate:
        """The estimate that a case judges."""
        ...

    def asked(self, case: Case) -> int:
        """How many prompts it rests on."""
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
    holds for each gate. ``overlap``: the candidate and this model on their common prompts, if they
    were not asked the same ones. A mechanistic gate is missing if the controls of the other model
    do not allow it, unless the gate may be unreadable.
    """

    name: str
    kept: Measures | None
    entries: Mapping[str, Entry] | None = None
    overlap: Overlap | None = None

    @classmethod
    def of_baseline(
        cls, baseline: Baseline, kept: Measures | None, overlap: Overlap | None = None
    ) -> Other:
        """An accepted baseline with its scores."""
        return cls(f"the baseline {baseline.path.name}", kept, baseline.gates, overlap)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Another model's value, the change from it, and why that is too little for a verdict."""

    accepted: Accepted
    change: Estimate | None
    few: Unread | None = None


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
        if few := _few(measured, case):
            gate = replace(gate, limit=None, reason=few)
        check = Check(gate, estimate, unreadable=unreadable, comparisons=several)
        checks.append(_weakened(check, weak))
        alone = len(checks) - 1
        for against, other in (others or {}).items() if not (unreadable or few) else ():
            gate = gate_of(gates, case, against)
            if _beside_few(case, other):
                continue
            compared = _compare(measured, case, digests[case.id], other, allowed)
            if not isinstance(compared, str):
                noise = floor(case, estimate.n) if floor is not None else math.nan
                check = Check(gate, estimate, compared.accepted, compared.change, noise)
                lost = _uninformed(other, case, compared.accepted)
                if lost and gate.readable == "optional":
                    checks[alone] = replace(checks[alone], unreadable=lost.reason)
                    continue
                weaker = weak or _theirs(other, gates, case) or compared.few or lost
                checks.append(_weakened(replace(check, comparisons=several), weaker))
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


def change_of(
    measured: Judgeable, case: Case, other: Other, allowed: frozenset[str]
) -> Estimate | str:
    """The paired change of a case from another model; or why the two cannot be compared."""
    compared = _compare(measured, case, measured.digest(case), other, allowed)
    if isinstance(compared, str):
        return compared
    return compared.change or f"its scores cannot be paired with those of {other.name}"


def _few(measured: Judgeable, case: Case) -> str:
    """Why a word has too few prompts to be judged; "" if it has enough."""
    if case.level != WORD or (asked := measured.asked(case)) >= LEAST_OF_WORD:
        return ""
    return f"{asked} prompts: a word is judged from {LEAST_OF_WORD} on"


def _beside_few(case: Case, other: Other) -> bool:
    """Whether a word has too few prompts in common with another model to be compared."""
    together = other.overlap
    return case.level == WORD and together is not None and together.asked(case) < LEAST_OF_WORD


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
) -> _Compared | str:
    """The other model's value and the change from it; or why the two cannot be compared."""
    entry = None if other.entries is None else other.entries.get(case.id)
    if other.entries is not None and entry is None:
        return f"{other.name} does not contain this gate"
    same = entry is None or entry.prompts == digest or "prompts" in allowed
    if entry is not None and (other.kept is None or not same):
        accepted = Accepted(entry.value, entry.standard_error, entry.n)
        if other.overlap is None and not same:
            return f"its prompts are not those of {other.name} (were {entry.prompts}, are {digest})"
        if same or case.mechanistic:
            few = None if same else Unread(f"its contexts are not those of {other.name}")
            return _Compared(accepted, None, few)
    assert other.kept is not None
    theirs = other.kept.contributions(case)
    if theirs is None or (entry is not None and not other.kept.holds(case, entry.value)):
        return _unscored(other, entry, theirs)
    if other.overlap is not None and not case.mechanistic:
        return _on_common(case, other.name, other.overlap, same=same)
    return _Compared(_accepted(theirs), _change(case, measured, other.kept, theirs))


def _unscored(other: Other, entry: Entry | None, theirs: Contributions | None) -> str:
    """Why the scores of another model are not those of a gate."""
    if entry is None or theirs is None:
        return f"{other.name} has no scores for it"
    return (
        f"the scores of {other.name} give {theirs.value:.6f} but it records {entry.value:.6f}; "
        "restore both from version control, or accept the model again"
    )


def _on_common(case: Case, other: str, overlap: Overlap, *, same: bool) -> _Compared | str:
    """The same on the prompts that both were asked; ``same``: or what counts as the same."""
    if not same and any(part.whole in overlap.changed for part in case.parts):
        return f"some of its prompts have changed since {other}"
    theirs, asked = overlap.theirs.contributions(case), overlap.asked(case)
    if theirs is None or not asked:
        return f"it has no prompt in common with {other}"
    few = None
    if asked < LEAST_IN_COMMON and case.level != WORD:
        few = Unread(f"{asked} prompts in common with {other}, {LEAST_IN_COMMON} are needed")
    change = _change(case, overlap.ours, overlap.theirs, theirs)
    return _Compared(_accepted(theirs), change, few)


def _accepted(theirs: Contributions) -> Accepted:
    estimate = theirs.estimate()
    return Accepted(estimate.value, estimate.standard_error, estimate.n, estimate.df)


def _change(case: Case, ours: Scored, theirs: Measures, accepted: Contributions) -> Estimate | None:
    """Candidate minus the other, paired; None if the candidate was not measured."""
    found = ours.contributions(case)
    if found is None:
        return None
    if STATISTICS[case.statistic].exact:
        return mcnemar(*failures(ours, theirs, case))
    return difference(found, accepted)


def _uninformed(other: Other, case: Case, theirs: Accepted) -> Unread | None:
    """Why the other model has nothing to lose; None if it has."""
    known = STATISTICS[case.statistic]
    if known.informed is None or not theirs.measured:
        return None
    if SIGNS[known.direction] * (theirs.value - known.informed) <= 0:
        return None
    return Unread(f"{other.name} has nothing to lose: {known.label} {theirs.value:.2f}")


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
        control=case.kind != "group",
        against=against,
    )
