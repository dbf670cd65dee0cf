"""A model that several machines hold: ``--model ray:NAME --model-args replicas=N``.

Each replica is the model as one process would hold it, with the same engine, on a node of a Ray
cluster. Its identity is that of ``NAME``: stored answers and baselines are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

from blindspot import __version__
from blindspot.errors import ModelError, line
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Progress,
    Scored,
    ScoreRequest,
    in_order,
)
from blindspot.models.options import ModelOptions
from blindspot.models.replicas.cluster import RayCluster
from blindspot.models.replicas.crew import Crew
from blindspot.models.replicas.parts import scopes
from blindspot.models.replicas.replica import Answer, Generate, Identify, Loaded, Score
from blindspot.models.replicas.settings import RaySettings
from blindspot.models.replicas.stream import SharedStream
from blindspot.paths import RAY_PREFIX


class RayModel:
    """A `LanguageModel` with a residual stream, computed by the replicas of a Ray cluster."""

    def __init__(self, options: ModelOptions) -> None:
        self._settings = RaySettings.of(options)
        self._loaded: tuple[str, ...] | None = None

    @cached_property
    def _cluster(self) -> RayCluster:
        return RayCluster(self._settings)

    @cached_property
    def _crew(self) -> Crew:
        return Crew(self._settings.name, self._cluster, self.replicas, self._check)

    @property
    def replicas(self) -> int:
        """How many replicas there are."""
        return self._cluster.count

    def check_files(self) -> None:
        """Check that there is a cluster, and the model on it; before replicas take all its places.

        Raises:
            ModelError: there is not, or it has no room.
        """
        _ = self.identity

    @cached_property
    def identity(self) -> Identity:
        """The identity of the model, as a node of the cluster finds it."""
        found: Identity = self._crew.first(Identify())
        return replace(found, name=self._settings.name.removeprefix(RAY_PREFIX))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the model and on who computed; none before a replica is loaded."""
        if self._loaded is None:
            return ()
        roll = self._crew.roll
        nodes = list(dict.fromkeys(roll.nodes))
        said = (
            f"{self._settings.name}: {_counted(self.replicas, 'replica')} on "
            f"{_counted(len(nodes), 'node')} ({', '.join(nodes)}), Ray {self._cluster.version}"
        )
        if roll.lost:
            said += f"; {_counted(roll.lost, 'replica')} lost, the prompts were asked again"
        return (*self._loaded, said)

    @cached_property
    def residual(self) -> SharedStream:
        """Its residual stream."""
        self.check_files()
        return SharedStream(self._crew, self.replicas)

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Greedy continuations, in the order of the requests."""
        return in_order(self.generate_each, requests, progress)

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """Log-probability (nats) of each candidate as the whole continuation."""
        return in_order(self.score_each, requests, progress)

    def generate_each(
        self, requests: Sequence[GenerationRequest], done: Callable[[int, Generation], None]
    ) -> None:
        """Greedy continuations, each as soon as its part is complete."""
        self._shared(requests, lambda some: Generate([requests[n] for n in some]), done)

    def score_each(
        self, requests: Sequence[ScoreRequest], done: Callable[[int, Scored], None]
    ) -> None:
        """Log-probability (nats) of each candidate, part by part."""
        self._shared(requests, lambda some: Score([requests[n] for n in some]), done)

    def answer_each(
        self,
        scores: Sequence[ScoreRequest],
        generations: Sequence[GenerationRequest],
        scored: Callable[[int, Scored], None],
        generated: Callable[[int, Generation], None],
    ) -> None:
        """Both of the same prompts, each computed once."""

        def done(number: int, both: tuple[Scored, Generation]) -> None:
            scored(number, both[0])
            generated(number, both[1])

        self._shared(
            scores,
            lambda some: Answer([scores[n] for n in some], [generations[n] for n in some]),
            done,
        )

    def release(self) -> None:
        """End the replicas; the next request starts them again."""
        if "_crew" in self.__dict__:
            self._crew.close()

    def _shared(
        self,
        requests: Sequence[GenerationRequest] | Sequence[ScoreRequest],
        work: Callable[[Sequence[int]], Any],
        done: Callable[[int, Any], None],
    ) -> None:
        """Have the replicas do the requests; ``work``: of those with some numbers."""
        if not requests:
            return
        self.check_files()
        parts = scopes([request.prompt for request in requests], self.replicas)

        def finished(part: int, results: Sequence[Any]) -> None:
            for number, result in zip(parts[part], results, strict=True):
                done(number, result)

        self._crew.each([work(part) for part in parts], finished)

    def _check(self, loaded: Loaded, node: str) -> None:
        """Refuse a replica that would answer differently.

        Raises:
            ModelError: names the node and the difference.
        """
        if loaded.version != __version__:
            raise ModelError(
                f"{self._settings.name}: node {node} has pytest-blindspot {loaded.version}, this "
                f"one {__version__}; install the same version on every node"
            )
        if loaded.identity.fingerprint() != self.identity.fingerprint():
            raise ModelError(
                f"{self._settings.name}: the model of node {node} is another one: "
                f"{_difference(loaded.identity, self.identity)}; give every node the same files "
                "and versions"
            )
        self._loaded = loaded.notes


def _difference(one: Identity, other: Identity) -> str:
    """The fields in which two identities differ, in words."""
    named = [
        f"{each.name} {line(str(ours), 60)}, not {line(str(theirs), 60)}"
        for each in fields(Identity)
        if each.name not in ("name", "revision", "template_text", "parameters")
        and (ours := getattr(one, each.name)) != (theirs := getattr(other, each.name))
    ]
    return "; ".join(named)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
