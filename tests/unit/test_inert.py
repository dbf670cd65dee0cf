"""The plugin is light, and does nothing where it is not asked."""

import os
import subprocess
import sys

from tests.unit.suite_runs import ROOT


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
    names = ", ".join(f"blindspot.{room}" for room in (*rooms, "contrib.aligned_but_blind"))
    code = f"import sys, {names}; print('torch' in sys.modules)"
    assert python("-c", code, cwd=tmp_path).stdout.strip() == "False"


def test_other_peoples_tests_are_left_alone(tmp_path):
    """In a session without gates it prints nothing and loads nothing, also in xdist."""
    (tmp_path / "test_x.py").write_text(
        "import sys\n"
        "def test_x():\n"
        "    assert 'torch' not in sys.modules\n"
        "    assert 'blindspot.run' not in sys.modules\n"
    )
    for workers in ((), ("-n", "1")):
        run = python(
            "-m", "pytest", "--no-header", "-p", "blindspot.plugin", "-W", "error",
            "--strict-markers", *workers,
            cwd=tmp_path,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout
        assert "blindspot" not in run.stdout.replace(str(tmp_path), "")


def test_collecting_loads_no_torch(tmp_path):
    """--collect-only lists all tests without torch or transformers."""
    (tmp_path / "watch.py").write_text(
        "import sys\n"
        "def pytest_unconfigure(config):\n"
        "    print('heavy:', [n for n in ('torch', 'transformers') if n in sys.modules])\n"
    )
    run = python(
        "-m", "pytest", "-p", "watch", "--collect-only", "-q", "--model", "organism:blind",
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{tmp_path}"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    assert "heavy: []" in run.stdout
    assert "tests/mechanistic/" in run.stdout


def test_help_shows_the_flags(tmp_path):
    """--help lists our flags and loads no torch."""
    run = python("-m", "pytest", "-p", "blindspot.plugin", "--help", cwd=tmp_path)
    for flag in ("--model", "--limit", "--baseline", "--output-path", "--apply-chat-template"):
        assert flag in run.stdout


def test_foreign_gate_marker_and_lost_worker_are_not_ours(tmp_path):
    """Somebody else's `gate` marker and somebody else's crash are left alone."""
    (tmp_path / "test_x.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.gate('open')\n"
        "def test_x():\n"
        "    if os.environ.get('DIE'):\n"
        "        os._exit(3)\n"
    )
    arguments = ("-m", "pytest", "--no-header", "-p", "blindspot.plugin")
    assert python(*arguments, cwd=tmp_path).returncode == 0
    lost = ("-n", "1", "--max-worker-restart=0")
    run = python(*arguments, *lost, cwd=tmp_path, env={"DIE": "1"})
    assert run.returncode not in (0, 10, 11, 12)
    assert "blindspot" not in run.stdout.replace(str(tmp_path), "")
