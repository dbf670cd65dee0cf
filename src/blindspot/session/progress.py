"""Progress of long work: a bar on a terminal, otherwise a few lines."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from blindspot.errors import line as one_line

_QUIET_SECONDS = 15.0


class ProgressBar:
    """A tqdm bar on stderr; without a terminal, a line at every tenth of long work."""

    def __init__(
        self, total: int, label: str, *, unit: str = "prompts", enabled: bool = True
    ) -> None:
        self.total, self.label, self.unit = total, one_line(label), unit
        self._watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._enabled = enabled
        self._done = 0
        self._told = 0
        self._started = time.monotonic()
        self._bar = tqdm(
            total=total,
            desc=self.label,
            unit=f" {unit}",
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            disable=not (enabled and self._watched),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def __call__(self, count: int) -> None:
        """Note that ``count`` more are done."""
        self._done += count
        self._bar.update(count)
        if self._watched or not self._enabled or not self.total:
            return
        tenth = 10 * self._done // self.total
        seconds = time.monotonic() - self._started
        if tenth > self._told and seconds > _QUIET_SECONDS:
            self._told = tenth
            line = f"{self.label}: {self._done} of {self.total} {self.unit}, {seconds:.0f} s"
            print(line, file=sys.stderr, flush=True)
