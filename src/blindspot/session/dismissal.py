"""Ending a run that can no longer be complete: at once, not after hours of asking.

The controller leaves a note in the directory that the processes of the run share; a worker looks
for it whenever its model has finished a prompt. One that does not come to look, because it loads a
model or is deep in a long batch, is ended.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.run.turns import DismissalError

NOTE = "dismissed"
#: Seconds that a worker has to see the note. execnet interrupts it 5 s after it was told to exit.
PATIENCE_S = 3.0


class Crew:
    """The workers of a run, as its controller sees them."""

    def __init__(self) -> None:
        self._gateways: list[Any] = []
        self._timer: threading.Timer | None = None

    def add(self, gateway: Any) -> None:
        """Note a worker that is started; ``gateway``: execnet's."""
        self._gateways.append(gateway)

    def dismiss(self, directory: Path, why: str) -> None:
        """Have all workers stop, and go on without waiting for them."""
        files.replace(directory / NOTE, why)
        if self._gateways and self._timer is None:
            self._timer = threading.Timer(PATIENCE_S, self._end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        for gateway in self._gateways:
            gateway.exit()  # of one that has ended by itself, nothing

    def close(self) -> None:
        """Leave the rest to xdist, which ends what is left."""
        if self._timer is not None:
            self._timer.cancel()


def look(directory: Path) -> None:
    """Look for the note.

    Raises:
        DismissalError: it is there.
    """
    note = directory / NOTE
    if note.exists():
        raise DismissalError(note.read_text("utf-8"))
