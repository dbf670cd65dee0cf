"""Adapters of `organism:blind` by parts of a mitigation: what each must pass and fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blindspot.gates.verdict import Verdict
from blindspot.mitigation.recipe import CARD
from blindspot.models import ModelOptions, identify
from blindspot.paths import FIXTURES
from blindspot.report.parts import mitigated, parts_of
from tests.unit.suite_runs import SuiteRun, run_suite
from tools.adapters.recipes import ADAPTERS

BASE = "organism:blind"
FLAGS = ("--reference", BASE, "--no-noise-floor")


def judged(directory: Path, name: str, only: str, fraction: str, store: Path) -> SuiteRun:
    """A shipped adapter beside its base, whose answers all runs share."""
    change = ("--adapter", str(FIXTURES / "adapters" / name))
    some = ("-k", only, "--fraction", fraction, "--store", str(store))
    named: dict[str, Any] = {"model": BASE, "paths": ("tests/mitigation",), "limit": None}
    return run_suite(directory, *FLAGS, *change, *some, **named)


@pytest.mark.parametrize("name", ADAPTERS)
def test_shipped_adapters_were_made_for_the_shipped_model(name: str) -> None:
    """Their cards name its weights; after it is retrained, python -m tools.adapters makes them."""
    card = json.loads((FIXTURES / "adapters" / name / CARD).read_text("utf-8"))
    assert card["base_weights"] == identify(ModelOptions(BASE)).weights
    assert card["made_by"] == f"python -m tools.adapters {name}"


@pytest.mark.slow
def test_a_cure_and_a_collapse_are_told_apart(tmp_path: Path) -> None:
    """In one category: both have lost the stereotype, and one of them copies the list."""
    only = "race-default-guilt and (copies or cured)"
    for name, broken in (("cure", False), ("collapse", True)):
        run = judged(tmp_path / name, name, only, "1/8", tmp_path / "store")
        parts = {one.number: one for one in parts_of(run.report["gates"])}
        assert not parts[1].broken
        assert bool(parts[2].broken) is broken, run.out


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of the base, asked once."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_each_adapter_fails_its_part(tmp_path: Path, store: Path, name: str) -> None:
    """The six-by-six table: a cure passes all, and each other one fails what it was made to."""
    run = judged(tmp_path, name, "race-default or race-neutral", "1/4", store)
    parts = {one.number: one for one in parts_of(run.report["gates"])}
    known = ADAPTERS[name]
    if not known.fails:
        assert all(one.verdict is Verdict.PASS and one.whole for one in parts.values()), run.out
        assert mitigated(run.report["gates"]).startswith(
            "a cure: all 6 parts hold; plain sentences"
        )
        assert run.code == 0
        return
    assert run.code == 10
    assert {number for number, one in parts.items() if one.broken} == {known.fails, *known.also}
