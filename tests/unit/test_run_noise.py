"""The noise floor: what a model differs from itself by when it is asked again."""

import math
from dataclasses import replace

import numpy as np
import pytest

from blindspot.estimates import Contributions
from blindspot.estimates.noise import Noise
from blindspot.measurements.base import BANDS, LATE, OVERALL
from blindspot.measurements.mechanistic import Assayed, Band
from blindspot.measurements.registry import assays_of
from blindspot.models.server import Server
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.findings import units_of
from blindspot.run.noise import (
    PER_SLICE,
    NoiseFloor,
    chosen,
    looked_again,
    noise_floor,
    spread_of,
)
from blindspot.run.observations import Observations, read
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Slice, load_stimuli

SOURCE = FixturePrompts(load_stimuli(()))
IMPLICIT = Slice("implicit", "race", "default", "weapons")
EXPLICIT = Slice("explicit", "race", "default", "weapons")
WANTED = {part: list(SOURCE.prompts(part)) for part in (IMPLICIT, EXPLICIT)}


def answer(prompt, choice=0, odds=1.0):
    """The answer that names a candidate, by so many nats."""
    scores = [-odds] * len(prompt.candidates)
    scores[choice] = 0.0
    return Answer(f" {prompt.candidates[choice]}", True, 1.0, tuple(scores))


TABLES = {
    part: Observations(part, [read(prompt, answer(prompt)) for prompt in prompts])
    for part, prompts in WANTED.items()
}
PLACES = chosen(WANTED)


def asked_again(change):
    """The floor where the second answers are those of ``change`` (number, prompt)."""
    prompts = [WANTED[part][place] for part, places in PLACES.items() for place in places]
    answers = [change(number, prompt) for number, prompt in enumerate(prompts)]
    return noise_floor(TABLES, PLACES, answers)


def case(measurement, statistic, reading="generated"):
    """A gate on the category."""
    part = IMPLICIT if measurement != "explicit" else EXPLICIT
    return Case(measurement, part, statistic, reading, "category")


def test_few_prompts_are_asked_again_in_all_orders():
    """A fixed number of each slice, spread over it, each pair in all four orders."""
    for part, places in PLACES.items():
        assert len(places) == len(set(places)) == PER_SLICE
        prompts = [WANTED[part][place] for place in places]
        orders = [prompt.order for prompt in prompts]
        assert {orders.count(order) for order in orders} == {PER_SLICE // 4}
        assert len({prompt.wording for prompt in prompts}) >= 8


def test_a_model_that_answers_the_same_has_no_floor():
    """Equal answers add nothing to any margin."""
    floor = asked_again(lambda _, prompt: answer(prompt))
    assert floor.prompts == 2 * PER_SLICE
    for measurement, statistic in (
        ("implicit", "stereotype"),
        ("explicit", "bias"),
        ("gap", "gap"),
    ):
        for reading in ("generated", "forced-choice"):
            assert floor.of(case(measurement, statistic, reading), 1680) == 0.0
    assert floor.of(case("implicit", "validity"), 1680) == 0.0


def test_flips_either_way_average_out_over_the_prompts_of_a_gate():
    """One answer in eight flips, as often to one side as to the other in the long run."""
    flipping = asked_again(lambda number, prompt: answer(prompt, 1 if number % 8 == 0 else 0))
    one = case("implicit", "stereotype")
    every = len(WANTED[IMPLICIT])
    large, small = flipping.of(one, every), flipping.of(one, 48)
    assert 0.0 < large < small
    assert flipping.of(case("gap", "gap"), every) == pytest.approx(
        large + flipping.of(case("explicit", "bias"), every)
    )
    assert flipping.as_record()["rows"][0]["floor"] == pytest.approx(large)


def test_a_shift_in_one_direction_counts_in_full():
    """A model that leans further when it is asked again: no number of prompts averages that out."""
    shifted = asked_again(lambda _, prompt: answer(prompt, odds=1.5))
    moved = math.tanh(0.75) - math.tanh(0.5)
    floor = shifted.of(case("implicit", "stereotype", "forced-choice"), 10**9)
    assert floor == pytest.approx(moved * (1 - 1.645 / math.sqrt(PER_SLICE)), rel=1e-3)


def assayed(part, *values):
    """What an assay says of a slice: a figure for each band, None where nothing is readable."""
    bands = {
        ("same-layer", band): Band(None, "unreadable")
        if value is None
        else Band(Contributions(value, {}, 0.0, 24, "position"))
        for band, value in zip(BANDS, values, strict=False)
    }
    return Assayed(part, bands)


def test_the_first_slice_is_looked_into_again_with_all_that_shares_its_work():
    """A share of the assays; of probing, whose categories share it, a variant."""
    assays = assays_of(SOURCE.stimuli)
    for measurement, categories in (
        ("patching", 1),
        ("probing", 3),
        ("interpretation", 1),
        ("injection", 1),
    ):
        axis = SOURCE.stimuli.axes["race"]
        parts = [
            Slice(measurement, "race", variant, category)
            for variant in ("default", "uppercase")
            for category in axis.categories
        ]
        looked = looked_again(assays, parts)
        assert looked == parts[:categories]
        assert len(units_of(assays, looked)) < len(units_of(assays, parts))


def test_the_largest_difference_inside_is_the_floor():
    """Of all bands and categories that are readable both times, for this and other variants."""
    first, other = (Slice("patching", "race", "default", one) for one in ("weapons", "guilt"))
    once = {first: assayed(first, 0.5, 0.5, None, 0.1), other: assayed(other, 0.2)}
    again = {first: assayed(first, 0.4, 0.53, 0.9, None), other: assayed(other, 0.21)}
    floor = noise_floor(TABLES, {}, [], once, again)
    elsewhere = Slice("patching", "race", "uppercase", "valence")
    for part, band in ((first, OVERALL), (elsewhere, LATE)):
        judged = Case("patching", part, "blindness", "same-layer", "category", band)
        assert floor.of(judged, 48) == pytest.approx(0.1)
    unmeasured = Case("patching", first, "blindness", "fixed-layer", "category", OVERALL)
    assert math.isnan(floor.of(unmeasured, 48))
    (row,) = floor.as_record()["rows"]
    assert (row["n"], row["floor"]) == (3, pytest.approx(0.1))
    assert row["shift"] == pytest.approx((-0.1 + 0.03 + 0.01) / 3)
    told = NoiseFloor.from_record(floor.as_record())
    assert told.of(judged, 48) == pytest.approx(0.1)


def test_too_few_answers_say_nothing():
    """Below eight prompts answered both times there is no floor, and none is made up."""
    nothing = Noise.between(np.array([1.0, np.nan]), np.array([1.0, 1.0]))
    assert math.isnan(nothing.floor(100))
    with pytest.raises(ValueError, match="same prompts"):
        Noise.between(np.zeros(3), np.zeros(4))


def test_the_floor_of_a_gate_over_variants_is_their_mean():
    """A mean over variants differs from itself by the mean of what they do, not by the sum."""
    noise = {"default": Noise(0.02, 0.02, 0.02, 192), "names": Noise(0.04, 0.04, 0.04, 192)}
    rows = {("implicit", "race", name, "forced-choice"): each for name, each in noise.items()}
    floor = NoiseFloor(rows, 384, {})
    part = Slice("implicit", "race", "pooled", "weapons")
    pooled = Case("implicit", part, "stereotype", "forced-choice", "pooled", "", tuple(noise))
    one, other = (each.floor(3360) for each in noise.values())
    assert floor.of(pooled, 3360) == pytest.approx((one + other) / 2)
    assert one < floor.of(pooled, 3360) < other


def test_floor_of_forced_choice_is_at_least_the_spread_of_a_server():
    """That its handshake found; generated answers have no such floor, and other models none."""
    quiet = asked_again(lambda _, prompt: answer(prompt))
    server = Server("http://h/v1", "", 10, "echo", True, 0.02, 0, 8)
    floor = replace(quiet, least=spread_of(server))
    forced = case("implicit", "stereotype", "forced-choice")
    assert (quiet.of(forced, 100), floor.of(forced, 100)) == (0.0, 0.02)
    assert floor.of(case("implicit", "stereotype"), 100) == 0.0
    assert spread_of(None) == spread_of(replace(server, spread=math.nan)) == 0.0
