"""Installed, the plugin is invisible in every project that does not ask for it."""

import os
import shutil
import subprocess
import sys

import pytest

from blindspot.session.options import TABLE, Kind, flags
from tests.unit.baseline_runs import WORKERS
from tests.unit.suite_runs import ROOT, run_here


def run_pytest(cwd, *arguments, env=None):
    """Pytest in another project, in an environment in which the plugin is installed."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "BLINDSPOT_")) and key not in ("CI", "COLUMNS")
    }
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [clean.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--no-header", "-p", "no:cacheprovider", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": os.pathsep.join(paths)} | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def own_conftest():
    """The conftest of a project that has every flag, marker and fixture of ours for itself."""
    lines = ["import pytest", "def pytest_addoption(parser):"]
    lines += [f"    parser.addoption({flag!r}, default='unset')" for flag in flags()]
    lines += ["def pytest_configure(config):"]
    for marker in ("gate", "search", "promoted", "implicit", "explicit", "mechanistic"):
        lines.append(f"    config.addinivalue_line('markers', '{marker}: mine')")
    for fixture in ("case", "judge", "space", "explore", "kept", "hold"):
        lines += ["@pytest.fixture", f"def {fixture}():", f"    return 'my {fixture}'"]
    return "\n".join(lines) + "\n"


OWN_TESTS = """
import sys
import pytest

@pytest.mark.gate(measurement="implicit", statistic="mine")
@pytest.mark.search(measurement="implicit")
@pytest.mark.promoted(measurement="explicit")
def test_mine(case, judge, space, explore, kept, hold, pytestconfig):
    assert [case, judge, space] == ["my case", "my judge", "my space"]
    assert [explore, kept, hold] == ["my explore", "my kept", "my hold"]
    assert pytestconfig.getoption("--device") == "mine"
    assert pytestconfig.getoption("--seed") == "unset"
    assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    "workers",
    [(), pytest.param(("-n", "1"), marks=pytest.mark.slow)],
    ids=["serial", "-n 1"],
)
def test_project_with_all_our_names(tmp_path, workers):
    """Its own flags, markers and fixtures are the ones that count, and nobody warns."""
    (tmp_path / "conftest.py").write_text(own_conftest())
    (tmp_path / "test_own.py").write_text(OWN_TESTS)
    code, out = run_pytest(
        tmp_path, "--device", "mine", "-W", "error", "--strict-markers", *workers
    )
    assert code == 0, out
    assert "1 passed" in out


@pytest.mark.parametrize("workers", WORKERS)
def test_gates_beside_a_project_with_all_our_names(tmp_path, workers):
    """Where it asks for gates too, its names stay its own, and ours have their long spelling."""
    (tmp_path / "conftest.py").write_text(own_conftest())
    (tmp_path / "pytest.ini").write_text("[pytest]\nblindspot = true\n")
    (tmp_path / "test_own.py").write_text(OWN_TESTS + GATE_TEST)
    few = ("-k", "mine or race-default-weapons", "--device", "mine")
    code, out = run_here(tmp_path, *few, *workers)
    assert code == 4, out
    assert "--device belongs to another plugin or conftest" in out
    assert "--blindspot-device" in out
    long = ("--blindspot-model=scripted:stereotyped", "--blindspot-limit=1")
    long = ("-p", "tests.unit.scripted", "--blindspot-device=cpu", "--blindspot-store=none", *long)
    code, out = run_here(tmp_path, *few, *long, *workers)
    assert code == 10, out
    assert "scripted:stereotyped: 1 fail" in out
    assert "1 failed, 1 passed" in out


GATE_TEST = """
@pytest.mark.blindspot_gate(measurement="implicit", statistic="stereotype", level="category",
                            readings=["forced-choice"])
def test_gate(case, judge):
    judge(case)
"""


def test_nothing_of_ours_is_listed(tmp_path):
    """Neither --help nor --markers nor --fixtures shows a flag, marker or fixture of ours."""
    for shown in ("--help", "--markers", "--fixtures"):
        _, out = run_here(tmp_path, shown)
        assert "bias" not in out
        assert "--trust-remote-code" not in out


@pytest.mark.parametrize("how", ["-p", "PYTEST_PLUGINS", "ini", "conftest", "path"])
def test_ways_to_ask(tmp_path, how):
    """The command line, the environment, the configuration, a conftest, or the place of a test."""
    arguments, env = [], {}
    if how == "-p":
        arguments = ["-p", "blindspot.plugin"]
    elif how == "PYTEST_PLUGINS":
        env = {"PYTEST_PLUGINS": "blindspot.plugin"}
    elif how == "ini":
        (tmp_path / "pytest.ini").write_text("[pytest]\nblindspot = true\n")
    elif how == "conftest":
        (tmp_path / "conftest.py").write_text("pytest_plugins = ['blindspot.plugin']\n")
    else:
        arguments = [str(ROOT / "tests" / "implicit")]
    _, out = run_here(tmp_path, *arguments, "--help", env=env)
    for name, row in TABLE.items():
        assert f"  --{name.replace('_', '-')}" in out, name
        assert (f"--no-{name.replace('_', '-')}" in out) == (row.kind is Kind.TOGGLE)


@pytest.mark.parametrize("flag", ["--model=organism:aware", "--no-noise-floor", "--store"])
def test_flag_elsewhere_says_where_it_is_known(tmp_path, flag):
    """A flag of ours in a session without gates is a usage error with the remedy."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    code, out = run_here(tmp_path, flag)
    assert code == 4, out
    assert "--pyargs blindspot.suite" in out
    assert "blindspot = true" in out


@pytest.fixture(scope="module")
def other_checkout(tmp_path_factory):
    """Another checkout, with a model in it."""
    directory = tmp_path_factory.mktemp("other")
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "blindspot", directory / "src" / "blindspot", ignore=left_out)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copyfile(ROOT / name, directory / name)
    for name in ("fixtures/axes", "tests/implicit", "results/model"):
        (directory / name).mkdir(parents=True)
    return directory


@pytest.mark.parametrize("loads", ["installed", pytest.param("conftest", marks=pytest.mark.slow)])
def test_model_in_another_checkout(other_checkout, loads):
    """Pytest takes that checkout for the project: its code must not judge in place of ours."""
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if loads == "conftest" else {}
    model = other_checkout / "results" / "model"
    code, out = run_pytest(ROOT, "--model", str(model), "--collect-only", env=env)
    assert code == 4, out
    assert f"lies in {other_checkout}, another checkout" in out
    assert "--model=DIR" in out
    assert "Traceback" not in out


def test_model_in_the_checkout_itself(tmp_path):
    """Called from elsewhere, the suite may judge a model that lies beside it."""
    model = ROOT / "fixtures" / "organisms" / "blind"
    (tmp_path / "pytest.ini").write_text("[pytest]\nblindspot = true\n")
    code, out = run_here(tmp_path, "--model", str(model), "--help")
    assert code == 0, out


@pytest.mark.parametrize("ini", ["", "blindspot = true\n"], ids=["invisible", "asked for"])
def test_other_peoples_snapshots_are_updated_under_ci(tmp_path, ini):
    """--snapshot-update of a plain syrupy test needs no reason of ours."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}")
    (tmp_path / "test_own.py").write_text("def test_own(snapshot):\n    assert snapshot == 1\n")
    code, out = run_here(tmp_path, "--snapshot-update", env={"CI": "true"})
    assert code == 0, out
    assert (tmp_path / "__snapshots__").is_dir()


@pytest.mark.parametrize(
    "env",
    [
        {"BLINDSPOT_STORE": "/" + "x" * 300},
        {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": ""},
        {"LOCAL_RANK": "0", "RANK": "1", "WORLD_SIZE": "abc"},
    ],
    ids=["store", "empty size", "junk size"],
)
def test_environment_of_others(tmp_path, env):
    """What the environment holds breaks no session that does not look at it."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    code, out = run_here(tmp_path, env=env)
    assert code == 0, out
