"""A cluster of two nodes on this machine: what is lost in the middle changes no report."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.unit.ray_nodes import ALONE
from tests.unit.suite_runs import ROOT, run_suite


def missing() -> str:
    """What this machine lacks, "" if nothing."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    tried = shutil.which("unshare") and subprocess.run([*ALONE, "true"], check=False).returncode
    return "" if tried == 0 else "no network namespaces here"


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
FEW = ("-k", "race-default-weapons and not word and not interpretation and not injection")
PATHS = ("tests/implicit", "tests/mechanistic")


def clustered(directory, *arguments: str, loses: str = "", name: str = "ray"):
    """Exit code, output and report of a run on the first of two nodes."""
    command = [*ALONE, sys.executable, "-m", "tests.unit.ray_nodes"]
    command += [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--store", "none"]
    command += ["--model", "ray:organism:blind", "--model-args", "replicas=2", "--limit", "4"]
    command += ["--output-path", str(directory / name), *FEW, *PATHS, *arguments]
    if loses:
        command += ["-p", "tests.unit.ray_losses"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "RAY_LOSES": loses}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    report = directory / name / "report.json"
    found = json.loads(report.read_text("utf-8")) if report.exists() else {}
    return done.returncode, done.stdout + done.stderr, found


@pytest.mark.parametrize("loses", ["actor", "node"])
def test_loss_in_the_middle_changes_no_report(loses, tmp_path):
    """Neither values nor verdicts; the report says what was lost and who computed."""
    alone = run_suite(
        tmp_path / "alone",
        *(*FEW, "--store", "none"),
        model="organism:blind",
        limit=4,
        paths=PATHS,
        process=True,
        plugin=False,
    )
    code, said, report = clustered(tmp_path, loses=loses)
    assert code == alone.code, said
    assert "1 replica lost, the prompts were asked again" in said
    assert "2 replicas on 2 nodes (10.77.0." in said
    assert report["model"] == alone.report["model"]
    for gate, other in zip(report["gates"], alone.report["gates"], strict=True):
        assert (gate["id"], gate["verdict"]) == (other["id"], other["verdict"])
        assert gate["value"] == pytest.approx(other["value"], abs=1e-4, nan_ok=True)


def test_interrupt_leaves_no_replica(tmp_path):
    """Ctrl-C in the middle ends the run and all that it started, in five seconds."""
    code, said, _ = clustered(tmp_path, loses="run")
    assert code == 2, said
    assert (found := re.search(r"replicas left: 0 after (\d+\.\d) s", said)), said
    assert float(found[1]) <= 5.0
    assert "Traceback" not in said


def test_cluster_that_is_too_small_is_one_line(tmp_path):
    """Before anything is asked."""
    code, said, _ = clustered(tmp_path, "--model-args", "replicas=2,gpus_per_replica=1")
    assert code == 4, said
    assert "replicas=2 with gpus_per_replica=1 need 2 GPUs, the Ray cluster has 0" in said
    assert "Traceback" not in said
