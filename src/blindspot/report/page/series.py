"""The page of a series: when each gate turned, its curve over the steps, and every number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindspot import __version__, files
from blindspot.measurements.base import FORCED_CHOICE
from blindspot.report.page import render
from blindspot.report.page.curves import Line, curves_chart
from blindspot.report.page.drawing import drawing
from blindspot.report.sentences import title
from blindspot.report.series import Series, Track
from blindspot.report.turns import alike, begun, lead, short

#: Charts of a page, those with gates that move first. All numbers are in its tables.
MOST = 60
#: Gates of a chart, those that move first.
_LINES = 8
#: How the categories of a chart are told apart, in turn.
_LOOKS = (
    ("candidate", "-"),
    ("reference", (0, (6, 1.5))),
    ("baseline", (0, (3, 1.2))),
    ("ink", (0, (1, 1))),
    ("other", (0, (5, 1, 1, 1))),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """The gates of one variant in one topic: a chart, and a table; ``chart``: "" beyond `MOST`."""

    title: str
    tracks: tuple[Track, ...]
    chart: str


def write_page(path: Path, series: Series) -> Path:
    """Write the page; an older one stays whole until the new one is complete.

    Raises:
        OSError: it cannot be written.
    """
    return files.replace(path, page(series))


def page(series: Series) -> str:
    """The page of a series."""
    with drawing():
        values: dict[str, Any] = {
            "version": __version__,
            "series": series,
            "lead": f"{lead(series).capitalize()}.",
            "begun": list(begun(series)),
            "moved": list(alike(series.moving, series)),
            "panels": list(_panels(series)),
            "numbers": short(series, 12),
        }
    return render("series.html.j2", values)


def _panels(series: Series) -> Iterator[Panel]:
    groups: dict[tuple[str, str, str, str, str, str], list[Track]] = {}
    for track in series.tracks:
        gate = track.gate
        how, where = (gate["reading"], gate["band"]), (gate["axis"], gate["variant"])
        key = (track.topic, gate["measurement"], *how, *where)
        groups.setdefault(key, []).append(track)
    ordered = sorted(groups, key=lambda key: not any(track.moves for track in groups[key]))
    drawn = {*ordered[:MOST]}
    for number, (key, some) in enumerate(groups.items()):
        topic, _, reading, band, axis, variant = key
        details = ", ".join(filter(None, (f"{axis}-{variant}", _spoken(reading), band)))
        name = f"{title(topic)}: {details}"
        chart = _chart(f"s{number}", name, some, series) if key in drawn else ""
        yield Panel(name, tuple(some), chart)


def _spoken(reading: str) -> str:
    return "forced choice" if reading == FORCED_CHOICE else reading


def _chart(key: str, name: str, tracks: Sequence[Track], series: Series) -> str:
    tracks = sorted(tracks, key=lambda track: not track.moves)[:_LINES]
    labels = [track.gate["word"] or track.gate["category"] for track in tracks]
    lines = [
        Line(
            label,
            [point.value for point in track.points],
            [point.low for point in track.points],
            [point.high for point in track.points],
        )
        for label, track in zip(labels, tracks, strict=True)
    ]
    gate = tracks[0].gate
    limits = {each for track in tracks for each in (track.gate["limit"], track.gate["opposite"])}
    known = [
        value
        for line in lines
        for values in (line.values, line.low, line.high)
        for value in values
        if value is not None
    ]
    least = -0.02 if gate["unit"] == "share" else -1.06
    return curves_chart(
        key,
        lines,
        short(series, 6),
        title=name,
        axis="report",
        span=(min([least, *known]), max([1.06, *known])),
        unread=(),
        looks={label: _LOOKS[k % len(_LOOKS)] for k, label in enumerate(labels)},
        limits=sorted(limit for limit in limits if limit is not None),
    )
