"""How the processes of a run take turns: one does a unit of work, the others go on or wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from blindspot.errors import ModelError
from blindspot.models.base import Progress
from blindspot.run.cost import Cost

#: Seconds between checks for the results of other processes, and until they count as hung.
POLL_S = 0.1
HUNG_S = 3600.0


Result = TypeVar("Result")


def unwatched(_: int) -> None:
    """Progress that nobody looks at."""


def unasked(_: Cost) -> None:
    """A cost that nobody asks for."""


def unheard(_: str) -> None:
    """A line that nobody reads."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is called while work goes on.

    Attributes:
        progress: called with what was done since the last call, and with 0 while waiting for
            others; what it raises ends the work.
        kept: called with how much of it is in the store.
        cost: called once with what all will cost, where that is estimated.
        said: called with what a model says of its cost before it is asked.
    """

    progress: Progress = unwatched
    kept: Progress = unwatched
    cost: Callable[[Cost], None] = unasked
    said: Callable[[str], None] = unheard


@contextmanager
def unseen(_: int) -> Iterator[Watch]:
    """Work that nobody watches."""
    yield Watch()


@dataclass(frozen=True, slots=True)
class Share:
    """The part of one process in the work of a run.

    Attributes:
        locks: directory shared by the processes of the run, None where there is only this one.
        start: number of this process: each begins with another unit.
        workers: how many processes share the work.
        known: never have the model do anything.
        watched: opened for what the store lacks, which may be 0.
    """

    locks: Path | None = None
    start: int = 0
    workers: int = 1
    known: bool = False
    watched: Callable[[int], AbstractContextManager[Watch]] = unseen

    @property
    def run(self) -> str:
        """Name of the run among its processes, "" where there is only this one."""
        return str(self.locks or "")


ALONE = Share()


def shared(
    count: int,
    do: Callable[[int], Result],
    *,
    locks: Path | None,
    start: int,
    progress: Progress,
) -> list[Result]:
    """Results of numbered work, each number done by one process at a time.

    First the free ones, from number ``start`` on; then those that others have begun, as they
    finish.
    """
    if locks is None:
        return [do(number) for number in range(count)]
    pending = sorted(range(count), key=lambda number: (number - start) % count)
    done: dict[int, Result] = {}
    patience = _Patience(progress)
    while pending:
        for number in pending:
            lock = FileLock(f"{locks}-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                done[number] = do(number)
            finally:
                lock.release()
        left = [number for number in pending if number not in done]
        if len(left) == len(pending):
            patience.wait()
        else:
            patience = _Patience(progress)
        pending = left
    return [done[number] for number in range(count)]


@contextmanager
def turn(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock that the processes of a run share; ``progress`` as of a `Share` while waiting.

    Raises:
        ModelError: another process holds it for an hour.
    """
    patience, mine = _Patience(progress), FileLock(lock)
    while True:
        try:
            mine.acquire(timeout=0)
            break
        except Timeout:
            patience.wait()
    try:
        yield
    finally:
        mine.release()


class _Patience:
    """Waiting for other processes: with a limit, and ready for the end of the run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._end = time.monotonic() + HUNG_S

    def wait(self) -> None:
        self._progress(0)
        if time.monotonic() > self._end:
            raise ModelError(
                f"another worker has finished nothing for {HUNG_S / 60:.0f} minutes; stop the run "
                "and try with --batch-size or without -n"
            )
        time.sleep(POLL_S)
