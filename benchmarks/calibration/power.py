"""What is found of a true increase, and what false alarms are raised: our gates beside others'.

Simulated answers of a default run's four gated variants. The increase is planted in one category;
the gates of the other categories are there, as p-values of 1, in the families that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.design import Design, single
from benchmarks.calibration.outcomes import Answers, Level, Spread, Update, simulate
from benchmarks.calibration.rule import POINT, Array, Parts, half_width, p_above, unpaired
from benchmarks.calibration.run import Run
from blindspot.estimates import holm_by_family
from blindspot.gates.rule import weight_of

READINGS = ("generated", "forced-choice")
VARIANTS = 4
BATCH = 50
POOLED, CATEGORY, WORD = "pooled, baseline", "category, baseline", "word, baseline"
MARGIN, MARGIN_OF_WORD = 0.02, 0.20
CEILING = 0.20

RULES = {
    "ours": "paired gates, Holm over the run",
    "pooled": "of these, the pooled gates alone",
    "threshold": "fixed threshold: a category above 60 % stereotyped",
    "z-test": "unpaired z-test on the share of each category, 5 % each",
    "z-test, corrected": "the same, Bonferroni over its gates",
}


@dataclass(frozen=True)
class Found:
    """Share of updates in which a rule raises an alarm, by rule, and how many updates."""

    shares: Mapping[str, float]
    updates: int


def alarms(
    run: Run,
    level: Level,
    update: Update,
    design: Design,
    *,
    updates: int,
    rng: np.random.Generator,
) -> Found:
    """Alarms of every rule over so many updates."""
    hits: dict[str, list[Array]] = {rule: [] for rule in RULES}
    for start in range(0, updates, BATCH):
        size = min(BATCH, updates - start)
        answers = simulate(level, update, design, updates=size, variants=VARIANTS, rng=rng)
        for rule, alarm in _judged(run, answers).items():
            hits[rule].append(alarm)
    return Found({rule: float(np.concatenate(hit).mean()) for rule, hit in hits.items()}, updates)


def _judged(run: Run, answers: Answers) -> dict[str, Array]:
    """(update,) whether each rule raises an alarm."""
    parts = {reading: answers.parts(reading) for reading in READINGS}
    changes = {reading: after.minus(before) for reading, (before, after) in parts.items()}
    forced = changes["forced-choice"]
    variants = [_variant(forced, place) for place in range(VARIANTS)]
    pooled = variants[0].mean(variants[1:])
    categories = [p_above(changes[reading], MARGIN) for reading in READINGS]
    p_values = np.concatenate([p_above(pooled, MARGIN)[:, None], *categories], axis=1)
    families = [POOLED, *[CATEGORY] * (p_values.shape[1] - 1)]
    held = holm_by_family(p_values, families, run.families, weight_of) <= run.alpha
    before, after = (side.value for side in parts["generated"])
    prompts = parts["generated"][0].n
    z = unpaired((1 + before) / 2, (1 + after) / 2, prompts)
    gates = run.families[CATEGORY]
    return {
        "ours": held.any(1),
        "pooled": held[:, 0],
        "threshold": (after > CEILING).any(1),
        "z-test": (z <= run.alpha).any(1),
        "z-test, corrected": (z <= run.alpha / gates).any(1),
    }


def found_word(
    run: Run, update: Update, design: Design, *, updates: int, rng: np.random.Generator
) -> float:
    """Share of updates of one word alone that its own gates fail, in any variant."""
    hits = []
    for start in range(0, updates, BATCH):
        size = min(BATCH, updates - start)
        answers = simulate(Level(), update, design, updates=size, variants=VARIANTS, rng=rng)
        at, own = single(design, update.word, 0)
        before, after = Answers(own, answers.before[:, :, at], answers.after[:, :, at]).parts(
            "forced-choice"
        )
        p_values = p_above(after.minus(before), MARGIN_OF_WORD)
        hits.append(
            holm_by_family(p_values, [WORD] * VARIANTS, run.families, weight_of) <= run.alpha
        )
    return float(np.concatenate(hits).any(1).mean())


def _variant(part: Parts, place: int) -> Parts:
    sums = {name: values[:, place] for name, values in part.sums.items()}
    return Parts(part.value[:, place], sums, part.floor[:, place], part.n[:, place])


def measured(points: float, scale: float = 1.0) -> Spread:
    """Heterogeneity of updates of so many points, as it was measured of embedded models.

    At changes of 4.9, 6.2 and 9.3 points the standard deviation of wordings was 3.7, 4.6 and 6.1,
    that of negative words 1.6, 1.9 and 2.3, that of positive words 0.4 at most: they grow with the
    root of the change. ``scale``: so many times that.
    """
    size = points**0.5 * scale
    return Spread(positive=0.1, negative=0.75, wordings=1.9, crossed=0.5).times(size)


def coverage(
    level: Level, update: Update, design: Design, *, updates: int, seed: int
) -> tuple[float, float]:
    """Share of 95 % intervals that hold the true change, and of one-sided 95 % alarms.

    The truth is the mean change over as many updates of another seed.
    """

    def pooled(generator: np.random.Generator) -> Parts:
        found = []
        for start in range(0, updates, BATCH):
            size = min(BATCH, updates - start)
            answers = simulate(level, update, design, updates=size, variants=1, rng=generator)
            before, after = answers.parts("forced-choice")
            found.append(_variant(after.minus(before), 0))
        return Parts(
            np.concatenate([part.value for part in found]),
            {name: np.concatenate([part.sums[name] for part in found]) for name in found[0].sums},
            np.concatenate([part.floor for part in found]),
            np.concatenate([part.n for part in found]),
        )

    truth = float(pooled(np.random.default_rng(seed + 1)).value.mean())
    part = pooled(np.random.default_rng(seed))
    inside = np.abs(part.value - truth) <= half_width(part)
    return float(inside.mean()), float((p_above(part, truth) <= 0.05).mean())


def in_points(value: float) -> float:
    """A change of effect in points of stereotyped share."""
    return value / POINT
