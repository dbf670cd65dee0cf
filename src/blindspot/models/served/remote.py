"""What all models on a server have in common: its identity, its notes, many requests at once."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar
from uuid import uuid4

from blindspot.models.base import UNKNOWN, Identity
from blindspot.models.pulse import beat, silent
from blindspot.models.served.client import Client
from blindspot.models.served.introduction import Introduction
from blindspot.models.served.settings import ServerSettings
from blindspot.models.server import Server

Request = TypeVar("Request")
Result = TypeVar("Result")
#: Seconds between two looks whether a server answers at all.
_LOOK_S = 1.0


class Met(Protocol):
    """What is known of a server at the least once the hands were shaken."""

    @property
    def server(self) -> Server:
        """What is known of it."""
        ...

    @property
    def identity(self) -> Identity:
        """The identity of its model."""
        ...


class RemoteModel(ABC):
    """A model on a server; the first use shakes hands with it."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._client = Client(settings)
        self._run = _run_name()

    @cached_property
    @abstractmethod
    def _met(self) -> Met:
        """Shake hands."""

    def _otherwise(self, introduction: Introduction) -> str:
        """What stands for weights that nobody here can read: this server in this run alone."""
        settings = self._settings
        return "\n".join((settings.base_url, settings.model, introduction.kind, self._run))

    def check_files(self) -> None:
        """Shake hands with the server."""
        _ = self._met

    @property
    def identity(self) -> Identity:
        """The identity of the model."""
        return self._met.identity

    @property
    def server(self) -> Server:
        """What is known of its server."""
        return self._met.server

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers of its answers should know."""
        met = self.__dict__.get("_met")
        if met is None:
            return ()
        return tuple(_notes_of(self._settings.name, met.server, met.identity))

    def release(self) -> None:
        """Close the connections; the next request opens them again."""
        self._client.close()


def _notes_of(name: str, server: Server, identity: Identity) -> list[str]:
    """What readers of a served model's answers should know."""
    said = f"{name}: {server.kind or 'a server'} at {server.address}"
    if server.scores:
        said += f"; log-probabilities by {server.scores}"
    if server.spread > 0:
        said += f", the same ones up to {server.spread:.1g} nats apart"
    found = [said]
    if identity.weights.startswith(UNKNOWN):
        found.append(
            f"{name}: its weights are unknown: no answer is found again by a later run, and no "
            "baseline compared without --allow-mismatch weights; name them with weights=DIR"
        )
    if not server.greedy:
        found.append(f"{name}: the same prompt does not always give the same answer there")
    return found


def _run_name() -> str:
    """A name that no other run has; the workers of one run share it."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex


def each(
    client: Client,
    at_once: int,
    asked: Sequence[Request],
    answer: Callable[[Request], Result],
    done: Callable[[int, Result], None],
) -> None:
    """Answer all requests, some at once; ``done`` is called in this thread, in any order.

    What it raises ends the work: connections are broken, and nothing is asked any more.
    """
    client.open()
    with ThreadPoolExecutor(at_once, thread_name_prefix="blindspot-served") as pool:
        numbers = {pool.submit(answer, one): number for number, one in enumerate(asked)}
        finished: SimpleQueue[Future[Result]] = SimpleQueue()
        for future in numbers:
            future.add_done_callback(finished.put)
        try:
            while numbers:
                silent(client.silent_s)
                try:
                    future = finished.get(timeout=_LOOK_S)
                except Empty:
                    continue
                result = future.result()
                beat(getattr(result, "tokens", 0))
                done(numbers.pop(future), result)
        except BaseException:
            client.close()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            silent(0.0)
