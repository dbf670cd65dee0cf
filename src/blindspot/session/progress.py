"""Progress of long work: a bar on a terminal, otherwise a few lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Self

from tqdm import tqdm

from blindspot.errors import DismissalError
from blindspot.errors import line as one_line
from blindspot.models.base import Progress
from blindspot.session.session import Session
from blindspot.session.workers import look

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


class Bars:
    """The progress bars of a process, which also end its work when the run is given up."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._directory = session.directory if session.worker else None
        config = session.config
        timeout = config.pluginmanager.get_plugin("timeout")
        key = getattr(timeout, "SESSION_EXPIRE_KEY", None)  # pytest-timeout looks between tests
        self._expires = config.stash.get(key, None) if key is not None else None

    @contextmanager
    def __call__(self, size: int, label: str, unit: str) -> Iterator[Progress]:
        """A bar; only the first worker draws one."""
        enabled = self._session.worker_number == 0
        with (
            uncaptured(self._session),
            ProgressBar(size, label, unit=unit, enabled=enabled) as progress,
        ):

            def told(count: int) -> None:
                self.attend(count)
                progress(count)

            yield told

    def attend(self, _: int = 0) -> None:
        """Look whether the run was given up, or has taken too long.

        Raises:
            DismissalError: says which.
        """
        if self._directory is not None:
            look(self._directory)
        if self._expires and time.time() > self._expires:
            why = "--session-timeout: exceeded while the model was answering"
            self._session.ledger.lose(why)
            raise DismissalError(why)


def uncaptured(session: Session) -> AbstractContextManager[None]:
    """Show the progress bar despite pytest's capture."""
    plugins = session.config.pluginmanager
    if (terminal := plugins.get_plugin("terminalreporter")) is not None:
        terminal.ensure_newline()
    capture = plugins.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
