"""A plugin that ends an actor or a node of Ray in the middle: ``-p tests.unit.ray_losses``.

``RAY_LOSES=actor`` or ``node``: what is lost, by SIGKILL, after the first part that is done; or
``run``: Ctrl-C then. ``RAY_TIMES=N``: how often, after every second part. At the end it says how
many replicas are left, and how long ago that was.

On a cluster, ``python -m tests.unit.ray_losses actor 5`` repeats such a run and compares each with
one in a single process; ``actor 1 10`` loses ten actors in one run.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


def processes(*words: str) -> Iterator[int]:
    """Processes of this namespace whose commands hold all these words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in command for word in words):
            yield int(path.parent.name)


MODEL = "organism:blind"


def elsewhere() -> Iterator[int]:
    """All processes of the other node, as if its machine were gone; not what holds its network."""
    mine, keeper = Path("/proc/self/ns/net").readlink(), set(processes("sleep 100000"))
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        process = int(path.parts[2])
        with suppress(OSError):
            if path.readlink() != mine and process not in keeper:
                yield process


#: When something was lost.
LOST: list[float] = []


def lose(what: str) -> None:
    """End one of them, or interrupt this process."""
    LOST.append(time.monotonic())
    if what == "run":
        os.kill(os.getpid(), signal.SIGINT)
        return
    found = sorted(processes("ray::Replica")) if what == "actor" else list(elsewhere())
    assert found, f"no {what} to end"
    if what == "actor":
        found = [found[-len(LOST) % len(found)]]  # in turn, the latest one first
    for process in found:
        os.kill(process, signal.SIGKILL)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the work of replicas."""
    from blindspot.models.replicas.crew import Crew

    what, real = os.environ.pop("RAY_LOSES"), Crew.each
    left = [what] * int(os.environ.pop("RAY_TIMES", "1"))
    finished = 0

    def each(crew, parts, done):
        def told(number, value):
            nonlocal finished
            done(number, value)
            if left and len(parts) > 2:
                finished += 1
                if finished % 2:
                    lose(left.pop())

        real(crew, parts, told)

    Crew.each = each


def pytest_unconfigure() -> None:
    """Replicas have five seconds to end."""
    end = time.monotonic() + 5
    while (count := len(list(processes("ray::Replica")))) and time.monotonic() < end:
        time.sleep(0.1)
    ago = time.monotonic() - LOST[0] if LOST else math.nan
    print(f"replicas left: {count} after {ago:.1f} s", file=sys.stderr)


def judge(directory: Path, model: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, gates and output of a run; ``arguments``: beside those of all runs."""
    from tests.unit.test_replicas_ray import FEW, PATHS

    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--store", "none"]
    command += ["--model", model, "--limit", "4", "--output-path", str(directory)]
    done = subprocess.run(
        [*command, *FEW, *arguments, *PATHS], capture_output=True, text=True, check=False
    )
    report = json.loads((directory / "report.json").read_text("utf-8"))
    return done.returncode, {gate["id"]: gate for gate in report["gates"]}, done.stdout


def main(what: str, runs: int, times: int = 1) -> None:
    """Print a line for each run with so many losses."""
    with tempfile.TemporaryDirectory() as directory:
        code, gates, _ = judge(Path(directory, "alone"), MODEL)
        os.environ |= {"RAY_LOSES": what, "RAY_TIMES": f"{times}"}
        for number in range(1, runs + 1):
            more = ("--model-args", "replicas=2", "-p", "tests.unit.ray_losses")
            its_code, its_gates, said = judge(Path(directory, f"{number}"), f"ray:{MODEL}", *more)
            same = its_code == code and its_gates.keys() == gates.keys()
            apart = 0.0
            for gate, found in its_gates.items():
                one, other = found["value"], gates[gate]["value"]
                same &= found["verdict"] == gates[gate]["verdict"] and type(one) is type(other)
                apart = max(apart, abs(one - other) if one is not None else 0.0)
            lost = re.search(r"(\d+) replicas? lost", said)
            print(
                f"{number}: {what}, replicas lost {lost[1] if lost else 0}, exit {its_code}, "
                f"{len(its_gates)} verdicts {'the same' if same else 'DIFFER'}, values at most "
                f"{apart:.1e} apart",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
