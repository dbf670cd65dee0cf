"""The benchmarks compare before they time, and the calibration study judges by the shipped rule."""

import json
import runpy
import sys

import numpy as np
import pytest

from blindspot.estimates import Clusters, association_effects
from tests.unit.suite_runs import ROOT


def figures(directory, name, *arguments):
    """What a benchmark prints and writes for a tiny model."""
    file = directory / "rows.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, "--smoke", *arguments, "--json", str(file)])
        runpy.run_module(name, run_name="__main__")
    return json.loads(file.read_text("utf-8"))


@pytest.mark.slow
def test_behaviour_runs(tmp_path):
    """Ours feeds fewer tokens than the paper's way, no fewer than are needed, and warm none."""
    written = figures(tmp_path, "benchmarks.behaviour", "--profile", "--skip-memory")
    rows = {row["name"]: row for row in written["rows"]}
    paper = rows["generation, one at a time (a)"]
    assert all(
        row["ratio"] == pytest.approx(paper["seconds"] / row["seconds"]) for row in rows.values()
    )
    assert paper["tokens_fed"] > 1.5 * rows["generation, ours"]["tokens_fed"]
    for name in ("generation, ours", "forced choice, ours"):
        assert rows[name]["tokens_fed"] >= rows[name]["tokens_needed"] > 0
    assert rows["both readings, ours warm"]["tokens_fed"] == 0
    assert [floor["reading"] for floor in written["floors"]] == ["generation", "forced choice"]
    assert all(0 < floor["share_of_floor"] < 1 for floor in written["floors"])


@pytest.mark.slow
def test_residual_runs(tmp_path):
    """Each workload has ours and plain hooks; the floor lies below ours, ours below plain hooks."""
    written = figures(tmp_path, "benchmarks.residual", "--quick")
    rows = {row["name"] for row in written["rows"]}
    for work in written["workloads"]:
        counts = [work[f"operations_{name}"] for name in ("needed", "ours", "plain")]
        assert 0 < counts[0] < counts[1] < counts[2], work["name"]
        assert {f"{work['name']}, ours", f"{work['name']}, plain hooks, one at a time (a)"} <= rows
    assert all(
        row["difference"] <= (1e-4 if "patch sweep" in row["name"] else 1)
        for row in written["rows"]
    )
    assert written["memory"]["model"] < written["memory"]["before"] <= written["memory"]["peak"]


def test_no_time_is_printed_when_numbers_differ(capsys):
    """A way that comes to other probabilities stops the benchmark before its table."""
    import torch

    from benchmarks.harness import equality
    from benchmarks.residual import __main__ as residual
    from benchmarks.residual.subjects import random_llama

    (work, *_) = residual.works_of(
        random_llama("llama-tiny", "cpu", torch.float32), residual.SIZES["smoke"]
    )
    right = work.ours
    object.__setattr__(
        work, "ours", lambda: equality.Answers(values=right().values + np.float32(3e-4))
    )
    bench = residual.Bench("cpu", torch.float32)
    with pytest.raises(equality.NotEqualError, match=r"a probability differs by 3\.0e-04"):
        bench.run(work, (), residual.SIZES["smoke"])
    assert capsys.readouterr().out == ""
    assert bench.rows == []


@pytest.mark.parametrize(("margin", "equal"), [(1e-4, True), (0.1, False)])
def test_texts_may_differ_at_a_near_tie_only(margin, equal):
    """Another text is a fault unless two tokens were about as good; NaN is no agreement."""
    from benchmarks.harness.equality import Answers, NotEqualError, compare

    found = Answers(texts=["a b", "c"])
    expected = Answers(texts=["a b", "d"], margins=[1.0, margin])
    if equal:
        assert compare("x", found, expected, 1e-4, 1e-3) == 0.5
    else:
        with pytest.raises(NotEqualError, match="'c' in place of 'd'"):
            compare("x", found, expected, 1e-4, 1e-3)
    none = Answers(values=np.array([[np.nan]], np.float32))
    with pytest.raises(NotEqualError):
        compare("x", none, Answers(values=np.zeros((1, 1), np.float32)), 1e-4, 0)


def test_the_rule_is_that_of_the_package():
    """Value, standard error, degrees of freedom and p-value of a paired change are the same."""
    from benchmarks.calibration import rule
    from benchmarks.calibration.design import Design

    design = Design.made(3, 4, 5, 2)
    rng = np.random.default_rng(3)
    shape = (2, len(design), 4)
    sides = [np.where(rng.random(shape) < share, 1.0, -1.0) for share in (0.4, 0.7)]
    sides[0][0, 1, 0] = np.nan
    before, after = (rule.contrast(side, rule.STEREOTYPE, 2.0, design) for side in sides)
    change = after.minus(before)
    error, free = change.spread()
    c = np.tile(np.arange(4), len(design))
    codes = {factor: np.repeat(each, 4) for factor, each in design.codes.items()}
    clusters = Clusters.encode(codes)
    for place in range(2):
        theirs, ours = (
            association_effects(
                side[place].ravel(),
                positive_identifier_first=c >= 2,
                positive_word_first=c % 2 == 1,
                clusters=clusters,
            ).contributions
            for side in sides
        )
        estimate = ours.minus(theirs).estimate()
        assert change.value[place] == pytest.approx(estimate.value)
        assert error[place] == pytest.approx(estimate.standard_error)
        assert free[place] == pytest.approx(estimate.df)
        assert rule.p_above(change, 0.02)[place] == pytest.approx(estimate.p_above(0.02))


def test_a_rise_is_found_and_none_is_not():
    """Ten even points fail almost always, nothing never, in a few updates of each."""
    from benchmarks.calibration import outcomes, power
    from benchmarks.calibration.design import Design
    from benchmarks.calibration.run import full_run

    design = Design.made(9, 12, 24, 2)
    rng = np.random.default_rng(0)
    for increase, share in ((0.0, 0.0), (10.0, 1.0)):
        update = outcomes.Update(increase, power.measured(max(increase, 1.0), 0.5))
        found = power.alarms(full_run(), outcomes.Level(), update, design, updates=20, rng=rng)
        assert found.shares["ours"] == share


def test_the_report_speaks_of_the_gates_that_there_are():
    """docs/calibration.md counts the gates and families of the suite as it is."""
    from benchmarks.calibration.run import full_run

    run = full_run()
    told = (ROOT / "docs" / "calibration.md").read_text("utf-8")
    assert f"has {sum(run.families.values()):,} gates in seven families" in told
    assert len(run.families) == 7
    assert f"begin at a p-value of {run.first('pooled, baseline'):.2g}" in told
    assert f"at {run.first('category, baseline'):.5f}" in told


def test_benchmarks_import_no_tests():
    """What they need to know of the suite they read."""
    for file in (ROOT / "benchmarks").rglob("*.py"):
        assert "\nfrom tests" not in file.read_text("utf-8"), file
