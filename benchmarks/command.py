"""Where the time of a whole command goes, beside the model's own.

    python -m benchmarks.command [--model organism:blind]

Runs the behavioural suite as a user does, once to fill an answer store and then from it, and
prints the CPU seconds of each part of the least of three such runs: for a real model, without and
with the files of `--output-path`, then for one that answers at once, which four times as many
prompts are asked too. A part does not count what another part does within it. CPU seconds, not
elapsed time: other processes may be at work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUITE = ("tests/implicit", "tests/explicit")
INSTANT = "instant"
FILE = "COMMAND_TIMES"
ROUNDS = 3
HEAVY = ("torch", "transformers", "scipy.stats", "hypothesis", "matplotlib")
PARTS = (
    "start",  # the interpreter, pytest and plugins, until the session begins
    "collection",
    "identity",  # who will answer: files, digests, configuration
    "planning",  # prompts, keys, units
    "store",
    "model",
    "reading",  # what the answers say
    "estimates",
    "judging",
    "record",  # the figures of all reports as plain data
    "tests",  # what pytest and its plugins do for each test
    "report",  # tables, files, exit code
    "end",
    "exit",  # of the interpreter, which frees everything
)


class Clock:
    """CPU seconds by part; the part that began last is running."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.calls = dict.fromkeys(PARTS, 0)
        self._running = ["start"]
        self._since = 0.0  # of the process: its start counts

    def _stop(self) -> None:
        now = time.process_time()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def switch(self, part: str) -> None:
        """From now on it is this part that runs where nothing else does."""
        self._stop()
        self._running[0] = part

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """What is done within is this part's."""
        self._stop()
        self._running.append(part)
        self.calls[part] += 1
        try:
            yield
        finally:
            self._stop()
            self._running.pop()

    def watch(self, part: str, owner: Any, *names: str) -> None:
        """Count the calls of some functions or methods as this part."""
        for name in names:
            setattr(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.within(part):
                return function(*arguments, **named)

        return timed


CLOCK = Clock()


def pytest_blindspot_model(name: str) -> Any:
    """A model that answers at once, for ``--model instant``."""
    return Instant() if name == INSTANT else None


class Instant:
    """Gives the first of the candidates that it was shown; keeps nothing else in mind."""

    def __init__(self) -> None:
        from blindspot.models.base import Identity

        digest = hashlib.sha256(INSTANT.encode()).hexdigest()
        self.identity = Identity(INSTANT, digest, digest, "float32", backend=INSTANT)
        self._answers: dict[str, str] = {}

    def score(self, requests: Sequence[Any], *, progress: Any = None) -> list[tuple[float, ...]]:
        self._answers = {r.prompt: r.candidates[0] for r in requests}
        return [tuple(-float(place) for place in range(len(r.candidates))) for r in requests]

    def generate(self, requests: Sequence[Any], *, progress: Any = None) -> list[Any]:
        from blindspot.models.base import Generation

        return [Generation(f" {self._answers[r.prompt]}", 10, True, 1.0) for r in requests]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing of ours is imported before: what collection imports is its own."""
    CLOCK.switch("end")
    with CLOCK.within("collection"):
        result = yield
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[None]:
    """Watch the parts from here on."""
    with CLOCK.within("planning"):
        from blindspot.gates import outcomes
        from blindspot.models.transformers import deferred
        from blindspot.run import result
        from blindspot.session import execution, tests
        from blindspot.session.session import Session
        from blindspot.store import Store

    CLOCK.watch("planning", tests, "prepare")
    CLOCK.watch("identity", deferred, "identify")
    CLOCK.watch("store", Session, "open_store")
    CLOCK.watch("store", Store, "use", "get", "put", "close")
    CLOCK.watch("reading", result, "measure", "noise_floor")
    CLOCK.watch("estimates", execution, "outcomes")
    CLOCK.watch("judging", outcomes, "judge")
    CLOCK.watch("record", execution, "build_record")
    with CLOCK.within("tests"):
        result = yield
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Iterator[None]:
    """Files and tables."""
    with CLOCK.within("report"):
        result = yield
    return result


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the times for the process that started this one."""
    from blindspot.session.tests import RAN

    ran = config.stash[RAN]
    assert ran.measured is not None
    found = {
        "prompts": ran.measured.prompts,
        "gates": len(ran.cases),
        "heavy imports": sum(name in sys.modules for name in HEAVY),
    }
    CLOCK.switch("end")
    text = json.dumps(found | {"seconds": CLOCK.seconds})
    Path(os.environ[FILE]).write_text(text, "utf-8")


def three_more_axes(directory: Path) -> None:
    """Axes like the shipped one, of other words, so that there are four times the prompts."""
    text = (ROOT / "fixtures/axes/race.toml").read_text("utf-8")
    for name in ("second", "third", "fourth"):
        lines = []
        for line in text.splitlines():
            key, equals, value = line.partition(" = ")
            if key in ("positive", "negative") and value.startswith("["):
                words = [f"{word}{name}" for word in json.loads(value)]
                lines.append(f"{key}{equals}{json.dumps(words)}")
            else:
                lines.append(f'name = "{name}"' if key == "name" else line)
        (directory / f"{name}.toml").write_text("\n".join(lines) + "\n", "utf-8")


def run(directory: Path, model: str, *arguments: str) -> dict[str, Any]:
    """One command in a process of its own."""
    times = directory / "times.json"
    command = [sys.executable, "-m", "pytest", "-p", "benchmarks.command", "-p", "no:cacheprovider"]
    command += ["-q", "--tb=no", "-rN", "--model", model, "--store", str(directory / "store")]
    command += [*arguments, *SUITE]
    environment = os.environ | {FILE: str(times), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = children()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 10, 12):
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout[-2000:]}")
    found: dict[str, Any] = json.loads(times.read_text("utf-8"))
    found["seconds"]["exit"] = children() - before - sum(found["seconds"].values())
    return found


def others(directory: Path, model: str, gates: int) -> Iterator[tuple[str, float]]:
    """What else is worth knowing, in CPU seconds: each the least of some processes."""
    importing = "import time, pytest; began = time.process_time(); import blindspot.plugin; "
    importing += "print(time.process_time() - began)"
    yield "import of the plugin", min(float(called("-c", importing)[1]) for _ in range(ROUNDS))
    collecting = ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    whole = (*collecting, "--model", model, *SUITE)
    yield "--collect-only", min(called(*whole)[0] for _ in range(ROUNDS))
    # The loop of pytest alone, over as many tests that do nothing.
    (directory / "conftest.py").write_text(BARE_LOOP, "utf-8")
    test = f"import pytest\n@pytest.mark.parametrize('n', range({gates}))\ndef test(n):\n    pass\n"
    (directory / "test_nothing.py").write_text(test, "utf-8")
    bare = ("-m", "pytest", "-qs", "-p", "no:cacheprovider", f"--rootdir={directory}", directory)
    words = [called(*map(str, bare))[1].split() for _ in range(ROUNDS)]
    yield "tests, of pytest itself", min(float(said[said.index("LOOP") + 1]) for said in words)


BARE_LOOP = """
import time, pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop():
    began = time.process_time()
    result = yield
    print(" LOOP", time.process_time() - began)
    return result
"""


def called(*arguments: str) -> tuple[float, str]:
    """CPU seconds and output of a Python process."""
    before = children()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return children() - before, done.stdout


def children() -> float:
    """CPU seconds of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default="organism:blind")
    arguments = parser.parse_args()
    columns: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        more = Path(name) / "more"
        more.mkdir()
        three_more_axes(more)
        for title, model, options in (
            (arguments.model, arguments.model, ()),
            ("and its reports", arguments.model, ("--output-path", f"{name}/out")),
            (INSTANT, INSTANT, ()),
            ("4 times as many", INSTANT, ("--include-path", str(more))),
        ):
            run(Path(name), model, *options)  # fills the store
            warm = [run(Path(name), model, *options) for _ in range(ROUNDS)]
            columns[title] = min(warm, key=lambda found: sum(found["seconds"].values()))
        first = columns[arguments.model]
        rest = dict(others(Path(name), arguments.model, first["gates"]))
    print(f"{'CPU seconds':18}" + "".join(f"{title:>16}" for title in columns))
    for part in PARTS:
        print(f"{part:18}" + "".join(f"{c['seconds'][part]:16.2f}" for c in columns.values()))
    print(f"{'all':18}" + "".join(f"{sum(c['seconds'].values()):16.2f}" for c in columns.values()))
    for what in ("prompts", "gates", "heavy imports"):
        print(f"{what:18}" + "".join(f"{c[what]:16,}" for c in columns.values()))
    for what, seconds in rest.items():
        print(f"{what}: {seconds:.3f} s")


if __name__ == "__main__":
    main()
