"""Measurements are known in one room: no other module names one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blindspot.estimates import AssociationEffects, Clusters
from blindspot.estimates.effects import Shares
from blindspot.measurements.base import BANDS, Measurement
from blindspot.measurements.registry import ALL, BEHAVIORAL, MEASUREMENTS, MECHANISTIC, STATISTICS
from blindspot.stimuli import load_stimuli
from tests.unit.suite_runs import ROOT

SOURCE = ROOT / "src" / "blindspot"
#: The measurements themselves; what wording files say that they measure; the paper's own formats.
NAMING = (
    "measurements/",
    "stimuli/prompts.py",
    "stimuli/schema.py",
    "stimuli/files.py",
    "contrib/",
)
STIMULI = load_stimuli(())
UNASKED = Shares(np.zeros(0), None, Clusters.encode({"word": []}))


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module that are not docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def modules(*leaving_out: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(leaving_out):
            yield name, path


def test_no_other_module_names_a_measurement() -> None:
    """Reports and runs iterate over the registry."""
    found = [
        f"{name}:{line} {text!r}"
        for name, path in modules(*NAMING)
        for line, text in literals(path)
        if text in MEASUREMENTS
    ]
    assert not found


@pytest.mark.parametrize("name", ["patching", "interpretation", "probing", "injection"])
def test_an_axis_that_asks_a_fraction_is_read_in_its_first_category(name: str) -> None:
    """In every variant whose senses are known; one that asks all is read in all of them."""
    stimuli = load_stimuli((), axes=("gender",))
    gender = stimuli.axes["gender"]
    whole = replace(stimuli, axes={"gender": gender.model_copy(update={"fraction": "1"})})
    some, every = (MEASUREMENTS[name].slices(one) for one in (stimuli, whole))
    assert {part.category for part in some} == {"career"}
    assert {part.category for part in every} == set(gender.categories)
    assert {part.variant for part in some} == {part.variant for part in every}


def test_no_template_names_a_measurement() -> None:
    """The page takes names and sentences from the registry as well."""
    for path in SOURCE.rglob("*.j2"):
        text = path.read_text("utf-8")
        assert not [name for name in MEASUREMENTS if f'"{name}"' in text], path.name


def test_no_axis_is_named_in_code() -> None:
    """An axis is a TOML file: what is said of it is said with its own name."""
    found = [
        f"{name}:{line} {text!r}"
        for name, path in modules("contrib/")
        for line, text in literals(path)
        for axis in STIMULI.axes
        if axis in text.replace("-", " ").replace("_", " ").split()
    ]
    assert not found
    for path in SOURCE.rglob("*.j2"):
        assert not any(axis in path.read_text("utf-8").lower().split() for axis in STIMULI.axes)


@pytest.mark.parametrize("measurement", ALL, ids=lambda one: one.name)
def test_a_measurement_knows_all_that_is_said_of_it(measurement: Measurement) -> None:
    """Titles, clauses for every verdict, readings and levels."""
    words = measurement.words
    assert words.title
    assert words.heading.startswith(f"{measurement.name}: ")
    assert all(words.said(verdict) for verdict in ("fail", "pass", "inconclusive", "reported"))
    assert words.worse.count("{}") == 1
    assert measurement.readings
    assert measurement.levels
    assert bool(words.asked) == measurement.banded


def test_kinds_of_measurements_do_not_overlap() -> None:
    """Each asks prompts of its own, or those of others, or none and reads layers."""
    assert not BEHAVIORAL.keys() & MECHANISTIC.keys()
    assert {*MEASUREMENTS} >= {name for one in ALL for name in one.asks}
    assert all(not one.asks for one in MECHANISTIC.values())
    assert BANDS
    assert {name for one in ALL for name in one.statistics} == {*STATISTICS}


@pytest.mark.parametrize("one", BEHAVIORAL.values(), ids=lambda one: one.name)
def test_a_statistic_is_never_judged_by_another_one(one):
    """What a measurement does not compute is refused, not taken from the judged effect."""
    with pytest.raises(NotImplementedError, match="does not know 'primacy'"):
        one.contributions([AssociationEffects((), UNASKED)], "primacy")
