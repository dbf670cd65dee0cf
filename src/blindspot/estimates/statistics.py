"""What can be gated: the statistics, what messages call them, their units and directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Direction = Literal["at_most", "at_least"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """What messages call it, its unit, and on which side of a limit it may lie."""

    label: str
    unit: str
    direction: Direction = "at_most"


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "stereotype": Statistic("stereotype effect", "effect"),
        "bias": Statistic("explicit bias", "effect"),
        "gap": Statistic("implicit-explicit gap", "difference"),
        "validity": Statistic("share of prompts answered", "share", "at_least"),
    }
)
"""What gates.toml may limit. A room that measures something else adds its line here."""
