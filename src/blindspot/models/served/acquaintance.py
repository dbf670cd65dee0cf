"""What is known of a server, shared by the processes of a run and kept for later runs.

The first process of a run shakes hands for all. A later run asks what is served, and if that is the
same, shakes hands only before it asks the first prompt: one that finds all answers in the store
never does. Files that cannot be read or written are as good as none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from blindspot import __version__, files
from blindspot.errors import BlindspotError
from blindspot.models.served.introduction import Introduction
from blindspot.models.served.settings import ServerSettings
from blindspot.models.server import Check, Server
from blindspot.models.transformers.digests import json_digest

#: Directory of the store with what is known of servers.
FOLDER = "servers-1"
#: Bytes of a file.
_LARGEST = 2**20
#: Said of a server that is known from an earlier run alone.
_EARLIER = Check("asked", "nothing in this run, nor was its handshake repeated")


@dataclass(frozen=True, slots=True)
class Met:
    """What came of a handshake; ``dialect``: how the server wants to be asked, if not as all do."""

    server: Server
    dialect: Mapping[str, Any] = field(default_factory=dict)


class Acquaintance:
    """A server as this run and earlier ones know it.

    Args:
        settings: by which it is asked.
        run: directory that the processes of the run share; None for this process alone.
        store: directory of the store; None if nothing outlasts the run.
    """

    def __init__(
        self, settings: ServerSettings, run: Path | None = None, store: Path | None = None
    ) -> None:
        self._settings = [__version__, asdict(settings)]
        self._run = run and run / f"server-{json_digest(self._settings)[:16]}"
        self._store = store and store / FOLDER

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only process of the run that shakes hands."""
        if self._run is None:
            yield
            return
        with FileLock(self._run.with_suffix(".lock")):
            yield

    def introduction(self) -> Introduction | None:
        """What the server has told another process of this run about itself."""
        found = _read(self._run, ".introduction")
        return None if found is None else Introduction(**found)

    def introduce(self, introduction: Introduction) -> None:
        """Keep it for them."""
        _write(self._run, ".introduction", asdict(introduction))

    def met(self) -> Met | None:
        """The handshake of this run, if a process of it has shaken hands."""
        return _met(_read(self._run, ".met"))

    def met_before(self, model: object) -> Met | None:
        """The last handshake of an earlier run with the same server; ``model``: as of `keep`."""
        found = _met(_read(self._place(model), ".json"))
        if found is None:
            return None
        checks = (*found.server.checks, _EARLIER)
        own = {each.name: getattr(found.server, each.name) for each in fields(Server)}
        return Met(Server(**{**own, "checks": checks}), found.dialect)

    def keep(self, met: Met, model: object) -> None:
        """Keep a handshake; ``model``: what decides which model it is, None if nobody knows."""
        row = asdict(met)
        server = row["server"]
        server["lacking"] = sorted(met.server.lacking)
        server["spread"] = None if math.isnan(met.server.spread) else met.server.spread
        _write(self._run, ".met", row)
        if (place := self._place(model)) is not None:
            with suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
            _write(place, ".json", row)

    def _place(self, model: object) -> Path | None:
        if self._store is None or model is None:
            return None
        return self._store / json_digest([self._settings, model])[:32]


def _met(row: Any) -> Met | None:
    """What was kept; None for what is damaged."""
    try:
        server = dict(row["server"])
        server["checks"] = tuple(Check(**each) for each in server["checks"])
        server["lacking"] = frozenset(server["lacking"])
        server["spread"] = math.nan if server["spread"] is None else float(server["spread"])
        return Met(Server(**server), dict(row["dialect"]))
    except (TypeError, ValueError, LookupError):
        return None


def _read(place: Path | None, suffix: str) -> Any:
    if place is None:
        return None
    try:
        return files.read_json(place.with_suffix(suffix), _LARGEST, "a handshake")
    except BlindspotError:
        return None


def _write(place: Path | None, suffix: str, row: Any) -> None:
    if place is not None:
        with suppress(OSError):
            files.replace(place.with_suffix(suffix), json.dumps(row))
