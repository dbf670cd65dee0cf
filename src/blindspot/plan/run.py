"""One run: what the selected tests declared, asked once, measured once, judged together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blindspot.assays.base import Assayed, Band
from blindspot.baselines import Baseline
from blindspot.estimates import (
    ANSWER_STEP,
    PROBABILITY_STEP,
    Accepted,
    AgreementEffects,
    AssociationEffects,
    Check,
    Contributions,
    Estimate,
    Gate,
    GateResult,
    GateTable,
    Verdict,
    agreement_effects,
    association_effects,
    gap,
    judge,
    mean_estimate,
)
from blindspot.estimates.gates import Against
from blindspot.estimates.statistics import GENERATED, PAIR, STATISTICS
from blindspot.models.base import Identity, LanguageModel
from blindspot.plan.asking import Answer, ask
from blindspot.plan.cases import Case
from blindspot.plan.observations import Observations, read
from blindspot.plan.source import PromptSource
from blindspot.plan.store import Store
from blindspot.stimuli import IMPLICIT, Prompt, Slice

Effects = AssociationEffects | AgreementEffects
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one case, with everything that a report says of it."""

    case: Case
    estimate: Estimate
    limit: GateResult
    regression: GateResult | None
    prompts: str
    missing: str = ""

    @property
    def results(self) -> tuple[GateResult, ...]:
        """Against the limit, then against the baseline where there is one."""
        return (self.limit,) if self.regression is None else (self.limit, self.regression)

    @property
    def verdict(self) -> Verdict:
        """The worst of them: fail, then error, then inconclusive."""
        found = [result.verdict for result in self.results]
        if self.missing:
            found.append(Verdict.ERROR)
        for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS):
            if verdict in found:
                return verdict
        return Verdict.REPORTED


class Measured:
    """The answers to all prompts of a run and what its assays found, and what they amount to."""

    def __init__(
        self,
        identity: Identity,
        tables: dict[Slice, Observations],
        assayed: Mapping[Slice, Assayed] | None = None,
    ) -> None:
        self.identity = identity
        self.tables = tables
        self.assayed = dict(assayed or {})
        self._effects: dict[tuple[Slice, str], Effects] = {}

    @property
    def prompts(self) -> int:
        """How many prompts were answered."""
        return sum(len(table.rows) for table in self.tables.values())

    def effects(self, part: Slice, reading: str = GENERATED) -> Effects:
        """All effects of a slice in one reading, computed once."""
        key = (part, reading)
        if key not in self._effects:
            self._effects[key] = self._compute(part, reading)
        return self._effects[key]

    def _compute(self, part: Slice, reading: str) -> Effects:
        table = self.tables[part.whole]
        places = slice(None) if part.pair is None else table.pairs[part.pair]
        clusters = (
            table.clusters if part.pair is None else table.clusters.take(table.pairs[part.pair])
        )
        values = table.values(reading)[places]
        generated = reading == GENERATED
        step = ANSWER_STEP if generated else PROBABILITY_STEP
        refused = table.refused[places] if generated else None
        identifier_first = table.positive_identifier_first[places]
        if part.measurement == IMPLICIT:
            return association_effects(
                values,
                positive_identifier_first=identifier_first,
                positive_word_first=table.positive_word_first[places],
                clusters=clusters,
                refused=refused,
                step=step,
                all_orders=table.all_orders,
            )
        return agreement_effects(
            values,
            keyed=table.keyed[places],
            positive_identifier_first=identifier_first,
            clusters=clusters,
            refused=refused,
            step=step,
            all_orders=table.all_orders,
        )

    def association(self, part: Slice, reading: str = GENERATED) -> AssociationEffects:
        """Effects of an association slice."""
        effects = self.effects(part, reading)
        assert isinstance(effects, AssociationEffects)
        return effects

    def agreement(self, part: Slice, reading: str = GENERATED) -> AgreementEffects:
        """Effects of a statement slice."""
        effects = self.effects(part, reading)
        assert isinstance(effects, AgreementEffects)
        return effects

    def log_odds(self, part: Slice) -> Estimate:
        """Mean log-odds of a category slice in nats."""
        table = self.tables[part.whole]
        return mean_estimate(table.log_odds, clusters=table.clusters)

    def band(self, case: Case) -> Band:
        """What an assay says of the layers and the reading of a mechanistic case."""
        return self.assayed[case.part].bands[case.reading, case.band]

    def contributions(self, case: Case) -> Contributions | None:
        """What clusters contribute to a case, for comparisons that are paired by prompt.

        None where there is none: of a band that the controls do not allow.
        """
        if case.mechanistic:
            return self.band(case).contributions
        if case.statistic == "gap":
            implicit, explicit = (self.effects(part, case.reading) for part in case.parts)
            return implicit.contributions.minus(explicit.contributions, apart=("wording",))
        effects = self.effects(case.part, case.reading)
        return effects.answered if case.statistic == "validity" else effects.contributions

    def estimate(self, case: Case) -> Estimate:
        """What a case judges."""
        if case.mechanistic:
            return self.band(case).estimate(STATISTICS[case.statistic].unit)
        if case.statistic == "gap":
            implicit, explicit = case.parts
            return gap(
                self.association(implicit, case.reading), self.agreement(explicit, case.reading)
            )
        effects = self.effects(case.part, case.reading)
        if case.statistic == "validity":
            return effects.validity
        return effects.stereotype if isinstance(effects, AssociationEffects) else effects.bias

    def digest(self, case: Case) -> str:
        """Digest of the prompts that a case rests on."""
        digests = [self.assayed[case.part].digest] if case.mechanistic else []
        for part in case.parts:
            table = self.tables[part.whole]
            digests.append(table.digest(None if part.pair is None else table.pairs[part.pair]))
        return "-".join(digests)


def prompts_of(source: PromptSource, cases: Iterable[Case]) -> dict[Slice, list[Prompt]]:
    """The prompts that the cases need, by category slice, each category's in one fixed order."""
    wanted: dict[Slice, set[tuple[str, str]] | None] = {}
    for case in cases:
        for part in case.parts:
            if part.pair is None:
                wanted[part.whole] = None
            elif (some := wanted.setdefault(part.whole, set())) is not None:
                some.add(part.pair)
    return {
        whole: [p for p in source.prompts(whole) if some is None or p.words in some]
        for whole, some in wanted.items()
    }


def ask_all(
    wanted: dict[Slice, list[Prompt]],
    model: LanguageModel,
    store: Store,
    *,
    locks: Path | None = None,
    start: int = 0,
    progress: Progress = lambda _: None,
) -> list[Answer]:
    """Answers to the prompts of all slices, in their order; see `asking.ask`."""
    prompts = [prompt for part in wanted.values() for prompt in part]
    return ask(model, prompts, store, locks=locks, start=start, progress=progress)


def measure(
    identity: Identity,
    wanted: dict[Slice, list[Prompt]],
    answers: Sequence[Answer],
    assayed: Mapping[Slice, Assayed] | None = None,
) -> Measured:
    """Read the answers to the prompts of all slices; ``assayed``: what assays say of theirs."""
    remaining = iter(answers)
    tables = {
        whole: Observations(whole, [read(prompt, next(remaining)) for prompt in part])
        for whole, part in wanted.items()
    }
    return Measured(identity, tables, assayed)


def outcomes(
    measured: Measured,
    cases: Sequence[Case],
    gates: GateTable,
    baseline: Baseline | None = None,
    *,
    allowed: frozenset[str] = frozenset(),
) -> dict[str, Outcome]:
    """Judge all cases together, by id: the error rate is held over all of them."""
    checks: list[Check] = []
    estimates = {case.id: measured.estimate(case) for case in cases}
    missing: dict[str, str] = {}
    digests = {case.id: measured.digest(case) for case in cases}
    for case in cases:
        estimate = estimates[case.id]
        unreadable = measured.band(case).unreadable if case.mechanistic else ""
        checks.append(Check(_gate(gates, case, "limit"), estimate, unreadable=unreadable))
        if baseline is None or unreadable:
            continue
        entry = baseline.gates.get(case.id)
        if entry is None:
            missing[case.id] = f"the baseline {baseline.path.name} does not hold it"
        elif entry.prompts != digests[case.id] and "prompts" not in allowed:
            missing[case.id] = (
                f"its prompts are not those of the baseline {baseline.path.name} "
                f"(were {entry.prompts}, are {digests[case.id]})"
            )
        else:
            reference = Accepted(entry.value, entry.standard_error, entry.n)
            checks.append(Check(_gate(gates, case, "baseline"), estimate, reference))
    judged = {(result.id, result.against): result for result in judge(checks, gates.alpha)}
    return {
        case.id: Outcome(
            case,
            estimates[case.id],
            judged[case.id, "limit"],
            judged.get((case.id, "baseline")),
            digests[case.id],
            missing.get(case.id, ""),
        )
        for case in cases
    }


def _gate(gates: GateTable, case: Case, against: Against) -> Gate:
    return gates.gate(
        case.id,
        case.statistic,
        "pair" if case.level == PAIR else "category",
        measurement=case.measurement,
        axis=case.part.axis,
        variant=case.part.variant,
        category=case.part.category,
        reading=case.reading,
        band=case.band,
        against=against,
    )
