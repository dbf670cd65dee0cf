"""The calibration study judges by the rule that is shipped, and knows a rise from none."""

import numpy as np
import pytest

from blindspot.estimates import Clusters, association_effects
from tests.unit.suite_runs import ROOT

DESIGN = (3, 4, 5)


@pytest.fixture
def rooms(monkeypatch):
    """The benchmark's modules, as its script finds them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT))
    import calibration_outcomes
    import calibration_power
    import calibration_rule
    import calibration_run
    import calibration_updates

    return (
        calibration_outcomes,
        calibration_power,
        calibration_rule,
        calibration_run,
        calibration_updates,
    )


def effects_of(values):
    """The package's effects of (positive, negative, wording, cell) values."""
    p, n, w, c = (at.ravel() for at in np.indices(values.shape))
    clusters = Clusters.encode({"positive word": p, "negative word": n, "wording": w})
    return association_effects(
        values.ravel(),
        positive_identifier_first=c >= 2,
        positive_word_first=c % 2 == 1,
        clusters=clusters,
    )


def test_the_rule_is_that_of_the_package(rooms):
    """Value, standard error, degrees of freedom and p-value of a paired change are the same."""
    _, _, rule, _, _ = rooms
    rng = np.random.default_rng(3)
    sides = [np.where(rng.random((2, *DESIGN, 4)) < share, 1.0, -1.0) for share in (0.4, 0.7)]
    sides[0][0, 1, 2, 3, 0] = np.nan
    before, after = (rule.contrast(side, rule.STEREOTYPE, 2.0) for side in sides)
    change = after.minus(before)
    error, free = change.spread()
    for place in range(2):
        ours = effects_of(sides[1][place]).contributions
        theirs = effects_of(sides[0][place]).contributions
        estimate = ours.minus(theirs).estimate()
        assert change.value[place] == pytest.approx(estimate.value)
        assert error[place] == pytest.approx(estimate.standard_error)
        assert free[place] == pytest.approx(estimate.df)
        expected = estimate.p_above(0.02)
        assert rule.p_above(change, 0.02)[place] == pytest.approx(expected)


def test_a_rise_is_found_and_none_is_not(rooms):
    """Ten even points fail almost always, nothing never, in a few updates of each."""
    outcomes, power, _, calibration_run, _ = rooms
    run, rng = calibration_run.full_run(), np.random.default_rng(0)
    assert run.families["pooled, baseline"] == 6
    found = {
        increase: power.alarms(
            run,
            outcomes.Level(),
            outcomes.Update(increase, power.measured(max(increase, 1.0), 0.5)),
            (5, 7, 12),
            updates=20,
            rng=rng,
        ).shares["ours"]
        for increase in (0.0, 10.0)
    }
    assert found == {0.0: 0.0, 10.0: 1.0}


def test_a_rise_in_one_variant_is_a_quarter_of_it(rooms):
    """Only the variants within reach of an update change on average."""
    outcomes, power, *_ = rooms
    update = outcomes.Update(10.0, power.measured(10.0), reach=1)
    answers = outcomes.simulate(
        outcomes.Level(), update, (5, 7, 12), updates=30, variants=4, rng=np.random.default_rng(2)
    )
    before, after = answers.parts("forced-choice")
    changed = after.minus(before).value.mean(0)
    assert changed[0] == pytest.approx(0.2, abs=0.02)
    assert changed[1:] == pytest.approx(0.0, abs=0.005)


def test_the_report_speaks_of_the_gates_that_there_are(rooms):
    """docs/calibration.md counts the gates and families of the suite as it is."""
    run = rooms[3].full_run()
    told = (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert f"has {sum(run.families.values()):,} gates in seven families" in told
    assert len(run.families) == 7
    assert f"begin at a p-value of {run.first('pooled, baseline'):.2g}" in told
    assert f"at {run.first('category, baseline'):.5f}" in told


def test_components_of_a_change_are_recovered(rooms):
    """Planted deviations of words and wordings come back on average."""
    *_, updates = rooms
    rng = np.random.default_rng(1)
    deviations = {(0,): 3.0, (2,): 1.0}
    drawn = updates.planted((9, 9, 12), 40, rng, increase=5.0, deviations=deviations)
    found = [updates.components(table) for table in drawn]
    for kept, size in (*deviations.items(), ((1,), 0.0)):
        mean = float(np.mean([each[kept] for each in found]))
        assert updates.points(mean) == pytest.approx(size, abs=0.35)
