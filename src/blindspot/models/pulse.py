"""The pulse of a model: each forward pass says how many tokens it computed, to anyone who listens.

A request may take minutes; passes take seconds at most. No backend has to have a pulse. A backend
that loads its model at the first request says how long that took, so that it counts as no answer's.
One that waits for a server says for how long nothing was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
def noticed(waiting: Callable[[float], None]) -> Iterator[None]:
    """Have a server that answers nothing call ``waiting`` with its seconds of silence."""
    token = _WAITING.set(waiting)
    try:
        yield
    finally:
        _WAITING.reset(token)


@contextmanager
def discounted(clock: Callable[[float], None]) -> Iterator[None]:
    """Have loads of a model within call ``clock`` with their seconds."""
    token = _CLOCK.set(clock)
    try:
        yield
    finally:
        _CLOCK.reset(token)


@contextmanager
def heard(listener: Callable[[int], None]) -> Iterator[None]:
    """Have the passes within call ``listener`` with the tokens that they computed.

    Who listens outside hears them too.
    """
    outer = _LISTENER.get()

    def both(tokens: int) -> None:
        listener(tokens)
        if outer is not None:
            outer(tokens)

    token = _LISTENER.set(both)
    try:
        yield
    finally:
        _LISTENER.reset(token)
