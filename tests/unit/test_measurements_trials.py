"""Trials of the controls: a large model that cannot be read says so soon, others are read."""

from __future__ import annotations

import pytest

from blindspot.measurements.base import OVERALL
from blindspot.measurements.injection.statistic import Injection
from blindspot.measurements.interpretation import Interpretation
from blindspot.measurements.mechanistic import Tried
from blindspot.measurements.patching import SAME_LAYER
from blindspot.measurements.patching.statistic import Patching
from blindspot.measurements.sample import SMALL, sampled, tried
from blindspot.run.findings import assay_all, pack, trials_of, units_of, unpack
from blindspot.stimuli import Slice
from tests.unit.planted_senses import PlantedSenses, stimuli
from tests.unit.test_measurements_injection import ScriptedStream, blind, early

LARGE = 30
ASSAYS = {"patching": (Patching, SAME_LAYER), "interpretation": (Interpretation, "generated")}


def part(name):
    return Slice(name, "race", "default", "weapons")


def looked(assay, stream, name):
    """What a run does: the trials, then what they leave to be done."""
    assays, parts = {name: assay}, [part(name)]
    found = {}
    for unit in trials_of(assays, parts):
        found[unit.content] = unpack(pack(unit.run(stream, progress=lambda _: None)))
    for unit in units_of(assays, parts, found):
        found[unit.content] = unpack(pack(unit.run(stream, progress=lambda _: None)))
    return assay_all(assays, parts, found)[part(name)]


@pytest.mark.parametrize("name", ASSAYS)
def test_a_large_model_that_says_no_sense_is_left_soon(name):
    """The controls do not separate in the trial: unreadable, after a few patches."""
    assay, reading = ASSAYS[name]
    stream = PlantedSenses(part(name), strength=(0.0,) * LARGE, fixed=0.0)
    found = looked(assay(stimuli()), stream, name)
    whole = PlantedSenses(part(name), strength=(4.0,) * LARGE)
    looked(assay(stimuli()), whole, name)
    band = found.bands[reading, OVERALL]
    assert "do not separate" in band.unreadable
    assert "in a trial" in band.unreadable
    assert 0 < 4 * stream.patches < whole.patches
    assert any(curve.name == "controls" for curve in found.curves)


@pytest.mark.parametrize("name", ASSAYS)
@pytest.mark.parametrize(("sense", "position"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_large_model_is_read_in_some_layers(name, sense, position):
    """Those are evenly spread, the ends among them; the other layers are gaps in the curves."""
    assay, reading = ASSAYS[name]
    stream = PlantedSenses(part(name), ambiguous=sense, strength=(4.0,) * LARGE)
    found = looked(assay(stimuli()), stream, name)
    band = found.bands[reading, OVERALL]
    assert band.contributions.value == pytest.approx(position, abs=0.15)
    assert set(band.layers) <= set(sampled(LARGE))
    (curve,) = (one for one in found.curves if (one.name, one.reading) == ("controls", reading))
    read = [layer for layer, value in enumerate(curve.values) if value is not None]
    assert read == sampled(LARGE)


@pytest.mark.parametrize("name", ASSAYS)
def test_small_models_have_no_trial(name):
    """All of their layers are read at once."""
    assay, reading = ASSAYS[name]
    stream = PlantedSenses(part(name), strength=(0.0,) * 6, fixed=0.0)
    assert isinstance(assay(stimuli()), Tried)
    found = looked(assay(stimuli()), stream, name)
    assert "in a trial" not in found.bands[reading, OVERALL].unreadable
    assert sampled(SMALL) == list(range(SMALL))
    assert tried(SMALL) == []


@pytest.mark.parametrize("answers", [False, True])
def test_injection_needs_answers_first(answers):
    """A large model that answers no untouched prompt is asked no other; one that does is."""

    def script(prompt, source, window):
        return blind(prompt, source, window) if answers or early(window) else None

    stream = ScriptedStream(script, layers=LARGE)
    found = looked(Injection(stimuli()), stream, "injection")
    sources = {source for _, source in stream.asked}
    unreadable = found.bands["generated", OVERALL].unreadable
    assert (sources == {"untouched"}) is not answers
    assert unreadable.startswith("answers 0% of the untouched prompts") is not answers
