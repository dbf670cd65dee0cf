"""What the processes of a run tell each other of their progress, in the directory they share."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: How the names of these files begin, before the number of the worker.
SHARED = "progress-"


@dataclass(frozen=True, slots=True)
class Told:
    """How far a process is: of ``total``, ``done`` and ``kept`` in the store; ``tokens`` computed.

    ``what``: label and unit of its bar; ``silent``: seconds that it has waited for a server.
    """

    what: str
    total: int
    done: int
    kept: int
    tokens: int
    silent: float = 0.0


def told_in(directory: Path) -> list[Told]:
    """What the processes of a run have last told in the directory that they share."""
    found = []
    for path in sorted(directory.glob(f"{SHARED}*")):
        with suppress(OSError, ValueError, TypeError):
            found.append(Told(**json.loads(path.read_text("utf-8"))))
    return found
