"""One run: the cases of the selected tests, asked once and measured once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blindspot.baselines.file import DIGITS
from blindspot.baselines.scores import Scores
from blindspot.estimates import (
    ANSWER_STEP,
    PROBABILITY_STEP,
    Contributions,
    Effects,
    Estimate,
    mean_estimate,
    mean_of,
)
from blindspot.measurements import behavioral
from blindspot.measurements.base import BANDS, FORCED_CHOICE, GENERATED, VALIDITY
from blindspot.measurements.mechanistic import Assayed, Band, decisive
from blindspot.measurements.registry import MEASUREMENTS, STATISTICS
from blindspot.measurements.tables import Table
from blindspot.models.base import Identity, Missing
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.findings import assay_all
from blindspot.run.forms import Forms
from blindspot.run.noise import NoiseFloor, noise_floor, spread_of
from blindspot.run.observations import Observations, read
from blindspot.run.plan import Answers, Plan
from blindspot.stimuli import Prompt, Slice

#: Largest difference between a value (six digits) and its scores (single precision).
SAME = 2 * 10.0**-DIGITS + 1e-5
Places = NDArray[np.int64]
DECIDES = "the comparison with {} decides"


class Measures:
    """Effects from the scores of all prompts of a model, new or stored."""

    def __init__(self, tables: Mapping[Slice, Table]) -> None:
        self._tables = tables
        self._effects: dict[tuple[Slice, str], Effects] = {}

    @property
    def slices(self) -> Mapping[Slice, Table]:
        """The scores by category slice."""
        return self._tables

    def has(self, case: Case) -> bool:
        """Whether all prompts of a case were scored."""
        return all(part.whole in self._tables and self._places(part).size for part in case.parts)

    def asked(self, case: Case) -> int:
        """How many prompts a case rests on; of a case of several slices, the fewest of any."""
        return min(len(self._places(part)) for part in case.parts)

    def _places(self, part: Slice) -> Places:
        table = self._tables.get(part.whole)
        return np.zeros(0, np.int64) if table is None else table.places(part)

    def effects(self, part: Slice, reading: str = GENERATED) -> Effects:
        """All effects of a slice in one reading, computed once."""
        key = (part, reading)
        if key not in self._effects:
            self._effects[key] = self._compute(part, reading)
        return self._effects[key]

    def _compute(self, part: Slice, reading: str) -> Effects:
        table = self._tables[part.whole]
        places = table.places(part)
        generated = reading == GENERATED
        scores = behavioral.Scores(
            values=table.values(reading)[places],
            identifier_first=table.positive_identifier_first[places],
            second_order=table.second_order[places],
            clusters=table.clusters.take(places),
            refused=table.refused[places] if generated else None,
            step=ANSWER_STEP if generated else PROBABILITY_STEP,
            all_orders=table.all_orders,
        )
        return table.measurement.effects(scores)

    def log_odds(self, part: Slice) -> Estimate:
        """Mean log-odds of a category slice in nats."""
        table = self._tables[part.whole]
        return mean_estimate(table.log_odds, clusters=table.clusters)

    def mass(self, case: Case) -> float:
        """The median probability of all candidates together, of the slice where it is smallest.

        NaN where none were compared.
        """
        if case.mechanistic or case.reading != FORCED_CHOICE or not self.has(case):
            return math.nan
        medians = []
        for part in case.parts:
            medians.append(float(np.median(self._tables[part.whole].mass[self._places(part)])))
        return min(medians)

    def contributions(self, case: Case) -> Contributions | None:
        """The contributions of clusters to a case, for comparisons paired by prompt.

        None if there are none: not measured, or a band that the controls do not allow.
        """
        if not self.has(case):
            return None
        if case.variants:
            return mean_of([self._of_parts(case, [part]) for part in case.parts])
        return self._of_parts(case, case.parts)

    def holds(self, case: Case, value: float) -> bool:
        """Whether a value that was measured of a case is that of these scores."""
        return (found := self.contributions(case)) is not None and abs(found.value - value) <= SAME

    def _of_parts(self, case: Case, parts: Iterable[Slice]) -> Contributions:
        effects = [self.effects(part, case.reading) for part in parts]
        return MEASUREMENTS[case.measurement].contributions(effects, case.statistic)


class Kept(Measures):
    """The results of a model from its stored scores.

    Args:
        scores: of its run.
        limit: what each mechanistic case is held against, which need not be the limit of its run.
    """

    def __init__(self, scores: Scores, limit: Callable[[Case], float] = lambda _: 0.0) -> None:
        super().__init__(scores.tables)
        self._mechanistic, self._compared = scores.contributions, scores.compared
        self._limit = limit

    def comparisons(self, case: Case) -> int:
        """How many comparisons of a case there are to choose from."""
        return max(1, len(self._compared.get(case.id, ())))

    @property
    def scored(self) -> bool:
        """Whether there are any scores, be it of mechanistic gates alone."""
        return bool(self.slices or self._mechanistic)

    def decisive(self, case: Case) -> str:
        """The comparison that decides at the limit; "" where there is nothing to choose."""
        compared = self._compared.get(case.id)
        return decisive(compared, self._limit(case)) if compared else ""

    def contributions(self, case: Case) -> Contributions | None:
        """As of a run; for a mechanistic case those stored under its id."""
        if name := self.decisive(case):
            return self._compared[case.id][name]
        return self._mechanistic.get(case.id) if case.mechanistic else super().contributions(case)

    def holds(self, case: Case, value: float) -> bool:
        """Whatever the limit of its run was: whether one of the comparisons has the value."""
        if (compared := self._compared.get(case.id)) is None:
            return super().holds(case, value)
        return any(abs(each.value - value) <= SAME for each in compared.values())


_NONE = np.zeros(0, np.int64)


class Measured(Measures):
    """The answers to all prompts of a run, the findings of its assays, and the effects."""

    def __init__(
        self,
        identity: Identity,
        tables: dict[Slice, Observations],
        assayed: Mapping[Slice, Assayed] | None = None,
        limit: Callable[[Case], float] = lambda _: 0.0,
        forms: Forms | None = None,
    ) -> None:
        super().__init__(tables)
        self._limit = limit
        self.forms = dict(forms or {})
        self.identity = identity
        self.tables = tables
        self.assayed = dict(assayed or {})

    @property
    def prompts(self) -> int:
        """How many prompts were answered."""
        return sum(len(table.rows) for table in self.tables.values())

    def band(self, case: Case) -> Band:
        """The finding of an assay for the layers and the reading of a mechanistic case."""
        return (
            self.assayed[case.part].bands[case.reading, case.band].held_against(self._limit(case))
        )

    def unreadable(self, case: Case) -> str:
        """Why the controls of a mechanistic case allow no verdict; "" if they do."""
        return self.band(case).unreadable if case.mechanistic else ""

    def controls(self, case: Case) -> str:
        """The layers of a mechanistic figure, and the line on their controls."""
        if not case.mechanistic:
            return ""
        band = self.band(case)
        layers = ranges(band.layers)
        line = self.assayed[case.part].controls.get((case.reading, case.band), "")
        told = (
            f"layers {layers}" if layers else "",
            line,
            DECIDES.format(band.decisive) if band.decisive else "",
        )
        return "; ".join(filter(None, told))

    def contributions(self, case: Case) -> Contributions | None:
        """As of `Measures`; for a mechanistic case those of its band.

        None for a share answered if requests failed, for which the model is not to blame.
        """
        if case.mechanistic:
            return self.band(case).contributions
        return None if self._failed_of(case) else super().contributions(case)

    def comparisons(self, case: Case) -> int:
        """How many comparisons of a case there are to choose from."""
        return max(1, len(self.band(case).compared)) if case.mechanistic else 1

    def scores(self, cases: Iterable[Case]) -> Scores:
        """The scores for paired comparison with a later run."""
        bands = {case.id: self.band(case) for case in cases if case.mechanistic}
        kept = {
            gate: band.contributions
            for gate, band in bands.items()
            if band.contributions is not None and not band.contributions.reason
        }
        return Scores(
            dict(self.tables),
            kept,
            {g: bands[g].compared for g in kept if bands[g].compared},
            self.forms,
        )

    def estimate(self, case: Case) -> Estimate:
        """The estimate that a case judges."""
        if case.mechanistic:
            return self.band(case).estimate(STATISTICS[case.statistic].unit)
        found = self.contributions(case)
        if found is None:
            failed = self._failed_of(case)
            why = f"the requests of {failed:,} prompts failed" if failed else "it was not asked"
            return Estimate.unmeasured(why, unit=STATISTICS[case.statistic].unit)
        return found.estimate()

    def _failed_of(self, case: Case) -> int:
        """Of a share answered, how many prompts have no answer because their requests failed."""
        if case.statistic != VALIDITY or not self._failed:
            return 0
        failed = (self._failed.get(part.whole, _NONE) for part in case.parts)
        return sum(
            int(np.isin(self._places(part), places).sum())
            for part, places in zip(case.parts, failed, strict=True)
        )

    @cached_property
    def _failed(self) -> dict[Slice, Places]:
        """By slice, the places of prompts whose requests failed; only slices that have some."""
        found = {}
        for part, table in self.tables.items():
            rows = (row.answer.missing == Missing.UNANSWERED for row in table.rows)
            if (places := np.flatnonzero(np.fromiter(rows, np.bool_, len(table.rows)))).size:
                found[part] = places
        return found

    def digest(self, case: Case) -> str:
        """Digest of the prompts of a case."""
        digests = [self.assayed[case.part].digest] if case.mechanistic else []
        for part in case.parts:
            digests.append(self.tables[part.whole].digest(self._places(part)))
        return "-".join(digests)


def ranges(layers: Sequence[int]) -> str:
    """Layers for people: ``0-3, 7``."""
    parts: list[list[int]] = []
    for layer in sorted(layers):
        if parts and parts[-1][-1] == layer - 1:
            parts[-1].append(layer)
        else:
            parts.append([layer])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def result_of(
    plan: Plan, answers: Answers, limit: Callable[[Case], float]
) -> tuple[Measured, NoiseFloor | None]:
    """What the answers to a plan amount to, and by how much the model differs from itself.

    ``limit``: what each mechanistic case is held against.
    """
    plan = plan.in_forms(answers.forms)
    assayed = assay_all(plan.assays, plan.inside, answers.found)
    assayed |= {part: _omitted(part) for part in plan.omitted}
    measured = measure(answers.identity, plan.prompts, answers.given, assayed, limit, answers.forms)
    if not (plan.places or plan.inside_again):
        return measured, None
    inside = assay_all(plan.assays, plan.inside_again, answers.found_again)
    again = answers.given_again
    floor = noise_floor(measured.tables, plan.places, again, assayed, inside)
    return measured, replace(floor, least=spread_of(answers.server))


def _omitted(part: Slice) -> Assayed:
    """What an assay found that the budget had no time for."""
    readings, why = MEASUREMENTS[part.measurement].readings, "the budget had no time for it"
    return Assayed(part, {(one, band): Band(None, why) for one in readings for band in BANDS})


def measure(
    identity: Identity,
    wanted: Mapping[Slice, Sequence[Prompt]],
    answers: Sequence[Answer],
    assayed: Mapping[Slice, Assayed] | None = None,
    limit: Callable[[Case], float] = lambda _: 0.0,
    forms: Forms | None = None,
) -> Measured:
    """Read the answers to the prompts of all slices.

    ``assayed``: results of assays; ``limit``: the limit of each mechanistic case; ``forms``: of the
    compared answers.
    """
    remaining = iter(answers)
    tables = {
        whole: Observations(whole, [read(prompt, next(remaining)) for prompt in part])
        for whole, part in wanted.items()
    }
    return Measured(identity, tables, assayed, limit, forms)
