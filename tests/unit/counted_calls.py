"""Counts what a run of the suite does: load with ``-p tests.unit.counted_calls``.

Leaves a JSON file where ``COUNTED_CALLS`` says: calls by name, those that differ in what follows
the first argument, and which heavy modules were imported.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from functools import wraps
from pathlib import Path

import pytest

#: Without hypothesis: its own pytest plugin imports it to print its summary.
HEAVY = ("torch", "transformers", "tokenizers", "scipy.stats")
CALLS: Counter[str] = Counter()


def watch(owner, name):
    """Count the calls of a function where it is looked up."""
    function, seen = getattr(owner, name), set()

    @wraps(function)
    def counted(*arguments, **named):
        CALLS[name] += 1
        seen.add(repr(arguments[1:]))
        CALLS[f"{name}, different"] = len(seen)
        return function(*arguments, **named)

    setattr(owner, name, counted)


@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    from blindspot.gates import outcomes
    from blindspot.models.transformers import deferred
    from blindspot.run import result
    from blindspot.session import execution

    for name in ("identify", "load"):
        watch(deferred, name)
    watch(result, "read")
    watch(result.Measured, "_compute")
    watch(outcomes, "judge")
    watch(execution, "build_record")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    heavy = [name for name in HEAVY if name in sys.modules]
    found = {"calls": CALLS, "heavy": heavy}
    Path(os.environ["COUNTED_CALLS"]).write_text(json.dumps(found), "utf-8")
