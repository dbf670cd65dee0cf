"""The replicas of a model at work: who does what, and what happens when one is lost. No Ray.

Every piece of work is done once by whoever is free. A replica that is lost, with its process or
with its machine, is replaced, and what it was doing is asked again. A replacement that finds no
place keeps nobody waiting while others are at work.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from blindspot.errors import ModelError, SilentError, line
from blindspot.models.pulse import beat, loaded
from blindspot.models.replicas.replica import Done, Load, Loaded, Work

#: Seconds in which a replica must find a place on the cluster and start there: a node may import
#: everything from a slow disk.
PLACE_S = 180.0
#: Seconds between two looks at what is done.
_TICK_S = 0.5
#: Times that one piece of work may be lost: some prompts end the process that computes them.
_LOSSES = 3


class LostError(Exception):
    """The process of a replica, or its machine, is gone."""


class Cluster(Protocol):
    """Where replicas run. Actors and tickets are handles that it alone understands.

    ``meet``: work that any actor does at once, and that names the node on which it is.
    """

    meet: Work[str]

    def start(self) -> Any:
        """A new actor, which may still have to find its place."""
        ...

    def ask(self, actor: Any, work: Work[Any]) -> Any:
        """Have an actor do a piece of work; a ticket for the result."""
        ...

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        """Which of these have a result; waits for one."""
        ...

    def result(self, ticket: Any) -> Done[Any]:
        """What came of it.

        Raises:
            LostError: the actor is gone.
            Exception: as the work did.
        """
        ...

    def end(self, actor: Any) -> None:
        """Stop an actor, whatever it does."""
        ...

    def room(self) -> str:
        """What of the cluster is free, in words."""
        ...


@dataclass(eq=False)
class _Member:
    """A replica. ``part``: what it does, None while it joins; ``ticket``: None while it is free."""

    actor: Any
    ticket: Any
    since: float
    node: str = ""
    part: int | None = None


@dataclass
class Roll:
    """Who has been at work: nodes, in the order in which they joined, and how many were lost."""

    nodes: list[str] = field(default_factory=list)
    lost: int = 0


class Crew:
    """Replicas that share lists of work.

    Args:
        name: of the model, for messages.
        cluster: where they run.
        count: how many.
        check: called with what each has loaded and its node, before it gets work; may raise.
        patience: seconds in which one must find a place.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        count: int,
        check: Callable[[Loaded, str], None] = lambda _loaded, _node: None,
        patience: float = PLACE_S,
    ) -> None:
        self._name, self._cluster, self._count = name, cluster, count
        self._check, self._patience = check, patience
        self._members: list[_Member] = []
        self._in_a_row = 0
        self._worked = False
        self.roll = Roll()

    def first(self, work: Work[Any]) -> Any:
        """What one replica says, which need not load its model; it is ended afterwards.

        Raises:
            ModelError: it finds no place, or is lost; or what the work raises.
        """
        actor = self._cluster.start()
        try:
            ticket = self._cluster.ask(actor, self._cluster.meet)
            if not self._cluster.wait([ticket], self._patience):
                raise self._no_place()
            self._cluster.result(ticket)
            ticket = self._cluster.ask(actor, work)
            while not self._cluster.wait([ticket], _TICK_S):
                pass
            return self._cluster.result(ticket).value
        except LostError as error:
            raise ModelError(f"{self._name}: a replica was lost: {line(error, 300)}") from error
        finally:
            self._cluster.end(actor)

    def each(self, parts: Sequence[Work[Any]], done: Callable[[int, Any], None]) -> None:
        """Do all parts; ``done`` is called with the number of each and its result, in any order.

        What it raises ends the work, and the replicas with it.

        Raises:
            ModelError: no replica is left or found a place, they hold different models, or some
                work is lost again and again; or what the work raises.
            SilentError: no replica is left, or some work is lost again and again, after other work
                was done.
        """
        try:
            self._open()
            waiting = deque(range(len(parts)))
            losses: Counter[int] = Counter()
            while waiting or any(one.part is not None for one in self._members):
                for member in self._members:
                    if waiting and member.ticket is None:
                        member.part = waiting.popleft()
                        self._ask(member, parts[member.part])
                for number, result in self._step():
                    if not isinstance(result, LostError):
                        beat(result.tokens)
                        done(number, result.value)
                        continue
                    losses[number] += 1
                    if losses[number] >= _LOSSES:
                        raise self._ended(
                            f"the same prompts ended {_LOSSES} replicas: {line(result, 300)}"
                        ) from result
                    waiting.append(number)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all replicas; the next work starts them again."""
        for member in self._members:
            self._cluster.end(member.actor)
        self._members = []

    def _open(self) -> None:
        """Start what is missing, and wait until those that have a place have loaded the model."""
        missing = self._count - len(self._members)
        if missing <= 0:
            return
        began = time.monotonic()
        for _ in range(missing):
            self._start()
        while any(one.ticket is not None for one in self._members):
            self._step()
            late = time.monotonic() - began > self._patience
            if late and all(one.ticket is None or not one.node for one in self._members):
                break  # the others join when they find a place
        loaded(time.monotonic() - began)

    def _start(self) -> None:
        member = _Member(self._cluster.start(), None, time.monotonic())
        self._ask(member, self._cluster.meet)
        self._members.append(member)

    def _ask(self, member: _Member, work: Work[Any]) -> None:
        member.ticket = self._cluster.ask(member.actor, work)

    def _step(self) -> list[tuple[int, Done[Any] | LostError]]:
        """Wait a moment; what became of the parts that are done or lost meanwhile.

        Raises:
            ModelError: nobody can do anything.
        """
        busy = {one.ticket: one for one in self._members if one.ticket is not None}
        found: list[tuple[int, Done[Any] | LostError]] = []
        for ticket in self._cluster.wait(list(busy), _TICK_S):
            member = busy[ticket]
            part, member.part, member.ticket = member.part, None, None
            try:
                result = self._cluster.result(ticket)
            except LostError as error:
                self._replace(member, error)
                if part is not None:
                    found.append((part, error))
                continue
            if part is not None:
                self._in_a_row, self._worked = 0, True
                found.append((part, result))
            elif not member.node:
                member.node = str(result.value)
                self._ask(member, Load())
            else:
                self._check(result.value, member.node)
                self.roll.nodes.append(member.node)
        placed = any(one.node for one in self._members)
        latest = max((one.since for one in self._members), default=0.0)
        if not placed and time.monotonic() - latest > self._patience:
            raise self._no_place()
        return found

    def _replace(self, member: _Member, error: LostError) -> None:
        """Start another in the place of one that is lost.

        Raises:
            ModelError: they are lost as soon as they are started.
        """
        self._cluster.end(member.actor)
        self._members.remove(member)
        self.roll.lost += 1
        self._in_a_row += 1
        if self._in_a_row > _LOSSES * self._count:
            raise self._ended(
                f"{self._in_a_row} replicas were lost and nothing was done: {line(error, 300)}"
            ) from error
        self._start()

    def _no_place(self) -> ModelError:
        return self._ended(
            f"no replica started on the Ray cluster within {self._patience:.0f} s; "
            f"{self._cluster.room()}; wait for other jobs, or ask less by --model-args "
            "replicas=N,gpus_per_replica=N"
        )

    def _ended(self, why: str) -> ModelError:
        """Why the work cannot go on, by whether any was done."""
        return (SilentError if self._worked else ModelError)(f"{self._name}: {why}")
