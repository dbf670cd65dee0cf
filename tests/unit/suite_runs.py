"""Run the real suite with scripted models, in this process unless a process is the point."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from _pytest.capture import MultiCapture, SysCapture
from _pytest.unraisableexception import gc_collect_iterations_key

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SuiteRun:
    """What a run of the suite printed, returned and wrote."""

    code: int
    out: str
    err: str
    output_path: Path

    @cached_property
    def report(self) -> dict[str, Any]:
        """The content of report.json."""
        return json.loads((self.output_path / "report.json").read_text("utf-8"))

    @cached_property
    def gates(self) -> dict[str, dict[str, Any]]:
        """The gates of report.json by id."""
        return {gate["id"]: gate for gate in self.report["gates"]}

    @cached_property
    def samples(self) -> list[dict[str, Any]]:
        """The rows of samples.jsonl.gz."""
        with gzip.open(self.output_path / "samples.jsonl.gz", "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    @cached_property
    def comparable(self) -> dict[str, Any]:
        """All of report.json but the date and what names directories."""
        report = {
            key: value for key, value in self.report.items() if key not in ("date", "command")
        }
        if report.get("baseline"):
            named = ("path", "accept")
            kept = {key: value for key, value in report["baseline"].items() if key not in named}
            report["baseline"] = kept
        return report

    def effects(self, measurement: str, reading: str = "generated") -> list[dict[str, Any]]:
        """The effects of every category slice in one reading."""
        rows = self.report["effects"][measurement]
        return [row["effects"] for row in rows if row["reading"] == reading]


def run_suite(
    directory: Path,
    *arguments: str,
    model: str | None = "scripted:fair",
    limit: int | None = 1,
    env: dict[str, str] | None = None,
    plugin: bool = True,
    paths: tuple[str, ...] = ("tests/implicit", "tests/explicit"),
    root: Path = ROOT,
    cwd: Path | None = None,
    before: tuple[str, ...] = (),
    process: bool = False,
    drawn: bool = False,
) -> SuiteRun:
    """``pytest --model MODEL [...]`` from the checkout; what it writes goes to ``directory``.

    ``root``: another checkout; ``cwd``: where it is called, if not there; ``before``: a program
    that starts it; ``process``: in a process of its own, as is a run with one of the two or with
    another ``root``, and one that sets a variable which is read when a process starts.
    ``drawn``: with the page and the model card, whose drawing takes longer than most runs; a run
    of another ``root`` always has them.
    """
    starts = any(_OF_A_PROCESS.match(name) for name in env or {})
    if root == ROOT and not drawn:
        env = UNDRAWN | (env or {})
    if not (process or before or root != ROOT or starts):
        words = _command(directory, arguments, model, limit, plugin, paths)[3:]
        with _environs(_environment(root, env)), contextlib.chdir(cwd or root):
            code, out, err = _pytest_here(words)
        return SuiteRun(code, out, err, directory / "out")
    done = subprocess.run(
        [*before, *_command(directory, arguments, model, limit, plugin, paths)],
        cwd=cwd or root,
        env=_environment(root, env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return SuiteRun(done.returncode, done.stdout, done.stderr, directory / "out")


def run_here(
    directory: Path, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Exit code and output of pytest in another project, in this process; its plugin is ours."""
    words = ["-p", "no:anyio", "-p", "no:cacheprovider", "--no-header", *arguments]
    with _environs(_environment(ROOT, env)), contextlib.chdir(directory):
        code, out, err = _pytest_here(words)
    return code, out + err


def asked(log: Path) -> Counter[str]:
    """Prompts asked, by process, from the log of a model of these tests."""
    found: Counter[str] = Counter()
    for line in log.read_text("utf-8").splitlines() if log.exists() else ():
        process, count = line.split()
        found[process] += int(count)
    return found


def suite_call(
    directory: Path, *arguments: str, model: str, limit: int = 1
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of `run_suite`, to call from the checkout."""
    command = _command(directory, arguments, model, limit, True, ("tests/implicit",))
    return command, _environment(ROOT, UNDRAWN)


#: Read when a process starts or when a library is imported, or the end of the process.
_OF_A_PROCESS = re.compile(
    r"SCRIPTED_DIE_AFTER|PYTHON(?!PATH)|PYTEST_|HOME|XDG_CACHE_HOME|CUDA_VISIBLE_DEVICES"
)


@contextlib.contextmanager
def _environs(wanted: dict[str, str]) -> Iterator[None]:
    """The environment as it is given, and afterwards as it was."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(wanted)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _pytest_here(words: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and error of pytest, called in this process.

    Like ``pytester.runpytest_inprocess``, but libraries that the run is first to import stay.
    """
    modules, path = set(sys.modules), list(sys.path)
    threshold = gc.get_threshold()
    capture = MultiCapture(in_=SysCapture(0), out=SysCapture(1), err=SysCapture(2))
    capture.start_capturing()
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    try:
        code = int(pytest.main(words, plugins=[_Embedded()]))
    finally:
        out, err = capture.readouterr()
        capture.stop_capturing()
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if not (getattr(sys.modules[name], "__file__", None) or _LIBRARIES[0]).startswith(
                _LIBRARIES
            ):
                del sys.modules[name]
        gc.unfreeze()
        gc.set_threshold(*threshold)
    return code, out, err


#: Where modules lie that are the same in every run; others are test files.
_LIBRARIES = (sys.base_prefix, sys.prefix, str(ROOT / "src"))


class _Embedded:
    """A plugin of the inner run."""

    @staticmethod
    def pytest_configure(config: pytest.Config) -> None:
        """Collect no garbage at the end, which takes longer than most runs."""
        config.stash[gc_collect_iterations_key] = 0

    @staticmethod
    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(session: pytest.Session) -> None:
        """A model that is not scripted is not drawn either."""
        undrawn(session.config)


#: Set in the environment of a run that writes neither page nor model card.
UNDRAWN = {"SCRIPTED_UNDRAWN": "1"}


def undrawn(config: pytest.Config) -> None:
    """Write neither page nor model card if that is wanted; to be called when a run ends."""
    if os.environ.get("SCRIPTED_UNDRAWN") and not hasattr(config, "workerinput"):
        patch = pytest.MonkeyPatch()
        patch.setattr("blindspot.session.conclusion.publish", lambda directory, document: [])
        config.add_cleanup(patch.undo)


class StartedSuite:
    """The suite with a scripted model, left running, so that a test can do something to it."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        model: str = "scripted:fair",
        limit: int = 1,
        env: dict[str, str] | None = None,
        paths: tuple[str, ...] = ("tests/implicit", "tests/explicit"),
        drawn: bool = False,
    ) -> None:
        self.directory = directory
        self._log = Path((env or {}).get("SCRIPTED_LOG", directory / "asked"))
        env = {"SCRIPTED_LOG": str(self._log), **({} if drawn else UNDRAWN), **(env or {})}
        self._files = [(directory / name).open("w+") for name in ("stdout", "stderr")]
        self.process = subprocess.Popen(
            _command(directory, arguments, model, limit, True, paths),
            cwd=ROOT,
            env=_environment(ROOT, env),
            stdout=self._files[0],
            stderr=self._files[1],
            start_new_session=True,
            preexec_fn=_interruptible,  # noqa: PLW1509 (sets one signal, takes no lock)
        )

    def processes(self, count: int) -> list[int]:
        """The processes that ask a scripted model, once there are so many and each has begun."""
        found: set[int] = set()

        def begun() -> bool:
            lines = self._log.read_text("utf-8").splitlines() if self._log.exists() else []
            found.update(int(line.split()[0]) for line in lines)
            return len(found) == count

        self._wait(begun, f"no {count} processes came to ask")
        return sorted(found)

    def workers(self, said: str = "") -> set[int]:
        """The processes that it has started, once it has said this on standard error."""
        self._wait(lambda: said in self._text(1), f"it never said {said}")
        call = ["pgrep", "-P", str(self.process.pid)]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        return {int(line) for line in done.stdout.split()}

    def _wait(self, is_so: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + 120
        while not is_so():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.end(0)
                raise AssertionError(f"{otherwise}: {self._text(0)}{self._text(1)}")
            time.sleep(0.02)

    def end(self, seconds: float) -> tuple[SuiteRun, float]:
        """What it has done at its end, and how long that took; it is not let run on."""
        started = time.monotonic()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        took = time.monotonic() - started
        run = SuiteRun(
            self.process.returncode, self._text(0), self._text(1), self.directory / "out"
        )
        for file in self._files:
            file.close()
        return run, took

    def _text(self, number: int) -> str:
        return Path(self._files[number].name).read_text("utf-8")


def _interruptible() -> None:
    """Undo that a background job of a shell ignores SIGINT, as do all processes that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _command(
    directory: Path,
    arguments: tuple[str, ...],
    model: str | None,
    limit: int | None,
    plugin: bool,
    paths: tuple[str, ...],
) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:anyio"]
    if "no:terminal" not in arguments:
        command += ["--no-header"]
    if "no:cacheprovider" not in arguments:
        command += ["-o", f"cache_dir={directory}/cache"]
    if paths and not any("search" in path for path in paths):
        command += ["-p", "no:hypothesispytest"]  # a tenth of the start of every process
    if plugin:
        command += ["-p", "tests.unit.scripted"]
    if model is not None:
        command += ["--model", model]
    if limit is not None:
        command += ["--limit", str(limit)]
    if "--store" not in arguments:
        command += ["--store", str(directory / "store")]
    if "--baselines" not in arguments:
        command += ["--baselines", str(directory / "baselines")]
    return [*command, "--output-path", str(directory / "out"), *arguments, *paths]


def _environment(root: Path, env: dict[str, str] | None) -> dict[str, str]:
    # Without byte code kept, rewriting the assertions of our modules is half of a short run.
    left_out = ("CI", "PYTHONDONTWRITEBYTECODE")
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "SCRIPTED_", "BLINDSPOT_STORE", "GITHUB_"))
        and key not in left_out
    }
    # First of all the sources of the checkout, wherever it is called from.
    sources = [str(root), str(root / "src"), *filter(None, [clean.get("PYTHONPATH")])]
    return clean | {"COLUMNS": "80", "PYTHONPATH": os.pathsep.join(sources)} | (env or {})
