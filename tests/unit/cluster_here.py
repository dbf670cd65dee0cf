"""Actors of this process instead of a cluster's: what they are sent and give back is pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from blindspot.models.replicas.crew import LostError
from blindspot.models.replicas.replica import Done, Replica
from blindspot.models.replicas.settings import RaySettings


@dataclass(frozen=True)
class Meet:
    """Name the node."""

    node: str

    def __call__(self, model: Any) -> str:
        """Its name."""
        return self.node


@dataclass(eq=False)
class Actor:
    """An actor: the number of its start, what it is, and what it was asked."""

    number: int
    replica: Any
    asked: list[Any] = field(default_factory=list)
    ended: bool = False


@dataclass(eq=False)
class Ticket:
    """Work of an actor."""

    actor: Actor
    work: Any
    number: int


class ClusterHere:
    """A `Cluster` in this process.

    Args:
        settings: of the model, None where actors are made by ``made``.
        count: replicas.
        made: what an actor is, by the number of its start.
        places: how many actors have a place at a time.
        lost: whether an actor is lost over a piece of work, by its number and how many it had.
    """

    version = "here"

    def __init__(
        self,
        settings: RaySettings | None = None,
        count: int = 2,
        made: Callable[[int], Any] | None = None,
        places: int = 1000,
        lost: Callable[[int, int], bool] = lambda _number, _asked: False,
    ) -> None:
        self.count, self.places, self.lost = count, places, lost
        self._made = made or (lambda _: Replica(settings.inner(0)))
        self.meet = Meet("node")
        self.actors: list[Actor] = []
        self._tickets = 0

    @property
    def alive(self) -> list[Actor]:
        """Actors that were not ended."""
        return [one for one in self.actors if not one.ended]

    def start(self) -> Actor:
        """As of `Cluster`."""
        number = len(self.actors)
        self.actors.append(Actor(number, self._made(number)))
        return self.actors[-1]

    def ask(self, actor: Actor, work: Any) -> Ticket:
        """As of `Cluster`."""
        actor.asked.append(work)
        self._tickets += 1
        return Ticket(actor, pickle.loads(pickle.dumps(work)), self._tickets)

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        """The oldest of those whose actors have a place."""
        placed = self.alive[: self.places]
        return sorted((t for t in tickets if t.actor in placed), key=lambda t: t.number)[:1]

    def result(self, ticket: Ticket) -> Done[Any]:
        """As of `Cluster`."""
        actor = ticket.actor
        if actor.ended or self.lost(actor.number, len(actor.asked)):
            raise LostError("its process ended")
        return pickle.loads(pickle.dumps(actor.replica.do(ticket.work)))

    def end(self, actor: Actor) -> None:
        """As of `Cluster`."""
        actor.ended = True

    def room(self) -> str:
        """As of `Cluster`."""
        return "nothing is free"
