"""Waivers: a gate that may fail for a stated reason, until a date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Waiver(BaseModel):
    """One ``[[waiver]]`` of a limits file.

    ``gate``: id of a gate as reports write it, or a pattern with ``*``; ``expires``: its last day,
    in UTC. After that its gates fail, even those that would pass by then: the waiver must be
    renewed or removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gate: Annotated[str, Field(pattern=r"\S")]
    reason: Annotated[str, Field(pattern=r"\S")]
    expires: date

    def covers(self, gate_id: str) -> bool:
        """Whether it covers a gate."""
        return fnmatchcase(gate_id, self.gate)

    def expired(self, today: date | None = None) -> bool:
        """Whether its last day is over."""
        return (today or datetime.now(UTC).date()) > self.expires
