"""A candidate beside a reference: paired differences, and how much of the group is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.estimates import Contributions, difference, less_represented, mean_of
from blindspot.estimates.clusters import Clusters, contrasts


def measured(values: np.ndarray, words: np.ndarray) -> Contributions:
    """A position measured on words, two wordings each."""
    labels = {"word": words, "wording": np.arange(values.size) % 2}
    (found,) = contrasts(
        values,
        np.zeros(values.size, np.int64),
        np.ones((1, 1)),
        Clusters.encode(labels),
        names=("any",),
        step=0.01,
        unit="position",
    )
    return found


WORDS = np.repeat(np.arange(12), 2)


def spread(mean: float, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    """Values about a mean, alike within a word."""
    noise = np.random.default_rng(seed).normal(0, scale, 12)
    return mean + np.repeat(noise - noise.mean(), 2)


def test_a_blind_candidate_represents_the_group_less():
    """From wholly represented to hardly: about all of it is lost, and the interval says so."""
    less = less_represented(measured(spread(0.96), WORDS), measured(spread(-0.98, 1), WORDS))
    assert less.value == pytest.approx(1 - 0.02 / 0.99)
    low, high = less.interval()
    assert 0.8 < low < less.value < high < 1.1


def test_half_as_much_is_half():
    """The paper's form: a candidate at 0 beside a reference at -1 is 50 % less likely."""
    less = less_represented(measured(spread(0.0), WORDS), measured(spread(-1.0, 1), WORDS))
    assert less.value == pytest.approx(0.5)
    assert less.unit == "ratio"


def test_delta_method_agrees_with_simulation():
    """The standard error is what repeated samples of words scatter by."""
    rng = np.random.default_rng(3)
    values, errors = [], []
    for _ in range(400):
        ours = measured(np.repeat(0.2 + rng.normal(0, 0.2, 12), 2), WORDS)
        theirs = measured(np.repeat(-0.6 + rng.normal(0, 0.2, 12), 2), WORDS)
        less = less_represented(ours, theirs)
        values.append(less.value)
        errors.append(less.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_no_ratio_to_a_reference_that_does_not_represent_the_group():
    """Beside a reference at the literal end there is nothing to be less of."""
    less = less_represented(measured(spread(0.5), WORDS), measured(spread(0.95, 1), WORDS))
    assert not less.measured
    assert "reference" in less.reason


def test_what_both_share_cancels_in_the_difference():
    """Words that move both models alike leave a certain difference between them."""
    noise = spread(0.0, scale=0.5)
    apart = difference(measured(0.3 + noise, WORDS), measured(noise, WORDS))
    assert apart.value == pytest.approx(0.3)
    assert apart.standard_error < 0.05


@given(means=st.lists(st.floats(-1, 1), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_mean_of_categories_is_their_mean(means, seed):
    """Means over categories with other words: the mean of values, the error of independent ones."""
    parts = [
        measured(spread(mean, seed + place), WORDS + 100 * place)
        for place, mean in enumerate(means)
    ]
    whole = mean_of(parts)
    assert whole.value == pytest.approx(np.mean(means), abs=1e-9)
    assert whole.unit == "position"
    apart = sum(part.factors["word"].variance for part in parts) / len(parts) ** 2
    assert whole.factors["word"].variance <= apart * 1.1 + 1e-12
