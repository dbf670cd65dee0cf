"""What all models on a server have in common: acquaintance, identity, many requests at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar
from uuid import uuid4

from blindspot.errors import ModelError
from blindspot.models.base import UNKNOWN, Identity
from blindspot.models.pulse import beat, silent
from blindspot.models.served.acquaintance import Acquaintance, Met
from blindspot.models.served.client import Client
from blindspot.models.served.introduction import Introduction, introduced
from blindspot.models.served.settings import ServerSettings
from blindspot.models.server import Server

Request = TypeVar("Request")
Result = TypeVar("Result")
#: Seconds between two looks whether a server answers at all.
_LOOK_S = 1.0


class RemoteModel(ABC):
    """A model on a server, which shakes hands with it before it asks anything."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._client = Client(settings)
        self._acquaintance = Acquaintance(settings)
        self._run = uuid4().hex
        self._now: Met | None = None

    def share(self, run: Path, store: Path | None) -> None:
        """Share what is known of the server, before it is asked anything.

        Args:
            run: directory of the run, whose other processes then need not shake hands.
            store: directory of the store, for later runs; None if nothing is kept.
        """
        self._acquaintance = Acquaintance(self._settings, run, store)
        self._run = run.name

    @abstractmethod
    def _shake(self) -> Met:
        """Shake hands."""

    @abstractmethod
    def _identified(self, met: Met) -> Identity:
        """The identity of the model."""

    @abstractmethod
    def _files(self) -> tuple[str, ...]:
        """Digests of the weights and of what else of the model is here."""

    @cached_property
    def _introduction(self) -> Introduction:
        with self._acquaintance.turn():
            found = self._acquaintance.introduction()
            if found is None:
                found = introduced(self._settings, self._client)
                self._acquaintance.introduce(found)
        return found

    @property
    def _met(self) -> Met:
        """The handshake; until something is asked, that of an earlier run is as good."""
        if self._now is None and (found := self._acquaintance.met()) is not None:
            self._take(found)
        return self._now or self._before or self._meet()

    @cached_property
    def _before(self) -> Met | None:
        return self._acquaintance.met_before(self._model)

    @property
    def _model(self) -> object:
        """What decides which model this is; None if nobody knows."""
        found = self._files()
        return None if found[0].startswith(UNKNOWN) else [*found, asdict(self._introduction)]

    def _take(self, met: Met) -> None:
        self._now = met
        self._client.trust()

    def _meet(self) -> Met:
        """The handshake of this run."""
        model = self._model
        with self._acquaintance.turn():
            if (found := self._acquaintance.met()) is None:
                found = self._shake()
                self._acquaintance.keep(found, model)
        self._take(found)
        return found

    def _ready(self) -> None:
        """Shake hands, if only an earlier run has.

        Raises:
            ModelError: the server cannot be trusted, or does otherwise than before.
        """
        if self._now is None:
            known = self.identity.fingerprint()
            if self._identified(self._meet()).fingerprint() != known:
                raise ModelError(
                    f"{self._settings.name}: {self._settings.base_url} does otherwise than in an "
                    "earlier run, whose answers would not be its own; run again"
                )

    def _otherwise(self) -> str:
        """What stands for weights that nobody here can read: this server in this run alone."""
        settings = self._settings
        return "\n".join((settings.base_url, settings.model, self._introduction.kind, self._run))

    def check_files(self) -> None:
        """Shake hands with the server, unless an earlier run has."""
        _ = self._met

    @property
    def identity(self) -> Identity:
        """The identity of the model."""
        return self._identified(self._met)

    @property
    def server(self) -> Server:
        """What is known of its server."""
        return self._met.server

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers of its answers should know."""
        if self._now is None and self.__dict__.get("_before") is None:
            return ()
        return tuple(_notes_of(self._settings.name, self.server, self.identity))

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
