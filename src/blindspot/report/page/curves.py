"""Curves by layer of the residual stream with their intervals, and those of their controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blindspot.report.numbers import MINUS, signed
from blindspot.report.page.drawing import ROLES, WIDTH, canvas, drawing, inline
from blindspot.report.text import line

#: Role and dashes of the curves of the two senses, under any name.
_SENSES: tuple[tuple[str, object], ...] = (("group", (0, (5, 2))), ("literal", (0, (5, 2))))
_TICKS = 7
_MARKED = 16  # layers that are few enough to mark each


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; None if not measured, no interval if its ends are empty."""

    label: str
    values: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]


def curves_chart(
    key: str,
    lines: Sequence[Line],
    at: Sequence[str],
    *,
    title: str,
    axis: str,
    span: tuple[float, float],
    unread: Sequence[int],
    looks: Mapping[str, tuple[str, object]],
    limits: Sequence[float] = (),
) -> str:
    """Curves over layers, windows of them, or the steps of a series.

    ``unread``: places of ``at`` that no verdict uses because the controls do not separate there;
    they are shaded. ``looks``: role and dashes by label; the two remaining labels are the senses.
    ``limits``: drawn across.
    """
    columns = 3 if max(len(one.label) for one in lines) < 13 else 2
    top = 6.0 + 16.0 * -(-len(lines) // columns)
    left, right, height, bottom = 40.0, 10.0, 150.0, 40.0
    total = top + height + bottom
    with drawing():
        figure = canvas(total)
        axes = figure.add_axes(
            (left / WIDTH, bottom / total, 1 - (left + right) / WIDTH, height / total)
        )
        margin = max(0.35, 0.02 * len(at))
        axes.set_xlim(-margin, len(at) - 1 + margin)
        axes.set_ylim(*span)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=4)
        axes.grid(axis="y", color=ROLES["grid"], lw=1.0)
        axes.set_axisbelow(True)
        for place in unread:
            axes.axvspan(place - 0.5, place + 0.5, color=ROLES["veil"], lw=0, zorder=0.4)
        for limit in limits:
            axes.axhline(limit, color=ROLES["ink"], lw=1.1, ls=(0, (2, 1.6)), zorder=1)
        if span[0] < 0 < span[1]:
            axes.axhline(0, color=ROLES["muted"], lw=1.0, zorder=0.6)
        places = sorted({round(k * (len(at) - 1) / (_TICKS - 1)) for k in range(_TICKS)})
        axes.set_xticks(places, [line(at[place], 6) for place in places])
        if span[0] < -0.5:
            axes.set_yticks([-1, -0.5, 0, 0.5, 1], [f"{MINUS}1", f"{MINUS}0.5", "0", "+0.5", "+1"])
        else:
            axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_xlabel(axis, labelpad=3)
        styles = _looks([one.label for one in lines], looks)
        for one, (role, style) in zip(lines, styles, strict=True):
            axes.plot(
                range(len(at)),
                _known(one.values),
                color=ROLES[role],
                ls=style,
                lw=2.6 if role == "ink" else 1.6,
                marker="o" if len(at) <= _MARKED else "",
                markersize=3.2,
                label=line(one.label, 26),
                zorder=2 if role == "ink" else 3,  # below the others: both show where they overlap
            )
            if one.low and one.high:
                low, high = _known(one.low), _known(one.high)
                axes.fill_between(
                    range(len(at)), low, high, color=ROLES[role], alpha=0.14, lw=0, zorder=1
                )
        figure.legend(
            loc="upper left",
            bbox_to_anchor=(-0.012, 1 + 4 / total),
            ncols=columns,
            handlelength=2.2,
            handletextpad=0.5,
            columnspacing=1.1,
            labelspacing=0.25,
        )
        return inline(figure, key, title=title, description=_told(lines), tips={})


def _known(values: Sequence[float | None]) -> list[float]:
    """Values to draw: a curve has a gap where nothing was measured."""
    return [math.nan if value is None else value for value in values]


def _looks(
    labels: Sequence[str], known: Mapping[str, tuple[str, object]]
) -> list[tuple[str, object]]:
    senses = iter(_SENSES)
    spare = ("other", (0, (3, 1)))
    return [known[label] if label in known else next(senses, spare) for label in labels]


def _told(lines: Sequence[Line]) -> str:
    told = []
    for one in lines:
        known = [value for value in one.values if value is not None]
        if known:
            told.append(f"{line(one.label)}: {signed(min(known))} to {signed(max(known))}")
    return f"{'; '.join(told)}. The table that follows has the numbers."
