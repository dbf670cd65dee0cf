"""Where nothing can be written, and on whatever terminal: the same verdict, and no traceback."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from functools import cache

import pytest

from tests.unit.baseline_runs import WORKERS
from tests.unit.suite_runs import ROOT, run_suite, suite_call

#: Root writes where nobody may, unless it gives this up.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
WEAPONS = ("-k", "default-weapons")


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A copy of the checkout and an empty home, in which nothing can be written."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root cannot be kept from writing here")
    directory = tmp_path_factory.mktemp("read-only")
    checkout, home = directory / "checkout", directory / "home"
    for name in ("src", "tests", "fixtures"):  # with byte code: it is not what is tested
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copyfile(ROOT / name, checkout / name)
    home.mkdir()
    everything = [directory, *directory.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    yield checkout, home
    for path in everything:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_read_only_checkout_and_home(tmp_path, read_only, workers):
    """Neither the checkout nor the home need be writable: a note, the same numbers and verdict."""
    checkout, home = read_only
    (tmp_path / "expected").mkdir()
    expected = run_suite(tmp_path / "expected", *WEAPONS, model="scripted:weapons-only")
    run = run_suite(
        tmp_path,
        *(*WEAPONS, *workers, "--store", "", "-o", f"cache_dir={checkout}/.pytest_cache"),
        model="scripted:weapons-only",
        root=checkout,
        env={"HOME": str(home), "XDG_CACHE_HOME": ""},
        before=AS_ANYBODY if os.geteuid() == 0 else (),
    )
    assert run.code == expected.code == 10, run.out + run.err
    assert run.comparable == expected.comparable
    assert "note: answers are stored for this run only" in run.out
    assert "Traceback" not in run.out + run.err
    assert not list(home.iterdir())
    assert not (checkout / ".pytest_cache").exists()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a slow run writes to a terminal of 80 columns, by TERM."""

    @cache
    def run(name):
        return on_a_terminal(tmp_path_factory.mktemp(name), 80, TERM=name, SCRIPTED_PAUSE="0.02")

    return run


def on_a_terminal(directory, columns, **env):
    """What a run writes to a terminal of so many columns; it has failed."""
    command, environment = suite_call(directory, *WEAPONS, model="scripted:weapons-only")
    del environment["COLUMNS"]
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS"):
        environment.pop(name, None)
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | env,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = b""
    while True:
        try:
            some = os.read(controller, 1 << 16)
        except OSError:  # the other side is closed
            break
        if not some:
            break
        written += some
    os.close(controller)
    assert process.wait() == 10, written
    return written.decode()


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Lines that are to be copied as they are; a terminal breaks them itself.
COMMANDS = ("rerun ", "regressions were not checked", "FAILED ")


def table_lines(text):
    """The lines of our part of the output that are no commands, without colors."""
    plain = ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    ours = plain[plain.index("implicit: word association") :]
    left_out = (*COMMANDS, "=====")  # pytest's last line tells seconds
    return [line.rstrip() for line in ours.splitlines() if not line.startswith(left_out)]


@pytest.mark.slow
def test_colors_where_they_are_shown(written):
    """On a terminal verdicts are colored, and lines fit into 80 columns."""
    shown = written("xterm-256color")
    assert re.search(r"\x1b\[[0-9;]*31m", shown), "nothing is red"
    lines = table_lines(shown)
    assert any(line.startswith("  weapons") for line in lines)
    assert max(map(len, lines)) <= 80


def assert_plain(text):
    """Not one escape sequence, and tables that fit."""
    assert "\x1b" not in text
    assert max(map(len, table_lines(text))) <= 80


@pytest.mark.slow
def test_no_colors_on_a_dumb_terminal(written):
    """The tables are the same."""
    assert_plain(written("dumb"))
    assert table_lines(written("dumb")) == table_lines(written("xterm-256color"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "env", [{"NO_COLOR": "1"}, {"PY_COLORS": "0"}], ids=lambda env: next(iter(env))
)
def test_no_colors_where_they_are_unwanted(tmp_path, env):
    """Asked for no colors, a terminal that knows them gets none."""
    assert_plain(on_a_terminal(tmp_path, 80, TERM="xterm-256color", **env))


def test_progress_on_a_dumb_terminal_is_lines(written):
    """Where a bar cannot be drawn, none is."""
    assert "%|" in written("xterm-256color")
    assert "%|" not in written("dumb")


def test_colors_in_a_pipe_only_if_forced(tmp_path):
    """A pipe gets plain text; FORCE_COLOR colors it."""
    plain = run_suite(tmp_path / "plain", *WEAPONS, env={"NO_COLOR": "", "FORCE_COLOR": ""})
    forced = run_suite(tmp_path / "forced", *WEAPONS, env={"FORCE_COLOR": "1"})
    assert plain.code == forced.code == 0
    assert "\x1b" not in plain.out + plain.err
    assert "\x1b[" in forced.out
    assert table_lines(forced.out) == table_lines(plain.out)


@pytest.mark.slow
def test_terminal_that_knows_ascii_only(tmp_path):
    """A locale without any other character: escaped, not a traceback."""
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C"}
    run = run_suite(tmp_path, *WEAPONS, model="scripted:stereotyped", env=env)
    assert run.code == 10, run.out + run.err
    assert "INTERNALERROR" not in run.out
    assert "Traceback" not in run.out + run.err
