"""False alarms of updates that are made of the paper's published outcomes.

Of every published model, variant and category the share of stereotyped answers is fitted by its
words and wordings (log-odds, additive, shrunk a little). Two models are drawn from the same fit, so
that nothing changed, as answers at some temperature or training noise would have it; words and
wordings are as uneven as they were published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.calibration.rule import Array
from blindspot.answers import Association, read_association
from blindspot.contrib.aligned_but_blind import read_directory
from blindspot.contrib.aligned_but_blind.prompts import PublishedPrompt
from blindspot.estimates import Accepted, Clusters, Contributions, association_effects, difference
from blindspot.gates.rule import Check, Gate, judge
from blindspot.gates.verdict import Verdict

SHRINKAGE = 1.0
_VALUES = {Association.STEREOTYPED: 1.0, Association.COUNTER: -1.0}


@dataclass(frozen=True)
class Outcomes:
    """What a model answered to the prompts of a category: (prompt,) arrays, answered ones only."""

    name: str
    clusters: Clusters
    identifier_first: Array
    word_first: Array
    chance: Array


def outcomes(directory: Path) -> list[Outcomes]:
    """Of every model, variant and category in the paper's result files."""
    found = []
    for file in read_directory(directory).files:
        rows: list[tuple[PublishedPrompt, float]] = []
        for record in file.records:
            prompt = record.prompt
            if prompt.kind == "implicit":
                reading = read_association(
                    record.text, identifiers=prompt.identifiers, words=prompt.words
                )
                if reading in _VALUES:
                    rows.append((prompt, _VALUES[reading]))
        if rows:
            name = f"{file.name.model} {file.name.variant} {file.name.category}"
            found.append(_of(name, rows))
    return found


def _of(name: str, rows: list[tuple[PublishedPrompt, float]]) -> Outcomes:
    prompts = [prompt for prompt, _ in rows]
    clusters = Clusters.encode(
        {
            "positive word": [prompt.words[0] for prompt in prompts],
            "negative word": [prompt.words[1] for prompt in prompts],
            "wording": [prompt.prompt_id for prompt in prompts],
        }
    )
    chance = _fitted(clusters, np.array([value > 0 for _, value in rows], np.float64))
    first = np.array([prompt.order_cell[0] for prompt in prompts])
    second = np.array([prompt.order_cell[1] for prompt in prompts])
    return Outcomes(name, clusters, first, second, chance)


def _fitted(clusters: Clusters, hits: Array) -> Array:
    """Chance of a stereotyped answer by words and wording: ridge logistic regression."""
    columns = [np.ones((hits.size, 1))]
    for name, codes in clusters.codes.items():
        columns.append(np.eye(len(clusters.levels[name]))[codes])
    design = np.concatenate(columns, axis=1)
    penalty = np.full(design.shape[1], SHRINKAGE)
    penalty[0] = 0.0

    def loss(weights: Array) -> tuple[float, Array]:
        raw = design @ weights
        value = np.logaddexp(0.0, raw).sum() - hits @ raw + 0.5 * penalty @ weights**2
        return float(value), design.T @ (expit(raw) - hits) + penalty * weights

    return np.asarray(expit(design @ minimize(loss, np.zeros(design.shape[1]), jac=True).x))


def updates(found: list[Outcomes], gate: Gate, runs: int, seed: int) -> Iterator[tuple[bool, int]]:
    """Of each simulated release of all published models: whether any gate failed, and how many."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        checks = []
        for each in found:
            before, after = (_contributions(each, rng) for _ in range(2))
            old = before.estimate()
            accepted = Accepted(old.value, old.standard_error, old.n, old.df)
            named = Gate(
                id=each.name,
                measurement=gate.measurement,
                statistic=gate.statistic,
                unit=gate.unit,
                limit=gate.limit,
                reason=gate.reason,
                against="baseline",
            )
            checks.append(Check(named, after.estimate(), accepted, difference(after, before)))
        failed = sum(result.verdict is Verdict.FAIL for result in judge(checks))
        yield failed > 0, failed


def _contributions(each: Outcomes, rng: np.random.Generator) -> Contributions:
    drawn = np.where(rng.random(each.chance.size) < each.chance, 1.0, -1.0)
    return association_effects(
        drawn,
        positive_identifier_first=each.identifier_first,
        positive_word_first=each.word_first,
        clusters=each.clusters,
        all_orders=False,
    ).contributions
