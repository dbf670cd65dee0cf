"""The tutorial does what it says: its commands are run in order, and print what it shows."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.unit.suite_runs import ROOT

TEXT = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
#: Exit code of each command that a reader calls, in order: judge, accept, candidate, rerun, waive.
CODES = (0, 0, 10, 10, 10)


@pytest.fixture
def checkout(tmp_path):
    """What the suite needs of a checkout, where the tutorial may write."""
    for name in ("conftest.py", "pyproject.toml", "tests/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("implicit", "explicit", "mechanistic", "search"):
        shutil.copytree(ROOT / "tests" / name, tmp_path / "tests" / name)
    for name in ("src", "fixtures"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def called(command, directory):
    """Exit code and output of a command of the tutorial."""
    done = subprocess.run(
        ["bash", "-c", command.replace("pytest ", f"{sys.executable} -m pytest ", 1)],
        cwd=directory,
        env={
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "80",
            "PYTHONPATH": str(ROOT / "src"),
            "HOME": str(directory),
            "BLINDSPOT_STORE": str(directory / "store"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_tutorial_does_what_it_says(checkout):
    """Every line that it shows is a line that its command prints; exit codes are those it names."""
    codes, out = [], ""
    for kind, text in BLOCKS:
        command = text.removeprefix("$ ")
        if kind == "console" and command.startswith("pytest"):
            code, out = called(command, checkout)
            codes.append(code)
        elif kind == "console" and command.startswith("cp"):
            assert called(command, checkout)[0] == 0
        elif kind == "toml":
            limits = checkout / "my-gates.toml"
            limits.write_text(limits.read_text("utf-8") + "\n" + text)
        elif kind == "json":
            accepted = json.loads((checkout / "baselines/organism--aware.json").read_text("utf-8"))
            assert json.loads(f"{{{text}}}").items() <= accepted["gates"].items()
        elif kind == "text":
            printed = {line.rstrip() for line in out.splitlines()}
            missing = [line for line in text.splitlines() if line not in {*printed, "..."}]
            assert not missing, out
    assert tuple(codes) == CODES
    assert {path.name for path in (checkout / "results").iterdir()} >= {"report.html"}
