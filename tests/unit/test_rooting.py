"""A directory given to an option is not taken for the place of the tests."""

import os
import subprocess
import sys

import pytest

from tests.unit.suite_runs import ROOT


@pytest.mark.parametrize("written", ["--model=DIR", "--model DIR", "--reference DIR"])
def test_model_directory_elsewhere_leaves_the_root(tmp_path, written):
    """Whichever way the option is written, the checkout's own tests and settings are used."""
    model = [part.replace("DIR", str(tmp_path)) for part in written.split()]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", *model],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "configfile: pyproject.toml" in run.stdout
    assert "1871 tests collected" in run.stdout


def test_other_suites_are_settled_too(tmp_path):
    """In another project the option does not move the root either."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -q\n")
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-model"
    elsewhere.mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--model", str(elsewhere)],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0
    assert run.stdout.strip() == "test_one.py: 1"
