"""Positions between two controls, and the chance that two kinds of things part so far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindspot.measurements import permutation
from blindspot.measurements.permutation import chance, least_chance
from blindspot.measurements.scale import FARTHEST, Scale

KINDS = pytest.mark.parametrize("curved", [False, True], ids=["straight", "curved"])


def between(low: float, high: float, *, curved: bool, least: float = 0.5) -> Scale:
    return Scale.between(np.array([[low]]), np.array([[high]]), least=least, curved=curved)


def position(scale: Scale, reading: float) -> float:
    return float(scale.positions(np.array([[[reading]]]))[0, 0, 0])


@KINDS
@given(low=st.floats(-20, 20), apart=st.floats(0.5, 30), share=st.floats(0, 1))
def test_controls_are_the_ends(curved: bool, low: float, apart: float, share: float) -> None:
    """The low control is at -1, the high one at +1, their middle at 0, and order is kept."""
    scale = between(low, low + apart, curved=curved, least=0.25)
    assert position(scale, low) == pytest.approx(-1.0, abs=1e-6)
    assert position(scale, low + apart) == pytest.approx(1.0, abs=1e-6)
    assert position(scale, low + apart / 2) == pytest.approx(0.0, abs=1e-6)
    inside = position(scale, low + share * apart)
    assert -1.0 - 1e-6 <= inside <= 1.0 + 1e-6
    assert position(scale, low + apart - share * apart) == pytest.approx(-inside, abs=1e-6)


def test_straight_positions_are_proportions_and_curved_ones_of_probabilities() -> None:
    """Between 4 nats on either side, 3 nats are three quarters of the way, or all but certain."""
    assert position(between(-4.0, 4.0, curved=False), 3.0) == pytest.approx(0.75)
    sure = np.tanh(1.5) / np.tanh(2.0)
    assert position(between(-4.0, 4.0, curved=True), 3.0) == pytest.approx(sure)
    assert sure > 0.9


@KINDS
def test_a_preference_of_the_question_cancels(curved: bool) -> None:
    """Readings and controls that are all moved by the same have the same positions."""
    plain, moved = between(-2.0, 3.0, curved=curved), between(5.0, 10.0, curved=curved)
    assert position(plain, 1.0) == pytest.approx(position(moved, 8.0))


@KINDS
def test_positions_are_cut_off(curved: bool) -> None:
    """However far out a reading lies, it counts as `FARTHEST`."""
    scale = between(-0.25, 0.25, curved=curved)
    assert position(scale, 100.0) == FARTHEST
    assert position(scale, -100.0) == -FARTHEST


@KINDS
@pytest.mark.parametrize("ends", [(0.0, 0.4), (1.0, -1.0), (0.0, np.nan)])
def test_controls_too_close_are_no_scale(curved: bool, ends: tuple[float, float]) -> None:
    """Too close, the wrong way round or unknown: no position, no slope, and no warning."""
    scale = between(*ends, curved=curved)
    assert not scale.usable.any()
    assert np.isnan(position(scale, 0.1))
    assert all(not slope.any() for slope in scale.slopes(np.array([[[0.1]]])))


@KINDS
@given(
    low=st.floats(-6, 6),
    apart=st.floats(1, 12),
    readings=st.lists(st.floats(-12, 12), min_size=1, max_size=5),
)
def test_slopes_are_those_of_mean_positions(
    curved: bool, low: float, apart: float, readings: list[float]
) -> None:
    """Moving a control a little moves the mean position by its slope times as much."""
    values, step = np.array(readings)[:, None, None], 1e-5
    high = low + apart
    places = between(low, high, curved=curved).positions(values)
    if (np.abs(np.abs(places) - FARTHEST) < 1e-3).any():
        return  # at the edge itself there is no slope
    slopes = between(low, high, curved=curved).slopes(values)
    for slope, (down, up) in zip(slopes, ((step, 0.0), (0.0, step)), strict=True):
        after = between(low + down, high + up, curved=curved).positions(values).mean()
        before = between(low - down, high - up, curved=curved).positions(values).mean()
        assert float(slope[0, 0]) == pytest.approx((after - before) / (2 * step), abs=1e-4)


def test_readings_that_are_missing_have_no_position_and_no_weight() -> None:
    """NaN stays NaN, and the slopes are those of the others."""
    scale = between(-1.0, 1.0, curved=False)
    values = np.array([[[0.5]], [[np.nan]]])
    assert np.isnan(scale.positions(values)[1, 0, 0])
    for some, alone in zip(scale.slopes(values), scale.slopes(values[:1]), strict=True):
        assert some == pytest.approx(alone)


def test_a_scale_of_unlike_controls_is_a_mistake() -> None:
    """Shapes that differ, and a minimum that is none, are refused with the numbers."""
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        Scale.between(np.zeros((2, 3)), np.zeros((3, 2)), least=1.0, curved=False)
    with pytest.raises(ValueError, match="0"):
        Scale.between(np.zeros((2, 3)), np.ones((2, 3)), least=0.0, curved=False)


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_a_clear_split_is_one_exchange_of_all() -> None:
    """Of the 20 ways to call three of six things theirs, only the true one parts them so far."""
    ours, theirs = column(0.0, 0.1, 0.2), column(5.0, 5.1, 5.2)
    assert chance(ours, theirs) == pytest.approx([1 / 20])
    assert chance(theirs, ours) == pytest.approx([1.0])
    assert least_chance(3, 3) == 1 / 20


def test_columns_that_cannot_part_by_the_least_are_not_tried() -> None:
    """A column whose spread allows no difference of 1 has no chance and costs the others none."""
    rng = np.random.default_rng(0)
    ours, theirs = column(0.0, 1.0, 2.0), column(3.0, 4.0, 5.0)
    still = rng.uniform(0.0, 0.4, (3, 40)), rng.uniform(0.0, 0.4, (3, 40))
    among = [np.hstack([one, other]) for one, other in zip((ours, theirs), still, strict=True)]
    found = chance(*among, least=1.0)
    assert found[0] == 1 / 20
    assert (found[1:] == 1.0).all()
    assert chance(*among)[0] > 1 / 20


@pytest.mark.parametrize(("ours", "theirs"), [(3, 3), (7, 3), (2, 9)])
def test_a_difference_of_the_least_is_tried(ours: int, theirs: int) -> None:
    """Whatever the numbers of things, a column that just parts them by the least counts."""
    low, high = np.zeros((ours, 1)), np.full((theirs, 1), 1.0)
    assert chance(low, high, least=0.999)[0] < 1.0
    assert chance(low, high, least=1.001)[0] == 1.0


def test_the_units_of_a_column_do_not_matter() -> None:
    """A column in other units, or moved, has the same chance and leaves the others theirs."""
    rng = np.random.default_rng(1)
    ours, theirs = rng.standard_normal((5, 3)), 1.5 + rng.standard_normal((4, 3))
    scale, shift = np.array([1.0, 100.0, 0.01]), np.array([0.0, 7.0, -3.0])
    moved = chance(ours * scale + shift, theirs * scale + shift)
    assert moved == pytest.approx(chance(ours, theirs))


def test_many_columns_share_the_error() -> None:
    """A column among others is never surer than alone; copies of one are as sure as one."""
    rng = np.random.default_rng(2)
    ours, theirs = rng.standard_normal((6, 8)), 1.0 + rng.standard_normal((6, 8))
    alone = np.array([chance(ours[:, [at]], theirs[:, [at]])[0] for at in range(8)])
    assert (chance(ours, theirs) >= alone - 1e-12).all()
    copies = chance(np.repeat(ours[:, :1], 8, axis=1), np.repeat(theirs[:, :1], 8, axis=1))
    assert copies == pytest.approx(np.repeat(alone[:1], 8))


@pytest.mark.parametrize(("ours", "theirs"), [(7, 7), (7, 3), (3, 3), (12, 12)])
def test_false_alarms_are_as_rare_as_they_are_called(ours: int, theirs: int) -> None:
    """Among things of one kind any of ten columns is called different at 5 % in 5 % of cases.

    Also where columns are alike, as layers are, and where exchanges are drawn.
    """
    rng, alarms, runs = np.random.default_rng(3), 0, 400
    for _ in range(runs):
        base = rng.standard_normal((ours + theirs, 1))
        values = base + 0.7 * rng.standard_normal((ours + theirs, 10))
        alarms += bool((chance(values[:ours], values[ours:]) <= 0.05).any())
    assert 0.02 < alarms / runs < 0.08


def test_exchanges_are_drawn_where_there_are_too_many() -> None:
    """Of 2.7 million exchanges so many are drawn, the truth among them, and always the same."""
    rng = np.random.default_rng(4)
    ours, theirs = rng.standard_normal((12, 2)), 9.0 + rng.standard_normal((12, 2))
    assert chance(ours, theirs) == pytest.approx([1 / permutation.MOST] * 2)
    middling = 0.5 + rng.standard_normal((12, 2))
    assert chance(ours, middling) == pytest.approx(chance(ours, middling), abs=0)
    assert least_chance(12, 12) == 1 / permutation.MOST


def test_columns_without_spread_or_number_part_nothing() -> None:
    """All alike, or NaN anywhere: chance is 1, and other columns keep theirs."""
    ours, theirs = column(0.0, 0.1, 0.2), column(5.0, 5.1, 5.2)
    flat, broken = np.full((3, 1), 2.0), column(0.0, np.nan, 0.0)
    found = chance(np.hstack([flat, ours, broken]), np.hstack([flat, theirs, theirs]))
    assert found == pytest.approx([1.0, 1 / 20, 1.0])


def test_nothing_is_told_of_nothing() -> None:
    """Without things of one kind chance is 1; other columns on either side are a mistake."""
    assert chance(np.zeros((0, 2)), np.zeros((3, 2))) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match="same columns"):
        chance(np.zeros((3, 2)), np.zeros((3, 4)))
