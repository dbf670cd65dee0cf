"""Two models on the prompts that both were asked."""

from fractions import Fraction

import numpy as np
import pytest

from blindspot.baselines.scores import Scores, read_scores
from blindspot.estimates import difference
from blindspot.measurements.tables import Rows
from blindspot.run.answer import Answer
from blindspot.run.cases import Case
from blindspot.run.observations import Observations, read
from blindspot.run.overlap import Overlap
from blindspot.run.result import Measures
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import IMPLICIT, Selection, Slice, load_stimuli

STIMULI = load_stimuli()
PART = Slice(IMPLICIT, "race", "default", "weapons")
CASE = Case(IMPLICIT, PART, "stereotype", "forced-choice", "category")
LIMIT = 6


def answered(selection, worse=0.0):
    """A model that answers every prompt by its text, and so much (nats) more by stereotype."""
    rows = []
    for prompt in FixturePrompts(STIMULI, selection).prompts(PART):
        odds = np.random.default_rng(list(prompt.text.encode())).normal() + worse
        rows.append(read(prompt, Answer(prompt.candidates[odds < 0], True, 0.5, (odds, 0.0))))
    return Measures({PART: Observations(PART, rows)})


FULL = answered(Selection(limit=LIMIT))
HALF = answered(Selection(limit=LIMIT, fraction=Fraction(1, 2)))


def test_a_part_is_compared_with_the_same_prompts_of_the_whole():
    """One model asked half and asked everything has no difference on what is common."""
    overlap = Overlap.of(HALF, FULL)
    assert overlap.prompts == overlap.asked(CASE) == HALF.asked(CASE) < FULL.asked(CASE)
    assert not overlap.changed
    change = difference(overlap.ours.contributions(CASE), overlap.theirs.contributions(CASE))
    assert change.value == 0.0
    assert HALF.contributions(CASE).value != FULL.contributions(CASE).value


def test_a_change_is_that_of_the_common_prompts():
    """A model that is worse everywhere is as much worse there, either way round."""
    worse = answered(Selection(limit=LIMIT), worse=1.0)
    alone = answered(Selection(limit=LIMIT, fraction=Fraction(1, 2)), worse=1.0)
    expected = difference(alone.contributions(CASE), HALF.contributions(CASE))
    for one, other, sign in ((worse, HALF, 1.0), (HALF, worse, -1.0)):
        overlap = Overlap.of(one, other)
        found = difference(overlap.ours.contributions(CASE), overlap.theirs.contributions(CASE))
        assert found.value == pytest.approx(sign * expected.value)
        assert found.standard_error == pytest.approx(expected.standard_error)


def test_prompts_that_changed_under_the_same_name_are_noticed(tmp_path):
    """Through the file of a baseline, whatever else is common."""
    path = tmp_path / "scores.npz"
    path.write_bytes(Scores(FULL.slices).packed())
    (kept,) = read_scores(path).tables.values()
    assert not Overlap.of(HALF, Measures({PART: kept})).changed
    kept.digests[:] += 1
    assert Overlap.of(HALF, Measures({PART: kept})).changed == {PART}


def test_models_without_a_common_prompt_share_nothing():
    """Nor does a slice that only one was asked."""
    table, places = FULL.slices[PART], range(len(FULL.slices[PART]))
    halves = [Measures({PART: Rows([(table, places[start::2])])}) for start in (0, 1)]
    assert Overlap.of(*halves).asked(CASE) == 0
    assert Overlap.of(FULL, Measures({})).prompts == 0
