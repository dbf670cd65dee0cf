"""False alarms: updates in which nothing changes on average, judged by all gates of a full run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.stats import beta

from benchmarks.calibration.answers import GATED, READINGS, Answers, level_of
from benchmarks.calibration.design import ORDERS, Design, single
from benchmarks.calibration.rule import STEPS, WEIGHTS, Array, Parts, half_width, p_above
from benchmarks.calibration.run import Run
from benchmarks.calibration.updates import Pool, answered_change, change, design_of
from blindspot.estimates import holm_by_family
from blindspot.gates.rule import Gate, is_beyond, is_too_wide, weight_of
from blindspot.run.cases import Case
from blindspot.stimuli import EXPLICIT, IMPLICIT

MEASUREMENTS = (IMPLICIT, EXPLICIT)

CATEGORIES = ("weapons", "guilt", "valence")
BATCH = 50

Tables = Mapping[str, Array]
"""Changes of a batch of updates, ``measurement/variant/category/reading``: (update, place)."""


def clopper_pearson(hits: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share."""
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, runs - hits + 1))
    high = 1.0 if hits == runs else float(beta.ppf(1 - tail, hits + 1, runs - hits))
    return low, high


def of_tables(tables: Array, weights: Array, step: float, of: Design) -> Parts:
    """Contributions of changes (update, place): the difference of two runs that answered all."""
    mean, places = tables.mean(1), len(of)
    # Validity has one cell: then a prompt counts by itself.
    filled = places * ORDERS / len(weights)
    floor = 2 * float(np.square(weights * step / (filled + 1.0)).sum())
    sums = of.sums((tables - mean[:, None]) / places)
    prompts = np.full(len(tables), 2.0 * of.prompts)
    return Parts(mean, sums, np.full(len(tables), floor), prompts)


def parts_of(case: Case, tables: Tables) -> Parts | None:
    """What a case judges, of a category or a word; None if its slice is not among the tables."""
    kind = "answered" if case.statistic == "validity" else case.reading
    names = [f"{part.measurement}/{part.variant}/{part.category}/{kind}" for part in case.parts]
    if not all(name in tables for name in names):
        return None
    if kind == "answered":
        return of_tables(tables[names[0]], np.ones(1), 1.0, design_of(names[0]))
    found = []
    for name, part in zip(names, case.parts, strict=True):
        of, table = design_of(name), tables[name]
        if part.word:
            places, of = single(of, *level_of(part))
            table = table[:, places]
        found.append(of_tables(table, WEIGHTS[part.measurement], STEPS[case.reading], of))
    if case.statistic == "gap":
        return found[0].minus(found[1], apart=("wording",))
    return found[0].mean(found[1:])


@dataclass
class Verdicts:
    """Verdicts of many updates at once: (update, gate) booleans, over all batches so far.

    ``fail``: as shipped. ``alone``: beyond the margin at 5 %, by itself. ``at_limit`` and
    ``alone_at_limit``: the same for a model whose true change lies exactly at the margin.
    ``doubt``: beyond the margin and not clearly, or known less well than its resolution.
    """

    names: list[tuple[Case, Gate]] = field(default_factory=list)
    batches: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))

    def of(self, kind: str, chosen: Callable[[Case], bool] = lambda _: True) -> Array:
        """(update, gate) of the chosen gates."""
        at = [place for place, (case, _) in enumerate(self.names) if chosen(case)]
        return np.concatenate(self.batches[kind])[:, at]

    def runs(self, kind: str) -> tuple[int, int]:
        """Updates with any such verdict, and all."""
        any_gate = self.of(kind).any(axis=1)
        return int(any_gate.sum()), len(any_gate)


def judge_all(run: Run, batches: Iterator[Tables]) -> Verdicts:
    """Judge every update of every batch by all gates of a run."""
    found = Verdicts()
    for tables in batches:
        columns: list[tuple[Case, Gate, Array, Array, Array, Array]] = []
        for case, gate in run.gates:
            part = parts_of(case, tables)
            if part is not None:
                columns.append((case, gate, *_judged(gate, part)))
        found.names = [(case, gate) for case, gate, *_ in columns]
        families = [gate.family for _, gate in found.names]
        shipped, limit, beyond, doubt = (
            np.stack([column[place] for column in columns], axis=1) for place in (2, 3, 4, 5)
        )
        for kind, p_values in (("fail", shipped), ("at_limit", limit)):
            held = holm_by_family(p_values, families, run.families, weight_of)
            found.batches[kind].append((held <= run.alpha) & (beyond if kind == "fail" else True))
        found.batches["alone"].append(shipped <= run.alpha)
        found.batches["alone_at_limit"].append(limit <= run.alpha)
        found.batches["doubt"].append(doubt & ~found.batches["fail"][-1])
    return found


def _judged(gate: Gate, part: Parts) -> tuple[Array, Array, Array, Array]:
    """p-values with the margin and without, whether beyond the margin, and whether in doubt."""
    assert gate.limit is not None
    worse = part if gate.direction == "at_most" else part.negative()
    half = half_width(worse)
    beyond = is_beyond(part.value, gate.allowed())
    wide = is_too_wide(gate, part.value, half)
    return p_above(worse, gate.limit), p_above(worse, 0.0), beyond, beyond | wide


def changes_of(before: Answers, after: Answers, variants: Sequence[str]) -> dict[str, Array]:
    """What changed from one model to another, in all that is read: (place,)."""
    found = {}
    for measurement, variant, category in product(MEASUREMENTS, variants, CATEGORIES):
        prefix = f"{measurement}/{variant}/{category}"
        for reading in READINGS:
            found[f"{prefix}/{reading}"] = change(before, after, f"{prefix}/{reading}")
        found[f"{prefix}/answered"] = answered_change(before, after, f"{prefix}/{READINGS[0]}")
    return found


def pools(changes: Sequence[Mapping[str, Array]]) -> list[Pool]:
    """What several updates changed, per category: words are shared within one."""
    return [
        Pool.of(
            {name: [c[name] for c in changes] for name in changes[0] if f"/{category}/" in name}
        )
        for category in CATEGORIES
    ]


def recombined(
    drawn_from: Sequence[Pool], variants: Sequence[str], updates: int, rng: np.random.Generator
) -> Iterator[dict[str, Array]]:
    """Batches of updates. A variant that was not asked gets draws of its own from the first one."""
    for start in range(0, updates, BATCH):
        size = min(BATCH, updates - start)
        tables: dict[str, Array] = {}
        for pool in drawn_from:
            tables |= pool.draw(size, rng)
            for variant in GATED:
                if variant not in variants:
                    for name, drawn in pool.draw(size, rng).items():
                        kind, first, rest = name.split("/", maxsplit=2)
                        if first == variants[0]:
                            tables[f"{kind}/{variant}/{rest}"] = drawn
        yield tables


def as_it_is(changes: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """One real update, as a batch of one."""
    yield {name: table[None] for name, table in changes.items()}
