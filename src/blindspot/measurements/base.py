"""What can be gated: measurements with their readings, statistics with units and directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Direction = Literal["at_most", "at_least"]
Level = Literal["category", "pair", "pooled"]

GENERATED = "generated"
FORCED_CHOICE = "forced-choice"
SAME_LAYER = "same-layer"
FIXED_LAYER = "fixed-layer"

CATEGORY: Level = "category"
PAIR: Level = "pair"
POOLED: Level = "pooled"
LEVELS: tuple[Level, ...] = (CATEGORY, PAIR, POOLED)
"""A category of one variant, one pair of its words, or a category over variants but controls."""

OVERALL, EARLY, MIDDLE, LATE = "overall", "early", "middle", "late"
BANDS = (OVERALL, EARLY, MIDDLE, LATE)
"""Layers of a model that are judged together: all, and their first, middle and last third."""


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
        "blindness": Statistic("blindness", "position"),
        "reduction": Statistic("bias that falls when the group is shown", "difference"),
    }
)
"""What gates.toml may limit. A room that measures something else adds its line here."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a test can ask of a measurement; ``banded``: judged by band of layers."""

    statistics: tuple[str, ...]
    readings: tuple[str, ...]
    levels: tuple[Level, ...] = (CATEGORY, PAIR)
    banded: bool = False


_ANSWERED = (GENERATED, FORCED_CHOICE)
_STREAM = (CATEGORY,)

MEASUREMENTS: Mapping[str, Measurement] = MappingProxyType(
    {
        "implicit": Measurement(("stereotype", "validity"), _ANSWERED, LEVELS),
        "explicit": Measurement(("bias", "validity"), _ANSWERED, LEVELS),
        "gap": Measurement(("gap",), _ANSWERED),
        "patching": Measurement(("blindness",), (SAME_LAYER, FIXED_LAYER), _STREAM, banded=True),
        "interpretation": Measurement(("blindness",), (GENERATED,), _STREAM, banded=True),
        "probing": Measurement(("blindness",), ("linear",), _STREAM, banded=True),
        "injection": Measurement(("reduction",), _ANSWERED, _STREAM, banded=True),
    }
)
"""What can be measured. Those that are banded look into the residual stream."""

LEADING = (GENERATED, SAME_LAYER, "linear")
"""Readings that stand for a measurement where there is one figure for each."""

MECHANISTIC = tuple(name for name, known in MEASUREMENTS.items() if known.banded)
