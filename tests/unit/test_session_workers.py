"""A GPU for each worker, on machines with any number of GPUs: none of them is needed here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from blindspot.errors import BlindspotError
from blindspot.models.transformers import accelerators
from blindspot.models.transformers.accelerators import VISIBLE, visible_gpus
from blindspot.session.options import Options
from blindspot.session.workers import Crew, auto_workers, check_workers, gpu_of, gpus
from tests.unit.suite_runs import run_suite


def pretend(directory: Path, count: int, *, code: int = 0) -> str:
    """A search path on which NVIDIA's tool lists so many GPUs."""
    directory.mkdir(exist_ok=True)
    tool = directory / "nvidia-smi"
    lines = "".join(f"echo 'GPU {n}: NVIDIA H100 (UUID: GPU-{n}a)'\n" for n in range(count))
    tool.write_text(f'#!/bin/sh\n[ "$1" = --list-gpus ] || exit 9\n{lines}exit {code}\n')
    tool.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pretend that the machine has so many GPUs, of which the caller shows us some."""

    def made(count: int, visible: str | None = None) -> None:
        monkeypatch.setenv("PATH", pretend(tmp_path / "bin", count))
        if visible is None:
            monkeypatch.delenv(VISIBLE, raising=False)
        else:
            monkeypatch.setenv(VISIBLE, visible)

    return made


def options(**changed: object) -> Options:
    """Options of ``pytest --model x``."""
    return Options(**{"given": frozenset({"model"}), **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "visible", "found"),
    [
        (0, None, ()),
        (3, None, ("0", "1", "2")),
        (3, "", ()),
        (3, "2, 0", ("2", "0")),
        (3, "1,-1,0", ("1",)),
        (3, "0,7,1", ("0",)),
        (3, "1,1,0", ("1",)),
        (3, "GPU-2a,GPU-0a", ("GPU-2a", "GPU-0a")),
        (0, "0,1", ()),
    ],
)
def test_gpus_are_counted_as_cuda_counts_them(machine, count, visible, found) -> None:
    """By NVIDIA's own tool, in the order of the variable, up to the first that does not exist."""
    machine(count, visible)
    assert visible_gpus() == found


@pytest.mark.parametrize("tool", ["fails", "missing"])
def test_torch_counts_where_the_tool_does_not(tool, tmp_path, monkeypatch) -> None:
    """If there may be any; on a machine that can have none it is not imported for that."""
    path = pretend(tmp_path / "bin", 0, code=6) if tool == "fails" else str(tmp_path)
    monkeypatch.setenv("PATH", path)
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for may in (True, False):
        monkeypatch.setattr(accelerators, "possible", lambda may=may: may)
        assert visible_gpus() == (("0", "1") if may else ())


def test_auto_is_a_worker_for_each_gpu(machine) -> None:
    """Where the run uses GPUs; none beside a model that takes them all, one for a named GPU."""
    machine(4)
    assert auto_workers(options()) == auto_workers(options(device="cuda")) == 4
    assert auto_workers(options(device="cuda:2")) == 1
    assert auto_workers(options(model_args="a=1, device_map=auto")) == 0
    assert auto_workers(options(model_args="tp_plan=auto")) == 0
    for left in ({"device": "cpu"}, {"device": "mps"}, {"given": frozenset()}):
        assert auto_workers(options(**left)) is None
    machine(4, "3,1")
    assert auto_workers(options()) == 2
    machine(0)
    assert auto_workers(options()) is None
    assert auto_workers(options(model_args="device_map=auto")) is None


def test_workers_beside_a_model_that_takes_all_gpus_are_refused(machine) -> None:
    """Said before anything runs; without GPUs only tensor parallelism is impossible."""
    machine(2)
    for workers in (0, 1):
        assert check_workers(options(model_args="device_map=auto"), workers) == ""
    with pytest.raises(BlindspotError, match=r"device_map with -n 2: .* all GPUs"):
        check_workers(options(model_args="device_map=auto"), 2)
    with pytest.raises(BlindspotError, match="tp_plan with -n: torchrun starts"):
        check_workers(options(model_args="tp_plan=auto"), 2)
    assert check_workers(options(), 2) == ""
    assert check_workers(options(), 3) == "3 workers share 2 GPUs; -n auto starts one for each"
    assert check_workers(options(device="cpu"), 3) == ""
    machine(0)
    assert check_workers(options(model_args="device_map=auto"), 2) == ""
    assert check_workers(options(), 3) == ""


def test_workers_take_turns(machine) -> None:
    """The GPUs that the caller shows, and no other; one in the place of a lost one has one too."""
    machine(8, "5,3")
    assert [gpu_of(f"gw{n}", gpus(options())) for n in range(3)] == ["5", "3", "5"]
    assert gpu_of("gw0", gpus(options(device="cpu"))) == ""


def test_work_for_a_dead_worker_is_a_lost_worker() -> None:
    """Whoever dies while xdist hands out work: noted once, and no other fault is hidden."""
    crew, lost = Crew(), list[str]()
    with pytest.raises(OSError, match="cannot send"), crew.losing(lost):
        raise OSError("cannot send (already closed?)")
    crew.add(object())
    for _ in range(2):
        with crew.losing(lost):
            raise OSError("cannot send (already closed?)")
    assert lost == ["a worker was lost as it was given work; run again"]
    with pytest.raises(OSError, match="No space"), crew.losing(lost):
        raise OSError(28, "No space left on device")


NOTED = """
import json, os, sys
from pathlib import Path
import pytest

def note(when):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    told = [when, worker, os.environ.get("CUDA_VISIBLE_DEVICES"), "torch" in sys.modules]
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(told) + "\\n")

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    note("configure")

def pytest_unconfigure(config):
    note("unconfigure")
"""


@pytest.mark.slow
def test_auto_run_gives_each_worker_a_gpu_of_its_own(tmp_path: Path) -> None:
    """Set before torch is imported in any process; the prompts are asked once among them."""
    (tmp_path / "noting.py").write_text(NOTED)
    notes, log = tmp_path / "notes", tmp_path / "log"
    env = {
        "PATH": pretend(tmp_path / "bin", 4),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, os.sys.path)]),
        VISIBLE: "3,1",
        "NOTES": str(notes),
        "SCRIPTED_LOG": str(log),
        "SCRIPTED_TOGETHER": "2",
    }
    run = run_suite(tmp_path, "-p", "noting", "-n", "auto", env=env, process=True)
    assert run.code == 0, run.out + run.err
    told = [json.loads(line) for line in notes.read_text().splitlines()]
    assert {tuple(row[1:]) for row in told} == {
        ("", "3,1", False),
        ("gw0", "3", False),
        ("gw1", "1", False),
    }
    asked = [line.split() for line in log.read_text().splitlines()]
    assert len({process for process, _ in asked}) == 2
    assert sum(int(count) for _, count in asked) == run.report["prompts"]


@pytest.mark.slow
def test_impossible_workers_are_a_usage_error(tmp_path: Path) -> None:
    """One line, exit 4."""
    env = {"PATH": pretend(tmp_path / "bin", 1)}
    run = run_suite(tmp_path, "-n", "2", "--model-args", "device_map=auto", env=env)
    assert run.code == 4
    assert (
        "--model-args device_map with -n 2: every worker would use all GPUs; use only one"
        in run.err
    )


@pytest.mark.slow
def test_workers_that_share_a_gpu_are_told(tmp_path: Path) -> None:
    """As many as one likes."""
    env = {"PATH": pretend(tmp_path / "bin", 1)}
    run = run_suite(tmp_path, "-n", "2", "-k", "weapons", env=env)
    assert run.code == 0, run.out
    assert "note: 2 workers share 1 GPU; -n auto starts one for each" in run.out
