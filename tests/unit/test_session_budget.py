"""A budget of time: the largest fraction that fits, once for all processes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest

from blindspot.errors import BlindspotError
from blindspot.gates.limits import load_gates
from blindspot.gates.outcomes import outcomes
from blindspot.gates.verdict import Verdict
from blindspot.measurements.registry import assays_of
from blindspot.paths import FIXTURES
from blindspot.run.cases import cases_of
from blindspot.run.plan import Answers, plan_of
from blindspot.run.result import result_of
from blindspot.run.source import FixturePrompts
from blindspot.session.budget import FRACTIONS, settle_budget
from blindspot.session.inputs import Inputs
from blindspot.session.options import Options
from blindspot.stimuli import load_stimuli
from tests.unit.test_run_work import ListModel

SOURCE = FixturePrompts(load_stimuli([]))
CASES = tuple(
    case
    for case, _ in cases_of(
        SOURCE, measurement="implicit", statistic="stereotype", level="category"
    )
    if case.part.variant == "default" and case.part.category == "weapons"
)
PROMPTS = sum(len(list(SOURCE.prompts(part))) for part in {case.part for case in CASES})


INSIDE = tuple(
    case
    for name, statistic, reading in (
        ("patching", "blindness", "same-layer"),
        ("injection", "reduction", "generated"),
    )
    for case, _ in cases_of(
        SOURCE, measurement=name, statistic=statistic, readings=[reading], bands=["overall"]
    )
    if (case.part.axis, case.part.variant) == ("race", "default")
)


def settled(
    directory, monkeypatch, budget, *, seconds=1.0, workers=1, cases=CASES, reference=False
):
    """A session whose model takes so long for a prompt, after its budget is settled."""
    options = Options(model="slow", budget=budget)
    inputs = Inputs(options, directory, lambda _: None)
    model = ListModel(monkeypatch, seconds)
    inputs.model, inputs.source = model, SOURCE
    inputs.reference = model if reference else None
    notes = []
    session = SimpleNamespace(
        options=options,
        inputs=inputs,
        directory=directory,
        workers=workers,
        worker=None,
        worker_number=0,
        began=0.0,
        ledger=SimpleNamespace(note=notes.extend),
        config=SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda _: None), stash={}),
    )
    session.inside = settle_budget(session, cases, again=False)
    return session, model, notes


@pytest.mark.parametrize("share", [2.0, 0.6, 0.2])
def test_the_largest_fraction_that_fits_is_chosen(tmp_path, monkeypatch, capsys, share):
    """What is planned ends in time, and the next larger fraction would not."""
    budget = round(share * PROMPTS)
    session, _, (note,) = settled(tmp_path, monkeypatch, f"{budget}s")
    fraction = session.inputs.selection.fraction
    assert float(fraction) * PROMPTS <= budget
    larger = FRACTIONS[max(0, FRACTIONS.index(fraction) - 1)]
    assert fraction == 1 or float(larger) * PROMPTS > 0.8 * (budget - 17)
    assert f"fraction {fraction}," in note
    assert ("times as wide" in note) == (fraction < 1)
    assert note in capsys.readouterr().err
    assert session.inputs.source.selection.fraction == fraction


def test_workers_agree_and_share(tmp_path, monkeypatch):
    """One of them tries the model, once it is loaded; the others take its choice."""
    budget = f"{round(0.2 * PROMPTS)}s"
    first, model, _ = settled(tmp_path, monkeypatch, budget, workers=4)
    assert model.lists[0] == 1
    assert sum(model.lists[1:]) == 16
    second, model, notes = settled(tmp_path, monkeypatch, budget, seconds=1e6, workers=4)
    assert not model.lists
    assert not notes
    chosen = first.inputs.selection.fraction
    assert second.inputs.selection.fraction == chosen > Fraction(1, 6)


def test_a_reference_takes_as_long_again(tmp_path, monkeypatch):
    """Its prompts are a part of the budget: of both less is asked in the same time."""
    budget = f"{round(0.7 * PROMPTS)}s"
    alone, _, _ = settled(tmp_path, monkeypatch, budget)
    (tmp_path / "budget").unlink()
    both, _, _ = settled(tmp_path, monkeypatch, budget, reference=True)
    assert both.inputs.selection.fraction < alone.inputs.selection.fraction


def test_a_budget_that_is_too_small_is_refused(tmp_path, monkeypatch):
    """With the time that the smallest fraction takes, and what to do."""
    with pytest.raises(BlindspotError, match=r"fraction 1/64 takes about .* give more time"):
        settled(tmp_path, monkeypatch, "20s", seconds=60.0)


@pytest.fixture
def inside(monkeypatch):
    """Set the seconds of the cheaper assay of a category; the other one takes twice as many."""

    def set_to(seconds):
        def units(_, parts):
            # An answer takes a second, and has two tokens.
            (part,) = parts
            times = 2 if part.measurement == "injection" else 1
            return [SimpleNamespace(content=part.id + part.measurement, tokens=2 * times * seconds)]

        monkeypatch.setattr("blindspot.session.budget.units_of", units)
        monkeypatch.setattr("blindspot.session.budget.trials_of", lambda *_: [])

    return set_to


@pytest.mark.parametrize(("seconds", "count"), [(1.0, 6), (100.0, 2), (1e6, 0)])
def test_assays_get_half_of_the_time(tmp_path, monkeypatch, inside, seconds, count):
    """They look at what fits in it, category by category; the rest of the time is for prompts."""
    inside(seconds)
    session, _, (note,) = settled(tmp_path, monkeypatch, f"{PROMPTS}s", cases=CASES + INSIDE)
    assert len(session.inside) == count
    assert f"assays of {count} of 6 slices" in note
    assert ("not looked at: " in note) == (count < 6)
    left = 0.85 * PROMPTS - 17
    taken = sum(2 if part.measurement == "injection" else 1 for part in session.inside)
    assert taken * seconds <= left / 2
    assert float(session.inputs.selection.fraction) * PROMPTS <= left - taken * seconds
    if count == 2:
        assert {part.category for part in session.inside} == {INSIDE[0].part.category}


def test_assays_give_way_to_the_smallest_fraction(tmp_path, monkeypatch, inside):
    """It is asked first; assays have what is left."""
    inside(1.0)
    session, _, (note,) = settled(tmp_path, monkeypatch, "40s", cases=CASES + INSIDE)
    assert "fraction 1/64," in note
    (part,) = session.inside
    assert part.measurement == "patching"


def test_assays_alone_have_all_of_the_time(tmp_path, monkeypatch, inside):
    """A run that would look at nothing is refused."""
    inside(100.0)
    session, *_ = settled(tmp_path, monkeypatch, "300s", cases=INSIDE)
    assert [part.measurement for part in session.inside] == ["patching"] * 2
    (tmp_path / "other").mkdir()
    with pytest.raises(BlindspotError, match=r"no assay fits in it; give more time"):
        settled(tmp_path / "other", monkeypatch, "60s", cases=INSIDE)


def test_what_is_not_looked_at_is_inconclusive():
    """With the reason; never passed."""
    some, *others = dict.fromkeys(case.part for case in INSIDE)
    plan = plan_of(INSIDE, SOURCE, assays_of(SOURCE.stimuli), again=False, inside={some})
    assert (plan.inside, plan.omitted) == ([some], others)
    none = replace(plan, inside=(), omitted=[some, *others])
    measured, _ = result_of(none, Answers(ListModel.identity, ()), lambda _: 0.0)
    found = outcomes(measured, plan.cases, load_gates(FIXTURES / "gates.toml"), {})
    assert {one.verdict for one in found.values()} == {Verdict.INCONCLUSIVE}
    assert all("no time" in measured.unreadable(case) for case in INSIDE)
