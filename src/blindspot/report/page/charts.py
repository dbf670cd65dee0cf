"""Charts of values with their intervals: in rows by slice, and two effects in a plane.

Names come from users and models: they are truncated and escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blindspot.report.numbers import interval, signed, stereotyped_share
from blindspot.report.page.drawing import ROLES, WIDTH, canvas, drawing, inline
from blindspot.report.text import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL = 14  # letters of a row's name that fit
_ROW, _HEADING = 25.0, 24.0
_LEFT, _RIGHT = 98.0, 12.0


@dataclass(frozen=True, slots=True)
class Dot:
    """A value and its interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one model or effect, one per row; None if missing."""

    label: str
    role: str
    marker: str
    dots: Sequence[Dot | None]
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A row's name, below the name of its group if one begins here."""

    label: str
    heading: str = ""
    limits: Sequence[float] = ()


def rows_chart(
    key: str,
    rows: Sequence[Row],
    series: Sequence[Series],
    *,
    title: str,
    axis: str,
    shares: bool = False,
) -> str:
    """Values with their intervals, one row per slice, on a scale from -1 to +1.

    ``shares``: the scale also shows the equivalent share of stereotyped answers.
    """
    several = sum(any(dot is not None for dot in one.dots) for one in series) > 1
    top, bottom = 26.0, 56.0 if shares else 42.0
    places, height = [], 0.0
    for row in rows:
        height += _HEADING if row.heading else 0.0
        places.append(height + _ROW / 2)
        height += _ROW
    total = top + height + bottom
    tips: dict[str, str] = {}
    with drawing():
        figure = canvas(total)
        axes = figure.add_axes(
            (_LEFT / WIDTH, bottom / total, 1 - (_LEFT + _RIGHT) / WIDTH, height / total)
        )
        axes.set_xlim(-1.06, 1.06)
        axes.set_ylim(height, 0)
        _scale(axes, axis, shares=shares)
        for row, place in zip(rows, places, strict=True):
            _name(axes, row, place)
        if any(row.limits for row in rows):
            _limits(axes, rows, places)
        for number, one in enumerate(series):
            shift = (number - (len(series) - 1) / 2) * 5.5 if several else 0.0
            for place, (dot, row) in enumerate(zip(one.dots, rows, strict=True)):
                if dot is not None:
                    gid = f"p{number}-{place}"
                    tips[gid] = _tip(one.label, row.label, dot)
                    _point(axes, one, dot, places[place] + shift, gid)
        _legend(axes, series, limits=any(row.limits for row in rows), of=total)
        return inline(figure, key, title=title, description=_range(series), tips=tips)


_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def _ticks(*, shares: bool = False) -> list[str]:
    names = [signed(tick, 1 if tick % 1 else 0) for tick in _TICKS]
    if not shares:
        return names
    return [f"{name}\n{stereotyped_share(tick)}" for name, tick in zip(names, _TICKS, strict=True)]


def _scale(axes: Axes, label: str, *, shares: bool = False) -> None:
    axes.set_xticks(_TICKS, _ticks(shares=shares))
    axes.tick_params(length=0, pad=5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(label, labelpad=3)
    for tick in _TICKS:
        axes.axvline(tick, color=ROLES["muted" if tick == 0 else "grid"], lw=1.0, zorder=0)


def _name(axes: Axes, row: Row, place: float) -> None:
    across = axes.get_yaxis_transform()
    edge = -(_LEFT - 1) / (WIDTH - _LEFT - _RIGHT)
    if row.heading:
        axes.text(
            edge,
            place - _ROW / 2 - _HEADING / 2 + 3,
            line(row.heading, 3 * _LABEL),
            transform=across,
            va="center",
            weight="bold",
        )
    name = line(row.label, _LABEL)
    axes.text(edge + 0.045, place, name, transform=across, va="center", color=ROLES["ink"])


def _limits(axes: Axes, rows: Sequence[Row], places: Sequence[float]) -> None:
    for row, place in zip(rows, places, strict=True):
        ends = (place - _ROW / 2 + 2, place + _ROW / 2 - 2)
        for limit in row.limits:
            _draw(axes, [limit] * 2, ends, color=ROLES["ink"], lw=1.1, ls=(0, (2, 1.6)), zorder=1)


def _draw(axes: Axes, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
    """Draw a line or a marker; ``axes.plot`` spends most of its time on limits, which are set."""
    from matplotlib.lines import Line2D

    axes.add_artist(Line2D(x, y, **look))


def _point(axes: Axes, series: Series, dot: Dot, place: float, gid: str) -> None:
    color = ROLES[series.role]
    if dot.low is not None and dot.high is not None:
        _draw(axes, [dot.low, dot.high], [place] * 2, color=color, lw=1.8, zorder=2)
    _draw(
        axes,
        [dot.value],
        [place],
        ls="",
        marker=series.marker,
        color=color,
        markerfacecolor=color if series.filled else ROLES["paper"],
        markeredgewidth=1.4,
        markersize=6.5 if series.marker == "o" else 5.5,
        clip_on=False,
        gid=gid,
        zorder=3,
    )


def _legend(
    axes: Axes, series: Sequence[Series], *, limits: bool, of: float, lines: bool = True
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=ROLES[one.role],
            marker=one.marker,
            markersize=5.5,
            lw=1.8 if lines else 0,
            markerfacecolor=ROLES[one.role if one.filled else "paper"],
            label=line(one.label, 22),
        )
        for one in series
        if any(dot is not None for dot in one.dots)
    ]
    if limits:
        style = (0, (2, 1.6))
        handles.append(Line2D([], [], color=ROLES["ink"], lw=1.1, ls=style, label="limit"))
    figure = axes.figure
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.012, 1 + 4 / of),
        ncols=len(handles),
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.1,
    )


def _tip(model: str, row: str, dot: Dot) -> str:
    text = f"{line(row)}, {line(model)}: {signed(dot.value)}"
    return text if dot.low is None else f"{text} ({interval(dot.low, dot.high)})"


def _range(series: Sequence[Series]) -> str:
    """The text alternative of the chart; the table next to it has every number."""
    told = []
    for one in series:
        values = [dot.value for dot in one.dots if dot is not None]
        if values:
            told.append(f"{line(one.label)}: {signed(min(values))} to {signed(max(values))}")
    return f"{'; '.join(told)}. The table that follows has the numbers."


def plane_chart(
    key: str,
    candidate: Series,
    reference: Series | None,
    *,
    across: Sequence[float | None],
    reference_across: Sequence[float | None],
    names: Sequence[str],
    title: str,
    axes_labels: tuple[str, str],
) -> str:
    """One effect over another: both are equal on the diagonal, and the gap is above it.

    ``across`` are the values along the horizontal axis. A thin line leads from the reference's
    point of a slice to the candidate's.
    """
    left, top, bottom = 58.0, 26.0, 42.0
    size = WIDTH - left - _RIGHT
    total = top + size + bottom
    tips: dict[str, str] = {}
    with drawing():
        figure = canvas(total)
        axes = figure.add_axes((left / WIDTH, bottom / total, size / WIDTH, size / total))
        axes.set_xlim(-1.08, 1.08)
        axes.set_ylim(-1.08, 1.08)
        _scale(axes, axes_labels[0])
        axes.set_yticks(_TICKS, _ticks())
        axes.set_ylabel(axes_labels[1], labelpad=5)
        for tick in _TICKS:
            axes.axhline(tick, color=ROLES["muted" if tick == 0 else "grid"], lw=1.0, zorder=0)
        axes.plot([-1, 1], [-1, 1], color=ROLES["muted"], lw=1.0, ls=(0, (2, 2)), zorder=1)
        axes.text(
            -0.97,
            -0.86,
            "states what it associates",
            color=ROLES["muted"],
            rotation=45,
            va="bottom",
        )
        for number, (one, places) in enumerate(
            ((reference, reference_across), (candidate, across))
        ):
            for place, dot in enumerate(one.dots if one else ()):
                at = places[place]
                if one is None or dot is None or at is None:
                    continue
                gid = f"p{number}-{place}"
                text = f"{line(names[place])}, {line(one.label)}"
                tips[gid] = f"{text}: {signed(dot.value)} over {signed(at)}"
                _draw(
                    axes,
                    [at],
                    [dot.value],
                    ls="",
                    marker=one.marker,
                    color=ROLES[one.role],
                    markerfacecolor=ROLES[one.role if one.filled else "paper"],
                    markeredgewidth=1.4,
                    markersize=6.5,
                    clip_on=False,
                    gid=gid,
                    zorder=3 + number,
                )
        for place, dot in enumerate(candidate.dots):
            old = reference.dots[place] if reference else None
            start, end = reference_across[place], across[place]
            if dot is not None and old is not None and start is not None and end is not None:
                heights = [old.value, dot.value]
                _draw(
                    axes,
                    [start, end],
                    heights,
                    color=ROLES["candidate"],
                    lw=1.6,
                    alpha=0.45,
                    zorder=2,
                )
        both = [one for one in (candidate, reference) if one is not None]
        _legend(axes, both, limits=False, of=total, lines=False)
        return inline(figure, key, title=title, description=_range(both), tips=tips)
