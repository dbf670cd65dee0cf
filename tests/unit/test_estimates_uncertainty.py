"""Standard errors, bounds and p-values, with few clusters and with none that vary."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.estimates import Accepted, Clusters, Estimate, association_effects, change_from


def estimate(value: float = 0.3, error: float = 0.1, **parts: float) -> Estimate:
    """An effect with some defaults."""
    df = parts.get("df", 11.0)
    return Estimate(value, error, 48, 12, df, "effect")


def crossed(*shape: int) -> dict[str, np.ndarray]:
    """Labels of positive x negative x wording x 4 cells, flattened."""
    grid = np.indices((*shape, 4)).reshape(4, -1)
    return {"positive": grid[0], "negative": grid[1], "wording": grid[2], "cell": grid[3]}


def stereotype(values: np.ndarray, labels: dict[str, np.ndarray], **more: np.ndarray) -> Estimate:
    """The stereotype effect of a crossed table."""
    factors = {name: column for name, column in labels.items() if name != "cell"} | more
    return association_effects(
        values,
        positive_identifier_first=labels["cell"] // 2,
        positive_word_first=labels["cell"] % 2,
        clusters=Clusters.encode(factors),
    ).stereotype


def test_one_pair_has_the_textbook_interval_of_its_wordings() -> None:
    """With a single pair, wordings are the only clusters: the t interval of 12 wording means."""
    from scipy import stats

    labels = crossed(1, 1, 12)
    values = np.random.default_rng(1).uniform(-1, 1, 48)
    result = stereotype(values, labels)
    means = values.reshape(12, 4).mean(1)
    assert result.value == pytest.approx(means.mean())
    assert result.standard_error == pytest.approx(stats.sem(means))
    assert (result.clusters, result.df) == (12, 11)
    assert result.interval() == pytest.approx(
        stats.t.interval(0.95, 11, means.mean(), stats.sem(means))
    )


def test_crossed_factors_add_their_variances() -> None:
    """In a balanced table the variance is the sum of those of the means of each factor."""
    from scipy import stats

    labels = crossed(5, 7, 12)
    values = np.random.default_rng(2).uniform(-1, 1, 5 * 7 * 12 * 4)
    result = stereotype(values, labels)
    table = values.reshape(5, 7, 12, 4)
    errors = [stats.sem(table.mean(axis)) for axis in ((1, 2, 3), (0, 2, 3), (0, 1, 3))]
    assert result.standard_error == pytest.approx(math.sqrt(sum(e**2 for e in errors)))
    weights = np.square(errors)
    assert result.df == pytest.approx(float(weights @ (4, 6, 11) / weights.sum()))
    assert result.clusters == 5


def test_uneven_cells_weigh_as_the_jackknife_says() -> None:
    """With answers missing in one order, the error is that of leaving out one wording at a time."""
    rng = np.random.default_rng(6)
    labels = crossed(1, 1, 60)
    values = rng.choice([-1.0, 1.0], labels["cell"].size)
    values[(labels["cell"] == 1) & (labels["wording"] % 4 > 0)] = np.nan
    left = [
        stereotype(np.where(labels["wording"] == wording, np.nan, values), labels).value
        for wording in range(60)
    ]
    jackknife = math.sqrt(59 / 60 * np.square(np.array(left) - np.mean(left)).sum())
    assert stereotype(values, labels).standard_error == pytest.approx(jackknife, rel=0.05)


def test_a_factor_inside_another_does_not_count_twice() -> None:
    """Identifiers that change with the wording, or a finer factor, leave the error as it was."""
    labels = crossed(3, 4, 6)
    values = np.random.default_rng(3).uniform(-1, 1, labels["cell"].size)
    plain = stereotype(values, labels)
    assert stereotype(values, labels, identifiers=labels["wording"]) == plain
    finer = labels["wording"] * 10 + labels["positive"]
    assert stereotype(values, labels, wording_and_word=finer) == plain


def test_a_coarser_factor_takes_the_place_of_the_finer_one() -> None:
    """Wordings that come in two families are two clusters, not six."""
    labels = crossed(1, 1, 6)
    values = np.random.default_rng(4).uniform(-1, 1, labels["cell"].size)
    assert stereotype(values, labels, family=labels["wording"] % 2).clusters == 2


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_identical_answers_leave_an_interval(value: float) -> None:
    """48 equal answers: the bound is close to, and not beyond, that of the exact binomial."""
    result = stereotype(np.full(48, value), crossed(1, 1, 12))
    exact = 2 * 0.05 ** (1 / 48) - 1
    bound = result.lower(0.05) if value > 0 else -result.upper(0.05)
    assert exact - 0.02 < bound <= exact


def test_identical_answers_of_one_pair_can_fail_a_gate_among_thousands() -> None:
    """A pair that always stereotypes is told from 75 % even at 1 in 100,000."""
    result = stereotype(np.ones(48), crossed(1, 1, 12))
    assert 0.75**48 / 3 < result.p_above(0.5) < 1e-5


def test_the_floor_joins_the_measured_variance_without_a_step() -> None:
    """As wordings begin to differ, error and df go smoothly from the floor to the clusters."""
    labels = crossed(1, 1, 12)
    tilt = np.where(labels["wording"] % 2 == 0, 1.0, -1.0)
    results = [stereotype(size * tilt, labels) for size in np.linspace(0, 0.5, 400)]
    errors = [result.standard_error for result in results]
    frees = [result.df for result in results]
    assert errors[0] == pytest.approx(1 / 13)
    assert frees[0] == 24
    assert frees[-1] == pytest.approx(11)
    assert np.all(np.diff(errors) >= -1e-15)
    assert np.all(np.diff(frees) <= 1e-9)
    assert np.max(np.abs(np.diff(errors))) < 0.001
    assert np.max(np.abs(np.diff(frees))) < 0.6


def test_few_answers_in_a_cell_widen_the_interval() -> None:
    """A cell with a single answer does not pass for known."""
    labels = crossed(1, 1, 12)
    values = np.where((labels["cell"] == 0) & (labels["wording"] > 0), np.nan, 1.0)
    assert stereotype(values, labels).standard_error > 0.25


@given(
    value=st.floats(-1, 1),
    error=st.floats(1e-6, 1),
    df=st.floats(1, 500),
    limit=st.floats(-1, 0.99),
    alpha=st.floats(1e-6, 0.4),
)
def test_p_value_and_bound_agree(
    value: float, error: float, df: float, limit: float, alpha: float
) -> None:
    """The lower bound is above a limit exactly when the p-value is below alpha."""
    result = estimate(value, error, df=df)
    p = result.p_above(limit)
    if abs(p - alpha) > 1e-6 and abs(result.lower(alpha) - limit) > 1e-9:
        assert (result.lower(alpha) > limit) == (p < alpha)
    assert p + result.p_below(limit) == pytest.approx(1.0)
    assert estimate(-value, error, df=df).p_below(-limit) == pytest.approx(p)


def test_bounds_are_clipped_to_what_the_unit_allows() -> None:
    """No bound says that more than everything is stereotyped; nats have no end."""
    assert estimate(0.9, 0.3).interval()[1] == 1.0
    assert Estimate(0.9, 0.3, 48, 12, 11.0, "nats").interval()[1] > 1.0


def test_unmeasured_has_no_number() -> None:
    """Bounds and p-values of nothing are NaN, never 0."""
    nothing = Estimate.unmeasured("no prompts", unit="effect")
    numbers = (nothing.value, *nothing.interval(), nothing.lower(0.05), nothing.p_above(0.2))
    assert all(math.isnan(number) for number in numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        (math.nan, 0.1, 11.0, ""),
        (0.1, math.inf, 11.0, ""),
        (0.1, 0.0, 11.0, ""),
        (0.1, 0.1, 0.0, ""),
        (0.0, 0.1, 11.0, "no prompts"),
    ],
)
def test_half_an_estimate_cannot_be_made(numbers: tuple[float, float, float, str]) -> None:
    """A value without an error, or a reason beside a value, is a mistake of ours."""
    value, error, df, reason = numbers
    with pytest.raises(ValueError, match="estimate"):
        Estimate(value, error, 48, 12, df, "effect", reason)


def test_change_from_a_baseline_is_welch() -> None:
    """Unpaired: variances add, degrees of freedom are Welch's."""
    change = change_from(estimate(0.4, 0.03, df=11), Accepted(0.3, 0.04, 48, df=5))
    assert change.value == pytest.approx(0.1)
    assert change.standard_error == pytest.approx(0.05)
    assert change.df == pytest.approx(0.05**4 / (0.03**4 / 11 + 0.04**4 / 5))


@pytest.mark.parametrize("value", [(math.nan, 0.1), (0.1, math.nan), (0.1, -1.0)])
def test_change_from_an_empty_baseline_is_unmeasured(value: tuple[float, float]) -> None:
    """A baseline without a number compares with nothing."""
    change = change_from(estimate(), Accepted(*value, 48))
    assert change.reason == "the baseline holds no value for it"


@pytest.mark.parametrize("design", [(5, 7, 12), (1, 1, 12)], ids=["category", "pair"])
def test_coverage_with_words_and_wordings_that_differ(design: tuple[int, int, int]) -> None:
    """With 4 points between words and wordings, 95 % intervals hold the truth at least as often."""
    rng = np.random.default_rng(20_250_601)
    labels, truth, runs, hits, alarms = crossed(*design), 0.1, 400, 0, 0
    for _ in range(runs):
        effects = [rng.normal(0, 0.08, size) for size in design]
        if design[0] == 1:
            effects[:2] = [np.zeros(1), np.zeros(1)]
        names = ("positive", "negative", "wording")
        latent = sum(effect[labels[name]] for effect, name in zip(effects, names, strict=True))
        order = np.where(np.isin(labels["cell"], (0, 3)), 0.3, -0.3)
        share = (1 + truth + latent + order) / 2
        result = stereotype(np.where(rng.random(share.size) < share, 1.0, -1.0), labels)
        low, high = result.interval()
        hits += low <= truth <= high
        alarms += result.lower(0.05) > truth
    # 400 runs: a true 95 % shows 0.928 to 0.972, a true 5 % at most 0.072, in 19 of 20 seeds.
    assert hits / runs >= 0.928
    assert alarms / runs <= 0.072
