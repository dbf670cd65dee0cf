"""The pulse of a model: each forward pass says how many tokens it computed, to anyone who listens.

A request may take minutes; passes take seconds at most. No backend has to have a pulse. A backend
that loads its model at the first request says how long that took, so that it counts as no answer's.
One that waits for a server says for how long nothing was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TypeVar

Heard = TypeVar("Heard")

_LISTENER: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)
_CLOCK: ContextVar[Callable[[float], None] | None] = ContextVar("clock", default=None)
_WAITING: ContextVar[Callable[[float], None] | None] = ContextVar("waiting", default=None)


def beat(tokens: int) -> None:
    """Say that a pass has computed this many tokens."""
    if (listener := _LISTENER.get()) is not None:
        listener(tokens)


def loaded(seconds: float) -> None:
    """Say that a request took so much longer because the model was loaded for it."""
    if (clock := _CLOCK.get()) is not None:
        clock(seconds)


def silent(seconds: float) -> None:
    """Say for how long a server has answered nothing; 0 if it answers."""
    if (waiting := _WAITING.get()) is not None:
        waiting(seconds)


@contextmanager
def _told(variable: ContextVar[Heard], listener: Heard) -> Iterator[None]:
    token = variable.set(listener)
    try:
        yield
    finally:
        variable.reset(token)


def noticed(waiting: Callable[[float], None]) -> AbstractContextManager[None]:
    """Have a server that answers nothing call ``waiting`` with its seconds of silence."""
    return _told(_WAITING, waiting)


def discounted(clock: Callable[[float], None]) -> AbstractContextManager[None]:
    """Have loads of a model within call ``clock`` with their seconds."""
    return _told(_CLOCK, clock)


def heard(listener: Callable[[int], None]) -> AbstractContextManager[None]:
    """Have the passes within call ``listener`` with the tokens that they computed.

    Who listens outside hears them too.
    """
    outer = _LISTENER.get()

    def both(tokens: int) -> None:
        listener(tokens)
        if outer is not None:
            outer(tokens)

    return _told(_LISTENER, both)
