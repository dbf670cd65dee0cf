"""Tests are called the same wherever they run from, and the report has one order."""

import random

import pytest

from blindspot.paths import SUITE
from blindspot.run.cases import cases_of, in_order
from blindspot.run.source import FixturePrompts
from blindspot.session import commands
from blindspot.stimuli import Selection, load_stimuli

NAME = "tests/implicit/test_association.py::test_word_association[race-default-weapons-a::b-c]"


def report(nodeid, path):
    """A report as pytest makes it of a test in the file at ``path``, seen from its root."""
    return pytest.TestReport(nodeid, (path, 1, "test"), {}, "passed", None, "call")


@pytest.mark.parametrize(
    "nodeid",
    [
        NAME,
        "test_association.py::test_word_association[race-default-weapons-a::b-c]",
        "::test_word_association[race-default-weapons-a::b-c]",
    ],
    ids=["suite", "package", "module"],
)
def test_name_is_that_of_a_checkout(tmp_path, nodeid):
    """Whatever pytest's id begins with, which depends on what the command line names."""
    path = str(SUITE / "tests" / "implicit" / "test_association.py")
    assert commands.test_name(report(nodeid, path), tmp_path) == NAME
    relative = f"{'../' * (len(tmp_path.parts) - 1)}{path.lstrip('/')}"
    assert commands.test_name(report(nodeid, relative), tmp_path) == NAME


def test_name_of_another_suite_is_its_id(tmp_path):
    """Gates of a user's own tests are called as pytest calls them."""
    assert commands.test_name(report("test_own.py::test_a", "test_own.py"), tmp_path) == (
        "test_own.py::test_a"
    )


def test_one_test_is_named_so_that_it_is_found(pytestconfig, monkeypatch):
    """In a checkout by its file, in a wheel by its module."""
    monkeypatch.setattr(commands, "INSTALLED", False)
    called_from = pytestconfig.invocation_params.dir
    (named,) = commands.one_test(pytestconfig, NAME)
    assert (called_from / named.split("::", 1)[0]).resolve().is_relative_to(SUITE / "tests")
    assert named.endswith("test_association.py::" + NAME.split("::", 1)[1])
    monkeypatch.setattr(commands, "INSTALLED", True)
    assert commands.one_test(pytestconfig, NAME) == (
        "--pyargs",
        "blindspot.suite.tests.implicit.test_association::" + NAME.split("::", 1)[1],
    )


def test_order_of_the_report_is_that_of_what_is_measured():
    """Cases found in any order are brought into one: by measurement, statistic, slice, reading."""
    source = FixturePrompts(load_stimuli(), Selection(limit=2))
    asked = [
        {"measurement": "implicit", "statistic": "stereotype", "readings": ["generated"]},
        {"measurement": "implicit", "statistic": "stereotype", "level": "word"},
        {"measurement": "implicit", "statistic": "validity"},
        {"measurement": "explicit", "statistic": "bias"},
        {"measurement": "gap", "statistic": "gap"},
        {"measurement": "probing", "statistic": "blindness", "readings": ["linear"],
         "bands": ["overall", "late"]},
    ]  # fmt: skip
    cases = [case for words in asked for case, _ in cases_of(source, **words)]
    straight = in_order({case.id: case for case in cases}, source)
    assert list(straight.values()) == cases
    for seed in range(3):
        random.Random(seed).shuffle(cases)
        assert list(in_order({case.id: case for case in cases}, source)) == list(straight)
    some = dict(list(straight.items())[::3])
    turned = dict(reversed(some.items()))
    assert list(in_order(turned, source)) == list(some)
