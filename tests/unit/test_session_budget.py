"""A budget of time: the largest fraction that fits, once for all processes."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from blindspot.errors import BlindspotError
from blindspot.run.cases import cases_of
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


def settled(directory, monkeypatch, budget, *, seconds=1.0, workers=1, reference=False):
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
    settle_budget(session, CASES, again=False)
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
    (tmp_path / "fraction").unlink()
    both, _, _ = settled(tmp_path, monkeypatch, budget, reference=True)
    assert both.inputs.selection.fraction < alone.inputs.selection.fraction


def test_a_budget_that_is_too_small_is_refused(tmp_path, monkeypatch):
    """With the time that the smallest fraction takes, and what to do."""
    with pytest.raises(BlindspotError, match=r"fraction 1/64 takes about .* give more time"):
        settled(tmp_path, monkeypatch, "20s", seconds=60.0)


def test_assays_that_are_too_long_are_named(tmp_path, monkeypatch):
    """Where the prompts alone would fit: the assays, their time, and how to leave them out."""
    monkeypatch.setattr("blindspot.session.budget._inside", lambda *_: 10**9)
    with pytest.raises(BlindspotError, match=r"the assays alone take about .* tests/implicit"):
        settled(tmp_path, monkeypatch, f"{2 * PROMPTS}s")
