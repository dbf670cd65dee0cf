"""Ending a run that can no longer be complete: at once, not after hours of work.

The controller leaves a note in the directory that the processes of the run share; a worker looks
for it whenever its model has finished a prompt. A worker that is busy loading a model or in a long
batch is killed.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from blindspot import files

NOTE = "dismissed"
#: Seconds that a worker has to see the note. execnet interrupts it 5 s after the exit request.
PATIENCE_S = 3.0


class DismissalError(BaseException):
    """The run was abandoned; the message says why.

    Not an `Exception`: a backend that retries all errors must not retry this.
    """


class Crew:
    """The workers of a run, as its controller sees them."""

    def __init__(self) -> None:
        self._gateways: list[Any] = []
        self._timer: threading.Timer | None = None

    def add(self, gateway: Any) -> None:
        """Note a new worker; ``gateway``: execnet's."""
        self._gateways.append(gateway)

    def dismiss(self, directory: Path, why: str) -> None:
        """Stop all workers without waiting for them."""
        files.replace(directory / NOTE, why)
        if self._gateways and self._timer is None:
            self._timer = threading.Timer(PATIENCE_S, self._end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        for gateway in self._gateways:
            gateway.exit()  # nothing, if it has already ended

    def close(self) -> None:
        """Leave the rest to xdist, which kills remaining workers."""
        if self._timer is not None:
            self._timer.cancel()


def look(directory: Path) -> None:
    """Look for the note.

    Raises:
        DismissalError: there is one.
    """
    note = directory / NOTE
    if note.exists():
        raise DismissalError(note.read_text("utf-8"))
