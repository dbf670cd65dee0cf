"""A plugin that ends an actor or a node of Ray in the middle: ``-p tests.unit.ray_losses``.

``RAY_LOSES=actor`` or ``node``: what is lost, by SIGKILL, after the first part that is done; or
``run``: Ctrl-C then. At the end it says how many replicas are left, and how long ago that was.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ray_nodes import OTHER


def processes(*words: str) -> Iterator[int]:
    """Processes of this namespace whose commands hold all these words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in command for word in words):
            yield int(path.parent.name)


#: When something was lost.
LOST: list[float] = []


def lose(what: str) -> None:
    """End one of them, or interrupt this process."""
    LOST.append(time.monotonic())
    if what == "run":
        os.kill(os.getpid(), signal.SIGINT)
        return
    words = ("ray::Replica",) if what == "actor" else ("raylet/raylet ", OTHER)
    found = sorted(processes(*words))
    assert found, f"no {what} to end"
    os.kill(found[-1], signal.SIGKILL)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the work of replicas."""
    from blindspot.models.replicas.crew import Crew

    what, real = os.environ.pop("RAY_LOSES"), Crew.each
    left = [what]

    def each(crew, parts, done):
        def told(number, value):
            done(number, value)
            if left and len(parts) > 2:
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
