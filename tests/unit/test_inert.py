"""The plugin is light, and does nothing where it is not asked."""

import os
import subprocess
import sys

import pytest

from tests.unit.suite_runs import ROOT, run_here


def python(*arguments, cwd, env=None):
    """Run Python on the checkout's sources."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(ROOT / "src")} | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


#: Rooms that read options, and no file, answer or number. What they add to pytest's start is timed
#: by ``python -m benchmarks.command``.
LIGHT = {"baselines", "errors", "files", "gates", "paths", "plugin", "ranks", "search", "session"}


def test_importing_the_plugin_loads_nothing_heavy(tmp_path):
    """Behind pytest, `import blindspot.plugin` imports the standard library and our light rooms."""
    code = (
        "import sys, pytest; before = set(sys.modules); import blindspot.plugin;"
        "print(*sys.modules.keys() - before)"
    )
    new = [name.split(".") for name in python("-c", code, cwd=tmp_path).stdout.split()]
    assert {package for package, *_ in new} - sys.stdlib_module_names == {"blindspot"}
    assert {name[1] for name in new if name[0] == "blindspot" and len(name) > 1} <= LIGHT


def test_rooms_import_no_torch(tmp_path):
    """Data flows one way: stimuli, answers and estimates know no torch; models load it late."""
    rooms = ("stimuli", "answers", "estimates", "models", "measurements.registry", "contrib")
    late = ("contrib.aligned_but_blind", "mitigation.command", "mitigation.recipe")
    names = ", ".join(f"blindspot.{room}" for room in (*rooms, *late))
    code = f"import sys, {names}; print('torch' in sys.modules)"
    assert python("-c", code, cwd=tmp_path).stdout.strip() == "False"


@pytest.mark.parametrize(
    ("env", "codes"),
    [({}, {0}), pytest.param({"DIE": "1"}, {1, 2, 3}, marks=pytest.mark.slow)],
    ids=["whole", "lost worker"],
)
def test_other_peoples_tests_are_left_alone(tmp_path, env, codes):
    """It prints nothing and loads nothing, in a process and its workers, and leaves their markers.

    Nor does it speak of a worker that they lose.
    """
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gate: theirs\n")
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    assert not {'torch', 'blindspot.run'} & sys.modules.keys()\n"
    )
    (tmp_path / "test_x.py").write_text(
        "import os, pytest, conftest\n"
        "@pytest.mark.gate('open')\n"
        "def test_x():\n"
        "    conftest.pytest_unconfigure()\n"
        "    if os.environ.get('DIE'):\n"
        "        os._exit(3)\n"
    )
    arguments = (
        *("-m", "pytest", "--no-header", "-p", "blindspot.plugin", "-W", "error"),
        *("--strict-markers", "-n", "1", "--max-worker-restart=0"),
    )
    run = python(*arguments, cwd=tmp_path, env=env)
    assert run.returncode in codes, run.stdout + run.stderr
    assert "blindspot" not in (run.stdout + run.stderr).replace(str(tmp_path), "")


def test_collecting_loads_no_torch(tmp_path):
    """--collect-only lists all tests without torch or transformers."""
    (tmp_path / "watch.py").write_text(
        "import sys\n"
        "def pytest_unconfigure(config):\n"
        "    print('heavy:', [n for n in ('torch', 'transformers') if n in sys.modules])\n"
    )
    run = python(
        "-m", "pytest", "-p", "watch", "--collect-only", "-q", "--model", "organism:blind",
        "-k", "race-default-weapons",
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{tmp_path}"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    assert "heavy: []" in run.stdout
    assert "tests/mechanistic/" in run.stdout


def test_help_shows_the_flags(tmp_path):
    """--help lists our flags."""
    _, shown = run_here(tmp_path, "-p", "blindspot.plugin", "--help")
    for flag in ("--model", "--limit", "--baseline", "--output-path", "--apply-chat-template"):
        assert flag in shown
