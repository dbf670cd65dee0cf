"""The pulse of a model: each forward pass says how many tokens it computed, to anyone who listens.

A request may take minutes; passes take seconds at most. No backend has to have a pulse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LISTENER: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)


def beat(tokens: int) -> None:
    """Say that a pass has computed this many tokens."""
    if (listener := _LISTENER.get()) is not None:
        listener(tokens)


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
