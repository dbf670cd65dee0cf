"""A Ray cluster on which replicas run. All that knows of Ray; it is imported on first use."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from blindspot.errors import BlindspotError, ModelError, line
from blindspot.models.replicas.crew import LostError
from blindspot.models.replicas.replica import Done, Replica, Work
from blindspot.models.replicas.settings import RaySettings
from blindspot.models.transformers.deferred import DeferredModel

#: Where Ray looks for its cluster, and seconds that this address has to answer.
ADDRESS, _ANSWER_S = "RAY_ADDRESS", 5.0
_START = "start one (ray start --head), or name it in RAY_ADDRESS"


@dataclass(frozen=True, slots=True)
class Meet:
    """Name the node: the first thing that a replica is asked."""

    def __call__(self, model: DeferredModel) -> str:
        """Its address."""
        import ray

        return str(ray.util.get_node_ip_address())


class RayCluster:
    """The cluster that this process belongs to, or the one of ``RAY_ADDRESS``.

    It is never started here: what listens on a network, and to whom, is up to who runs it.
    """

    meet: Work[str] = Meet()

    def __init__(self, settings: RaySettings) -> None:
        """Connect to it.

        Raises:
            ModelError: there is none, or it is too small; one line with the remedy.
        """
        self._settings = settings
        self._ray = connected(settings.name)
        self.has_gpus = self._total("GPU") > 0
        self.gpus = settings.gpus_of(has_gpus=self.has_gpus)
        self.count = settings.replicas or self._places
        self._check_size()

    @property
    def version(self) -> str:
        """Of Ray."""
        return str(self._ray.__version__)

    def start(self) -> Any:
        """As of `Cluster`."""
        return self._actor.remote(self._settings.inner(self.gpus))

    def ask(self, actor: Any, work: Work[Any]) -> Any:
        """As of `Cluster`."""
        return actor.do.remote(work)

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        """As of `Cluster`."""
        ready, _ = self._ray.wait(list(tickets), num_returns=1, timeout=seconds)
        if ready:  # what else is done
            ready, _ = self._ray.wait(list(tickets), num_returns=len(tickets), timeout=0)
        return list(ready)

    def result(self, ticket: Any) -> Done[Any]:
        """As of `Cluster`."""
        errors = self._ray.exceptions
        try:
            done: Done[Any] = self._ray.get(ticket)
        except errors.RayTaskError as error:
            raise _cause(error) from None
        except errors.RayError as error:
            raise LostError(str(error).strip().splitlines()[0]) from error
        return done

    def end(self, actor: Any) -> None:
        """As of `Cluster`."""
        self._ray.kill(actor)

    def room(self) -> str:
        """As of `Cluster`."""
        free, what = self._ray.available_resources(), "GPU" if self.gpus else "CPU"
        return f"{free.get(what, 0):.0f} of {self._total(what):.0f} {what}s are free"

    @cached_property
    def _actor(self) -> Any:
        """The class of actors, with what each needs."""
        made = self._ray.remote(Replica)
        return made.options(
            num_cpus=self._settings.cpus_per_replica,
            num_gpus=self.gpus,
            scheduling_strategy="SPREAD",
        )

    @property
    def _places(self) -> int:
        """As many replicas as have room; one for each node without GPUs."""
        if self.gpus:
            return max(1, int(self._total("GPU") // self.gpus))
        return sum(bool(node["Alive"]) for node in self._ray.nodes())

    def _total(self, what: str) -> float:
        return float(self._ray.cluster_resources().get(what, 0))

    def _check_size(self) -> None:
        """Refuse what will never have room.

        Raises:
            ModelError: says what is needed and what there is.
        """
        needs = {"GPU": self.gpus, "CPU": self._settings.cpus_per_replica}
        for what, each in needs.items():
            found = self._total(what)
            if each * self.count > found:
                how = f"{what.lower()}s_per_replica={each}"
                raise ModelError(
                    f"{self._settings.name}: replicas={self.count} with {how} need "
                    f"{each * self.count} {what}s, the Ray cluster has {found:.0f}; ask for fewer, "
                    "or add nodes"
                )


def connected(name: str) -> Any:
    """The module of Ray, connected to its cluster.

    Raises:
        ModelError: it is not installed, or there is no cluster.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise ModelError(
            f"{name}: Ray is not installed ({error}); pip install 'pytest-blindspot[ray]', here "
            "and on every node"
        ) from error
    if ray.is_initialized():
        return ray
    address = os.environ.get(ADDRESS, "")
    if address in ("", "auto"):
        address = _latest()
    _check_answers(name, address)
    with _explained(name, address), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without an address it would start a cluster of its own.
        ray.init(
            address=address or "auto",
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    return ray


def _latest() -> str:
    """The cluster that was last started on this node, "" if none was; it may be gone by now."""
    directory = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    with suppress(OSError):
        return Path(directory, "ray", "ray_current_cluster").read_text("utf-8").strip()
    return ""


def _check_answers(name: str, address: str) -> None:
    """Refuse an address where nobody listens, at which Ray would knock for minutes."""
    if not address:
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise ModelError(
            f"{name}: {ADDRESS} is {line(address, 100)}; give HOST:PORT, and run pytest on a node "
            "of the cluster"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ModelError(
            f"{name}: no Ray cluster answers at {address} ({error}); {_START}"
        ) from error


@contextmanager
def _explained(name: str, address: str) -> Iterator[None]:
    try:
        yield
    except BlindspotError:
        raise
    except ConnectionError as error:
        at = f" at {address}" if address else ""
        raise ModelError(f"{name}: there is no Ray cluster{at}; {_START}") from error
    except Exception as error:  # of many kinds: another version, a token, a node of another machine
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{name}: the Ray cluster cannot be joined: {line(said, 300)}") from error


def _cause(error: Any) -> Exception:
    """What a piece of work raised on a node."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BlindspotError):
        return cause
    last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    raised = ModelError(f"on a node of the Ray cluster: {line(last[0], 300)}")
    raised.__cause__ = cause if isinstance(cause, Exception) else error
    return raised
