"""Runs that accept a baseline or are compared with one, on the smallest part that can be."""

import json
import shutil

import pytest

from tests.unit.suite_runs import run_suite

#: Accepting needs the full prompts, so these runs judge one category of one variant.
PART = ("-k", "race-default-weapons and (category or validity)")

#: That workers hear of it too is proved by longer runs.
WORKERS = [
    pytest.param((), id="serial"),
    pytest.param(("-n", "2"), marks=pytest.mark.slow, id="-n 2"),
]


def accept(directory):
    """A directory with the accepted baseline of the fair model."""
    run = run_suite(directory, "--snapshot-update", *PART, limit=None)
    assert run.code == 0, run.out
    return directory / "baselines"


def judged(directory, accepted, *arguments, model="scripted:fair", part=PART):
    """A run that compares with what was accepted."""
    return run_suite(
        directory, *part, "--baselines", str(accepted), *arguments, model=model, limit=None
    )


def edited(accepted, directory, change):
    """A copy of the accepted baseline with a change; its scores are not changed."""
    for scores in accepted.glob("*.npz"):
        shutil.copy(scores, directory)
    path = directory / "scripted--fair.json"
    data = json.loads((accepted / "scripted--fair.json").read_text())
    change(data)
    path.write_text(json.dumps(data))
    return directory
