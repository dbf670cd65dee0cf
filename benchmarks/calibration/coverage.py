"""Coverage of the uncertainty estimators when words and wordings are few.

    python -m benchmarks.calibration.coverage [--runs 10000]

Simulates generated answers over positive x negative words x wordings x 4 order cells, of which
a design asks a balanced fraction, with random effects of each, and counts how often the truth lies
outside the bounds. One row per design, spread and estimator; the shipped one is checked against
`blindspot.estimates` on the same data.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration.design import Design
from blindspot.estimates import Clusters, association_effects

Array = NDArray[np.float64]
#: Positive words, negative words, wordings, and in how many of them each pair is asked.
DESIGNS = ((5, 7, 12, 12), (7, 9, 12, 12), (9, 12, 24, 2))
DEEP = 5e-4  # one-sided: where Holm puts the smallest of 50 gates on categories (0.025 / 50)
BATCH = 250


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the random effects, in effect units: 0.08 is 4 points of share."""

    name: str
    positive: float = 0.0
    negative: float = 0.0
    wording: float = 0.0
    crossed: float = 0.0  # of each of the three two-way interactions
    skewed: bool = False
    logistic: float = 0.0  # centre in logits; 0 = linear around an effect of 0.1
    missing: float = 0.0  # share unanswered, uneven over wordings and orders


SPREADS = (
    Spread("independent answers"),
    Spread("4 points each", 0.08, 0.08, 0.08),
    Spread("4 points each, crossed too", 0.08, 0.08, 0.08, 0.05),
    Spread("4 points each, 30 % missing", 0.08, 0.08, 0.08, missing=0.3),
    Spread("15 points of wording", wording=0.3),
    Spread("10 points of positive word", positive=0.2),
    Spread("10 points of positive word, skewed", positive=0.2, skewed=True),
    Spread("97 % stereotyped", 0.7, 0.7, 0.7, logistic=4.0),
)


def simulate(
    spread: Spread, design: tuple[int, int, int, int], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Answers (run, positive, negative, wording, cell) in -1, 1, NaN, and the truth (scalar)."""
    p, n, w, per_pair = design

    def effect(size: float, *shape: int) -> Array:
        if spread.skewed:
            return size * (rng.exponential(size=(BATCH, *shape)) - 1.0)
        return size * rng.standard_normal((BATCH, *shape))

    latent = effect(spread.positive, p, 1, 1, 1) + effect(spread.negative, 1, n, 1, 1)
    latent = latent + effect(spread.wording, 1, 1, w, 1)
    for shape in ((p, n, 1, 1), (p, 1, w, 1), (1, n, w, 1)):
        latent = latent + effect(spread.crossed, *shape)
    order = np.array([0.2, -0.2, -0.2, 0.2])
    if spread.logistic:
        share = 1 / (1 + np.exp(-(spread.logistic + latent + order)))
        draws = spread.logistic + np.sqrt(3) * spread.positive * rng.standard_normal(400_000)
        truth = np.mean([(2 / (1 + np.exp(-(draws + o))) - 1).mean() for o in order])
    else:
        share, truth = np.clip((1.1 + latent + order) / 2, 0, 1), np.float64(0.1)
    prompts = (BATCH, p, n, w, 4)
    values = np.where(rng.random(prompts) < share, 1.0, -1.0)
    if spread.missing:
        uneven = spread.missing * rng.uniform(0, 2, (BATCH, 1, 1, w, 4))
        values[rng.random(prompts) < uneven] = np.nan
    codes = Design.made(p, n, w, per_pair).codes
    asked = np.zeros((p, n, w), np.bool_)
    asked[tuple(codes.values())] = True
    values[:, ~asked] = np.nan
    return values, np.array(truth)


def estimators(values: Array) -> tuple[Array, dict[str, tuple[Array, Array]]]:
    """The stereotype effect (run,) and, per estimator, its variance and degrees of freedom."""
    _, p, n, w, _ = values.shape
    answered = ~np.isnan(values)
    filled = answered.sum((1, 2, 3))
    means = np.nansum(values, (1, 2, 3)) / filled
    weight = 1.0 / (4 * filled[:, None, None, None, :])
    blocks = np.where(answered, values - means[:, None, None, None, :], 0.0) * weight
    blocks = blocks.sum(4)
    factor = {"p": (blocks.sum((2, 3)), p), "n": (blocks.sum((1, 3)), n)}
    factor["w"] = (blocks.sum((1, 2)), w)

    def robust(part: Array, count: int) -> Array:
        total: Array = np.square(part).reshape(len(part), -1).sum(axis=1)
        return total * (count / (count - 1))

    one = {key: robust(part, count) for key, (part, count) in factor.items()}
    total = sum(one.values(), np.zeros(len(values)))
    largest = np.max(list(one.values()), axis=0)
    pairs = (blocks.sum(3), p * n), (blocks.sum(2), p * w), (blocks.sum(1), n * w)
    excluded = total - sum(robust(*pair) for pair in pairs) + robust(blocks, p * n * w)
    up, un, uw = (part for part, _ in factor.values())
    interactions = np.zeros(len(values))
    for part, rows, columns, (a, b) in (
        (pairs[0][0], up, un, (p, n)),
        (pairs[1][0], up, uw, (p, w)),
        (pairs[2][0], un, uw, (n, w)),
    ):
        rest = part - rows[:, :, None] / b - columns[:, None, :] / a
        interactions += np.square(rest).sum((1, 2)) * a * b / ((a - 1) * (b - 1))
    anova = np.maximum(total - interactions, largest)  # less the small three-way term
    free = {key: count - 1.0 for key, (_, count) in factor.items()}
    mean_free = sum(one[key] * free[key] for key in one) / total
    satterthwaite = total**2 / sum(one[key] ** 2 / free[key] for key in one)
    least = np.full(len(values), min(free.values()))
    floor = np.square(0.5 / (filled + 1.0)).sum(1)
    widened = np.maximum(total, floor)
    cap = np.maximum(answered.sum((1, 2, 3, 4)) / 2, mean_free)
    shipped = np.where(
        total < floor, np.minimum(mean_free * (widened / total) ** 2, cap), mean_free
    )
    everything = np.square(blocks).reshape(len(values), -1).sum(1)
    return means.mean(1), {
        "prompts independent": (everything, np.full(len(values), 1e6)),
        "inclusion-exclusion, fewest - 1": (np.maximum(excluded, largest), least),
        "ANOVA, fewest - 1": (anova, least),
        "sum, fewest - 1": (total, least),
        "sum, Satterthwaite": (total, satterthwaite),
        "sum, mean df (shipped)": (widened, shipped),
    }


def check_shipped(values: Array, variance: Array, free: Array) -> None:
    """The vectorised formula above is the package's."""
    p, n, w = values.shape[1:4]
    grid = np.indices((p, n, w, 4)).reshape(4, -1)
    clusters = Clusters.encode({"positive": grid[0], "negative": grid[1], "wording": grid[2]})
    for run in range(3):
        effect = association_effects(
            values[run].ravel(),
            positive_identifier_first=grid[3] // 2,
            positive_word_first=grid[3] % 2,
            clusters=clusters,
        ).stereotype
        np.testing.assert_allclose(effect.standard_error**2, variance[run], rtol=1e-9)
        np.testing.assert_allclose(effect.df, free[run], rtol=1e-9)


def single_pairs(runs: int) -> None:
    """The same for one word pair: 12 wordings x 4 cells, wordings are the only clusters."""
    grid = np.indices((12, 4)).reshape(2, -1)
    clusters = Clusters.encode({"wording": grid[0]})
    for name, centre, spread in (
        ("independent answers", 0.2, 0.0),
        ("15 points of wording", 0.2, 0.6),
        ("97 % stereotyped", 4.0, 0.7),
        ("99.9 % stereotyped", 7.0, 0.0),
    ):
        rng = np.random.default_rng(20_250_601)
        draws = 1 / (1 + np.exp(-(centre + spread * rng.standard_normal(1_000_000))))
        truth = 2 * draws.mean() - 1
        hits = np.zeros(3)
        halves = []
        for _ in range(runs):
            share = 1 / (1 + np.exp(-(centre + spread * rng.standard_normal((12, 1)))))
            effect = association_effects(
                np.where(rng.random((12, 4)) < share, 1.0, -1.0).ravel(),
                positive_identifier_first=grid[1] // 2,
                positive_word_first=grid[1] % 2,
                clusters=clusters,
            ).stereotype
            low, high = effect.interval()
            hits += (low <= truth <= high, effect.lower(0.05) > truth, effect.lower(DEEP) > truth)
            halves.append(effect.value - effect.lower(DEEP))
        cover, alarm, deep = hits / runs
        print(
            f"1 x 1  {name:36} {'wordings, floor (shipped)':34} {cover:6.3f}  {alarm:7.3f}  "
            f"{deep / DEEP:12.1f}  {'':5}  {np.median(halves):15.3f}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    print(
        "words      spread                               estimator                         ", end=""
    )
    print("cover95  alarm5%  deep/nominal  se/sd  deep half-width")
    for design in DESIGNS:
        for spread in SPREADS:
            rng = np.random.default_rng(20_250_601)
            value, truths = [], []
            found: dict[str, list[Array]] = {}
            for batch in range(max(1, runs // BATCH)):
                data, truth = simulate(spread, design, rng)
                effect, estimates = estimators(data)
                if batch == 0:
                    check_shipped(data, *estimates["sum, mean df (shipped)"])
                value.append(effect)
                truths.append(truth)
                for name, estimate in estimates.items():
                    found.setdefault(name, []).append(np.stack(estimate))
            effects, centre = np.concatenate(value), float(np.mean(truths))
            for name, parts in found.items():
                variance, free = np.concatenate(parts, axis=1)
                error = np.sqrt(variance)
                t = (effects - centre) / error
                cover = np.mean(np.abs(t) <= stats.t.ppf(0.975, free))
                alarm = np.mean(t > stats.t.ppf(0.95, free))
                deep = np.mean(t > stats.t.ppf(1 - DEEP, free)) / DEEP
                half = np.median(error * stats.t.ppf(1 - DEEP, free))
                ratio = np.sqrt(variance.mean()) / effects.std()
                print(
                    f"{design[0]} x {design[1]:2}  {spread.name:36} {name:34} {cover:6.3f}  "
                    f"{alarm:7.3f}  {deep:12.1f}  {ratio:5.2f}  {half:15.3f}"
                )
    single_pairs(runs)


if __name__ == "__main__":
    main()
