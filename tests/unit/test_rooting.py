"""A directory given to an option is not taken for the place of the tests."""

import os
import subprocess
import sys

import pytest

from tests.unit.suite_runs import ROOT


def collect(cwd, *arguments):
    """``pytest --collect-only`` in a directory, on the checkout's sources."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("written", ["--model=DIR", "--model DIR", "--reference DIR"])
def test_model_directory_elsewhere_leaves_the_root(tmp_path, written):
    """Whichever way the option is written, the checkout's own tests and settings are used."""
    model = [part.replace("DIR", str(tmp_path)) for part in written.split()]
    run = collect(ROOT, "-q", "-k", "race-default-weapons", *model)
    assert "tests/implicit/test_association.py::test_category_association" in run.stdout
    assert "tests/unit" not in run.stdout  # which testpaths leaves out


@pytest.mark.parametrize("written", ["--model=DIR", "--model DIR"])
def test_other_suites_are_settled_too(tmp_path, written):
    """In another project the option does not move the root either; the model's files are not ours.

    A configuration in the model's directory is not read, and its addopts do not stay.
    """
    (tmp_path / "pytest.ini").write_text("[pytest]\nblindspot = true\naddopts = -q -q\n")
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-model"
    elsewhere.mkdir()
    (elsewhere / "pytest.ini").write_text("[pytest]\naddopts = --verbose --frobnicate\n")
    run = collect(tmp_path, *(part.replace("DIR", str(elsewhere)) for part in written.split()))
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "test_one.py: 1"
