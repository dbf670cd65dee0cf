"""A statistic that must be beyond a limit in every comparison: which comparison decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from blindspot.estimates.clusters import Contributions, FactorSums
from blindspot.gates.rule import Check, Gate, judge
from blindspot.gates.verdict import Verdict
from blindspot.measurements.mechanistic import Band

LIMIT, ALPHA = 0.2, 0.05
RUNS, CLUSTERS = 1500, 12
#: What the simulation itself may be off by, at three standard errors.
CHANCE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
#: True reductions and their standard errors. Each model has one comparison that is only at the
#: limit, so a failure is a false one.
MODELS = {
    "as in real runs": ((0.20, 0.10), (0.30, 0.03), (0.35, 0.05), (0.32, 0.04)),
    "one known badly": ((0.20, 0.11), (0.30, 0.02), (0.30, 0.02), (0.30, 0.02)),
    "all alike": ((0.20, 0.05),) * 4,
}


def drawn(value: float, error: float, noise: np.random.Generator) -> Contributions:
    """A measured value: the mean of clusters whose true mean and standard error are known."""
    clusters = noise.normal(value, error * math.sqrt(CLUSTERS), CLUSTERS)
    sums = (clusters - clusters.mean()) / CLUSTERS
    levels = tuple(map(str, range(CLUSTERS)))
    word = FactorSums(levels, np.ones(CLUSTERS, np.bool_), sums)
    return Contributions(float(clusters.mean()), {"word": word}, 1e-12, 48, "difference")


def largest_p(compared: Mapping[str, Contributions]) -> float:
    band = Band(None, compared=compared).held_against(LIMIT)
    return band.estimate("difference").p_above(LIMIT)


def smallest_value(compared: Mapping[str, Contributions]) -> float:
    least = min(compared.values(), key=lambda each: each.value)
    return least.estimate().p_above(LIMIT)


def false_failures(model: str, p_of: Callable[[Mapping[str, Contributions]], float]) -> float:
    noise = np.random.default_rng(7)
    p_values = [
        p_of({str(k): drawn(*true, noise) for k, true in enumerate(MODELS[model])})
        for _ in range(RUNS)
    ]
    return float(np.mean(np.array(p_values) <= ALPHA))


@pytest.mark.parametrize("model", MODELS)
def test_false_failures_are_held_whatever_the_standard_errors(model: str) -> None:
    """A model that is at the limit in one comparison fails at most as often as alpha allows."""
    assert false_failures(model, largest_p) <= ALPHA + CHANCE


def test_the_smallest_value_would_fail_models_too_often() -> None:
    """The comparison with the smallest value may be a well known one that is truly beyond."""
    assert false_failures("one known badly", smallest_value) > 2 * ALPHA


def false_passes(comparisons: int) -> float:
    """How often strict gates pass a model that is at the limit in all of four comparisons."""
    noise = np.random.default_rng(11)
    gate = Gate("injection/x", "injection", "reduction", "difference", LIMIT, "a reason")
    passed = 0
    for _ in range(RUNS):
        compared = {str(k): drawn(*true, noise) for k, true in enumerate(MODELS["all alike"])}
        estimate = Band(None, compared=compared).held_against(LIMIT).estimate("difference")
        check = Check(gate, estimate, comparisons=comparisons)
        passed += judge([check], ALPHA, strict=True)[0].verdict is Verdict.PASS
    return passed / RUNS


def test_strict_passes_pay_for_the_choice() -> None:
    """One of four within the limit is found by chance four times as often as in one."""
    assert false_passes(len(MODELS["all alike"])) <= ALPHA + CHANCE
    assert false_passes(1) > 3 * ALPHA


def test_the_decisive_comparison_hangs_on_the_limit() -> None:
    """Near the limit the badly known comparison decides, far beyond it the smallest one."""
    noise = np.random.default_rng(1)
    compared = {"well": drawn(0.3, 0.02, noise), "badly": drawn(0.5, 0.2, noise)}
    band = Band(None, compared=compared)
    assert band.held_against(LIMIT).decisive == "badly"
    assert band.held_against(0.45).decisive == "well"
    assert band.held_against(LIMIT).contributions is compared["badly"]


def test_a_statistic_without_comparisons_is_left_as_it_is() -> None:
    """Assays that measure one thing have nothing to choose."""
    band = Band(drawn(0.3, 0.1, np.random.default_rng(0)))
    assert band.held_against(LIMIT) is band


def test_prompts_of_a_paired_difference_count_once() -> None:
    """Two values on the same prompts rest on these prompts; on others, on all of them."""
    noise = np.random.default_rng(0)
    one, other = (drawn(value, 0.1, noise) for value in (0.3, 0.1))
    assert one.minus(other, paired=True).n == 48
    assert one.minus(other).n == 96
