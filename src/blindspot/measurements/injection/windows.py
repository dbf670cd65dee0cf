"""Windows of layers that slide over a model, and the bands that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from blindspot.measurements.base import EARLY, LATE, MIDDLE, OVERALL
from blindspot.measurements.mechanistic import band_layers

Window = tuple[int, int]
"""Layers of a window: the first, and one past the last."""

PUBLISHED_SHARE = 10 / 32
"""Layers of a window as a share of all: 10 of 32 in arXiv 2506.00253."""

MOST, LARGE = 6, 3
"""Most windows of a small and of a large model, two a band and one: each costs four times as many
answers as the untouched prompts."""


def window_width(layers: int, asked: int | None = None) -> int:
    """Layers in a window: as many as asked for, else the published share, but no more than all."""
    return min(layers, asked or max(1, round(layers * PUBLISHED_SHARE)))


def sliding(layers: int, width: int, most: int) -> tuple[Window, ...]:
    """At most so many windows from the first layers to the last, evenly spread.

    The first and the last window are always among them. They are one layer apart if there are few
    enough, otherwise evenly spread; steps differ by one layer at most.

    Raises:
        ValueError: the model has no such window.
    """
    if not 1 <= width <= layers:
        raise ValueError(f"a window of {width} layers in a model of {layers}: use 1 to {layers}")
    last = layers - width
    steps = min(last, most - 1)
    firsts = [round(last * place / steps) for place in range(steps)] if steps else []
    return tuple((first, first + width) for first in (*firsts, last))


def band_windows(layers: int, windows: Sequence[Window]) -> dict[str, tuple[int, ...]]:
    """Indices of the windows of each band: those whose centre lies in it.

    A centre halfway between two bands counts as middle, which keeps early and late equal in number.
    """
    bands = band_layers(layers)
    early, late = max(bands[EARLY]), min(bands[LATE])
    centres = [(first + end - 1) / 2 for first, end in windows]
    return {
        OVERALL: tuple(range(len(windows))),
        EARLY: tuple(place for place, centre in enumerate(centres) if centre <= early),
        MIDDLE: tuple(place for place, centre in enumerate(centres) if early < centre < late),
        LATE: tuple(place for place, centre in enumerate(centres) if centre >= late),
    }


def window_name(window: Window) -> str:
    """First and last layer, as reports show them: ``3-12``, or ``3`` alone."""
    first, end = window
    return str(first) if end - first == 1 else f"{first}-{end - 1}"
