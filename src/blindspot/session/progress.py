"""Progress of long work: a bar on a terminal, otherwise a line now and then.

A thread draws it every second, whatever the model does meanwhile, and ends the work of a run that
was given up.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from _thread import interrupt_main
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from types import TracebackType
from typing import Self

from tqdm import tqdm

from blindspot import files
from blindspot.errors import DismissalError
from blindspot.errors import line as one_line
from blindspot.models.pulse import heard, noticed
from blindspot.run.cost import Cost
from blindspot.run.turns import Watch
from blindspot.session.session import Session
from blindspot.session.told import SHARED, Told, told_in
from blindspot.session.workers import look

#: Seconds between two lines without a terminal, and between two looks.
LINE_S, TICK_S = 5.0, 1.0
#: Seconds of silence of a server that are worth a word.
_SILENCE_S = 3.0
#: Seconds of work of which the cost is not said.
SOON_S = 15.0
#: Share of the work that must be done before the time left is estimated from it: the first part
#: takes as long as loading the model.
_TELLING = 0.02
#: Seconds over which tokens are counted.
_WINDOW_S = 30.0
_MINUTE, _HOUR = 60, 3600


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def rounded(count: float) -> int:
    """To two digits."""
    return int(round(count, 2 - len(str(int(count)))))


class ProgressBar:
    """A tqdm bar on stderr; without a terminal, a line every `LINE_S` seconds.

    Args:
        total: how much there is to do; nothing is drawn of 0.
        label: of whom.
        unit: what is counted.
        enabled: whether to draw; it counts in any case.
    """

    def __init__(
        self, total: int, label: str, *, unit: str = "prompts", enabled: bool = True
    ) -> None:
        self.total, self.label, self.unit = total, one_line(label), unit
        self.done = self.tokens = 0
        self.silent = 0.0
        self._watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._enabled = enabled and total > 0
        self._began = self._told = time.monotonic()
        self._before: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._bar = tqdm(
            total=total,
            desc=self.label,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            disable=not (self._enabled and self._watched),
            bar_format="{desc} {percentage:3.0f}%|{bar}| {postfix}",
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
        self.done += count

    def computed(self, tokens: int) -> None:
        """Note that ``tokens`` more were computed."""
        self.tokens += tokens

    def waits(self, seconds: float) -> None:
        """Note that a server has answered nothing for ``seconds``."""
        self.silent = seconds

    def announce(self, cost: Cost) -> None:
        """Say what the work will cost, unless it is soon done."""
        if cost.seconds < SOON_S:
            return
        said = f"{cost.count:,} {cost.unit} to {'ask' if cost.unit == 'prompts' else 'do'}"
        if cost.stored:
            said += f", {cost.stored:,} more are in the store"
        if cost.tokens:
            said += f"; about {rounded(cost.tokens):,} tokens"
        if not math.isnan(cost.seconds):
            said += f", about {duration(cost.seconds)}"
        self._bar.write(f"{self.label}: {said}", file=sys.stderr)

    def say(self, said: str) -> None:
        """Print a line on the work."""
        if self._enabled:
            self._bar.write(f"{self.label}: {said}", file=sys.stderr)

    def draw(self, done: int, tokens: int, silent: float = 0.0) -> None:
        """Draw, or print a line if it is time.

        ``done``, ``tokens`` and the longest wait for a server (s): of all processes.
        """
        if not self._enabled:
            return
        now, done = time.monotonic(), min(self.total, done)
        said = self._said(now, done, tokens, silent)
        if self._watched:
            self._bar.n = done
            self._bar.set_postfix_str(said)
        elif now - self._told >= LINE_S:
            self._told = now
            print(f"{self.label}: {said}", file=sys.stderr, flush=True)

    def _said(self, now: float, done: int, tokens: int, silent: float) -> str:
        self._before.append((now, tokens))
        while now - self._before[0][0] > _WINDOW_S:
            self._before.popleft()
        said = f"{done:,} of {self.total:,} {self.unit}"
        if silent >= _SILENCE_S:
            return f"{said}, waiting for the server, {duration(silent)}"
        began, fewer = self._before[0]
        if tokens > fewer:
            said += f", {(tokens - fewer) / (now - began):,.0f} tokens/s"
        if done >= self.total * _TELLING:
            left = (now - self._began) * (self.total - done) / done
            return f"{said}, {duration(left)} left"
        return f"{said}, {duration(now - self._began)} so far"


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
    def __call__(self, size: int, label: str, unit: str) -> Iterator[Watch]:
        """A bar; only the first worker draws one."""
        if not size:
            yield Watch(self.attend)
            return
        enabled = self._session.worker_number == 0
        with (
            uncaptured(self._session),
            ProgressBar(size, label, unit=unit, enabled=enabled) as bar,
            heard(bar.computed),
            noticed(bar.waits),
            _Ticker(self, bar, self._session) as ticker,
        ):

            def told(count: int) -> None:
                self.attend()
                bar(count)

            yield Watch(told, ticker.keep, bar.announce, bar.say)

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


class _Ticker:
    """A thread that draws a bar every second, and interrupts the work of a run that was given up.

    Each process leaves in a file how far it is; the first worker draws the sum.
    """

    def __init__(self, bars: Bars, bar: ProgressBar, session: Session) -> None:
        self._bars, self._bar, self._directory = bars, bar, session.directory
        self._file = self._directory / f"{SHARED}{session.worker_number}"
        self._kept = 0
        self._given_up: DismissalError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        try:
            self._thread.join()
            self._tell()
        except KeyboardInterrupt:  # sent when the work was just ending
            if self._given_up is None:
                raise
        if self._given_up is not None and isinstance(error, KeyboardInterrupt):
            raise self._given_up from None

    def keep(self, count: int) -> None:
        """Note that ``count`` more are in the store."""
        self._kept += count

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            try:
                self._bars.attend()
            except DismissalError as error:
                self._given_up = error
                interrupt_main()  # the model may be in a long pass
                return
            mine = self._tell()
            others = [told for told in told_in(self._directory) if told.what == mine.what]
            done, tokens = (
                max(own, sum(getattr(told, name) for told in others))
                for name, own in (("done", mine.done), ("tokens", mine.tokens))
            )
            self._bar.draw(done, tokens, max(told.silent for told in (mine, *others)))

    def _tell(self) -> Told:
        bar = self._bar
        what = f"{bar.label} {bar.unit}"
        told = Told(what, bar.total, bar.done, self._kept, bar.tokens, bar.silent)
        with suppress(OSError):
            files.replace(self._file, json.dumps(asdict(told)))
        return told


def uncaptured(session: Session) -> AbstractContextManager[None]:
    """Show the progress bar despite pytest's capture."""
    plugins = session.config.pluginmanager
    if (terminal := plugins.get_plugin("terminalreporter")) is not None:
        terminal.ensure_newline()
    capture = plugins.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
