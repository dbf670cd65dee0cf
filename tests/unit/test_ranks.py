"""One model over several processes that torchrun started."""

from __future__ import annotations

import os
import sys

import pytest

from blindspot import ranks
from blindspot.errors import ModelError
from tests.unit.suite_runs import run_suite

STARTED = {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "RANK": "1"}


def test_plan_needs_its_processes_and_they_a_plan(monkeypatch):
    """Each without the other is one line that says how to start it."""
    for name in STARTED:
        monkeypatch.delenv(name, raising=False)
    ranks.check(False)
    with pytest.raises(ModelError, match=r"one model over several processes; start it: torchrun"):
        ranks.check(True)
    for name, value in STARTED.items():
        monkeypatch.setenv(name, value)
    ranks.check(True)
    with pytest.raises(ModelError, match="every process would do the whole run"):
        ranks.check(False)


@pytest.mark.parametrize(
    ("environment", "size", "follows"),
    [
        ({}, 1, False),
        (STARTED, 2, True),
        ({**STARTED, "RANK": "0"}, 2, False),
        ({"WORLD_SIZE": "64", "RANK": "5"}, 1, False),  # of a training job around us
        ({**STARTED, "WORLD_SIZE": ""}, 1, False),
        ({**STARTED, "WORLD_SIZE": "two"}, 1, False),
    ],
    ids=["alone", "second", "first", "not-torchruns", "empty", "junk"],
)
def test_the_first_process_reports(monkeypatch, environment, size, follows):
    """The others compute; variables that torchrun alone sets tell its processes from others."""
    for name in STARTED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (ranks.size(), ranks.follows("dtype=auto, tp_plan=auto")) == (size, follows)
    assert not ranks.follows("")


@pytest.mark.parametrize("arguments", [(), ("--model-args", "tp_plan=auto")], ids=["none", "plan"])
def test_variables_that_are_left_over_make_nothing_green(tmp_path, arguments):
    """A model that is not spread over processes is refused where torchrun's variables are set."""
    run = run_suite(
        tmp_path, "-k", "weapons", *arguments, model="scripted:stereotyped", env=STARTED
    )
    assert run.code == 4, run.out
    assert "every process would do the whole run" in run.out + run.err
    assert "unset WORLD_SIZE" in run.out + run.err


@pytest.mark.slow
def test_follower_writes_nothing_and_ends_well(tmp_path):
    """Torchrun ends all processes when one ends with another code: only the first may fail."""
    (tmp_path / "spread.py").write_text(
        "from blindspot import ranks\n"
        "ranks.check = lambda plan: None  # a scripted model stands in for one in two parts\n"
    )
    env = STARTED | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    spread = ("-p", "spread", "--model-args", "tp_plan=auto")
    run = run_suite(
        tmp_path, *spread, "-k", "weapons", model="scripted:stereotyped", env=env, process=True
    )
    assert run.code == 0, run.out
    assert "(exit 10)" in run.out
    assert not run.output_path.exists()


@pytest.mark.slow
def test_two_processes_judge_as_one(tmp_path):
    """Halves of every layer in two processes: the same figures, outside and inside the model."""
    few = ("-k", "race-default-weapons")
    paths = ("tests/implicit", "tests/mechanistic")
    arguments = {"model": "organism:blind", "plugin": False, "paths": paths}
    alone = run_suite(tmp_path / "alone", *few, **arguments)
    before = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    together = run_suite(
        tmp_path / "together",
        *few,
        "--model-args",
        "tp_plan=auto",
        **arguments,
        before=(*before, "--local-ranks-filter", "0", "--no-python"),
    )
    assert together.report["exit_code"] == alone.report["exit_code"] == 10, together.err
    assert "tp_plan=auto" in together.report["model"]["backend"]
    assert together.gates.keys() == alone.gates.keys()
    for name, gate in together.gates.items():
        assert gate["value"] == pytest.approx(alone.gates[name]["value"], abs=1e-3), name
    assert together.out.count("blindspot: failed") == 1
