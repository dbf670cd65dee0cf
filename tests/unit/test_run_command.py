"""What a whole command does beside the model: nothing twice, and nothing that it does not need."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from tests.unit.suite_runs import run_suite

BOTH = ("tests/implicit", "tests/explicit")


def counted(directory, *arguments, **named):
    """A run of the suite, with its calls and its heavy imports."""
    env = {"COUNTED_CALLS": str(directory / "counted.json")}
    env |= {"XDG_CACHE_HOME": str(directory / "cache-home")}
    run = run_suite(directory, "-p", "tests.unit.counted_calls", *arguments, env=env, **named)
    assert run.code in (0, 10, 12), run.out + run.err  # few prompts decide little
    found = json.loads((directory / "counted.json").read_text("utf-8"))
    return run, found["calls"], found["heavy"]


@pytest.mark.slow
def test_run_that_knows_all_answers_imports_no_engine(tmp_path):
    """The second run of a model needs neither torch nor transformers, nor anything to read it."""
    few = ("-k", "race-default-weapons and category")
    asked = {"model": "organism:blind", "plugin": False}
    cold, calls, heavy = counted(tmp_path, *few, **asked)
    assert calls["load"] == 1
    assert {"torch", "transformers"} <= set(heavy)
    warm, calls, heavy = counted(tmp_path, *few, **asked, drawn=True)
    assert heavy == []
    assert "load" not in calls
    assert warm.samples == cold.samples
    assert warm.report["model"] == cold.report["model"]
    assert [gate["message"] for gate in warm.report["gates"]] == [
        gate["message"] for gate in cold.report["gates"]
    ]


def test_everything_is_computed_once(tmp_path):
    """Each prompt is read, each slice estimated in each reading, and the run judged, once."""
    run, calls, heavy = counted(tmp_path, model="scripted:weapons-only", limit=2)
    assert calls["_compute"] == calls["_compute, different"] > 0
    assert calls["read"] == run.report["prompts"] > 500
    assert calls["judge"] == calls["build_record"] == 1
    assert heavy == []


SHORTENED = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and call.excinfo is not None:
        print("frames", len(call.excinfo.traceback), call.excinfo.traceback[0].name)
    return report
"""


def test_nobody_looks_up_frames_that_are_not_shown(tmp_path):
    """A verdict comes without its traceback, of which only the judge is left; asked for, all is."""
    (tmp_path / "watching.py").write_text(SHORTENED)
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    few = ("-p", "watching", "-s", "-k", "race-default-weapons-generated and association")
    run = run_suite(tmp_path, *few, "--tb=line", model="scripted:weapons-only", env=env)
    assert "frames 2 judge" in run.out
    assert re.search(r"session/tests\.py:\d+: Failed: implicit/race-default-weapons/", run.out)
    run = run_suite(tmp_path, *few, "--full-trace", model="scripted:weapons-only", env=env)
    assert "frames 2 " not in run.out
    assert "def test_category_association" in run.out


@pytest.mark.slow
def test_one_load_serves_behaviour_and_assays(tmp_path):
    """What a model says and what stands inside it are read from the same weights in memory."""
    _, calls, _ = counted(
        tmp_path,
        "-k",
        "race-default-weapons",
        model="organism:aware",
        plugin=False,
        paths=(*BOTH, "tests/mechanistic"),
    )
    assert calls["load"] == 1
    assert calls["identify"] == 1
