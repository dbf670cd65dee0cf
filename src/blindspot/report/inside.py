"""Assays in the terminal: a table for each, and the comparison with other models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from blindspot.gates.rule import Others
from blindspot.gates.verdict import Verdict
from blindspot.measurements.base import BANDS, OVERALL
from blindspot.measurements.registry import LEADING, MECHANISTIC
from blindspot.report.changes import gaps_by_axis
from blindspot.report.schema import Comparison, Figure, Gate, OtherVariant, Record
from blindspot.report.sentences import OTHERS, homonyms_said
from blindspot.report.tables import accepted, columns, interval, plain, render, signed, verdict_cell

_INDENT: Any = {"initial_indent": "  ", "subsequent_indent": "    ", "break_long_words": False}


def blocks(record: Record, gates: Sequence[Gate], width: int, color: bool) -> Iterable[str]:
    """A table for each assay that was judged, with the line on its controls."""
    for name, measurement in MECHANISTIC.items():
        mine = [gate for gate in gates if gate["measurement"] == name]
        if not mine:
            continue
        table = render(_table(mine), width, color)
        yield "\n".join((measurement.words.heading, table, *_controls(mine, width)))


def _table(gates: Sequence[Gate]) -> Table:
    table = columns("overall", "95 % int.", "limit", "base", "early", "mid", "late")
    rows: dict[tuple[str, str], dict[str, Gate]] = {}
    for gate in gates:
        rows.setdefault((gate["slice"], gate["reading"]), {})[gate["band"]] = gate
    heading, several = "", len({reading for _, reading in rows}) > 1
    for (_, reading), bands in rows.items():
        first = next(iter(bands.values()))
        variant = f"{first['axis']} {first['variant']}"
        if heading != (heading := variant):
            table.add_row(Text(heading, style="bold"))
        leading = reading in LEADING or not several
        title = Text(f"  {first['category']}") if leading else Text(f"    {reading}", style="dim")
        overall = bands.get(OVERALL)
        table.add_row(
            title,
            signed(overall["value"]) if overall else "",
            interval(overall) if overall and not overall["unreadable"] else "",
            plain(overall["limit"]) if overall else "",
            accepted(overall) if overall else "",
            *(signed(bands[band]["value"]) if band in bands else "" for band in BANDS[1:]),
            verdict_cell([gate["verdict"] for gate in bands.values()]),
        )
    return table


def _controls(gates: Sequence[Gate], width: int) -> list[str]:
    """The line on the controls of the first gate that did not pass, or of the first gate."""
    shown = next((gate for gate in gates if not Verdict(gate["verdict"]).green), gates[0])
    said = shown["unreadable"] or shown["controls"]
    return textwrap.wrap(f"{shown['slice']}: {said}", width - 2, **_INDENT) if said else []


def comparison_blocks(record: Record, width: int, color: bool) -> Iterable[str]:
    """The comparison with other models: the signature, and by variant."""
    comparisons = record["comparisons"]
    for against in OTHERS:
        if (found := comparisons[against]) is not None:
            yield _signature(against, found, width, color)
            yield from _gaps(against, found, width, color)


def _signature(against: Others, found: Comparison, width: int, color: bool) -> str:
    table = columns(against, "model", "change", "95 % int.", "moved", verdict=False)
    for row in found["signature"]:
        direction = row["direction"]
        worse = {"up": "bold red", "down": "green"}.get(direction, "dim")
        table.add_row(
            f"  {row['title']}",
            signed(row["theirs"]),
            signed(row["ours"]),
            signed(row["change"]),
            interval(row),
            Text(direction, style=worse),
        )
    flips = found["flips"]["slices"]
    total = {key: sum(row[key] for row in flips) for key in ("n", "worse", "better")}
    flipped = (
        f"answers that flipped: {total['worse']} for the worse, {total['better']} for the better, "
        f"of {total['n']}"
    )
    title = f"against the {against} {found['name']}, over all gated slices"
    said = textwrap.wrap(homonyms_said(found["signature"], against), width - 2, **_INDENT)
    return "\n".join((title, render(table, width, color), *said, *([flipped] if flips else [])))


def _gaps(against: str, found: Comparison, width: int, color: bool) -> Iterable[str]:
    """The comparison by variant, one table per axis."""
    title = f"against the {against} {found['name']}, means over categories"
    for axis, rows in gaps_by_axis(found).items():
        represented = any(row["less_represented"] for row in rows)
        table = render(_gap_table(against, rows, represented), width, color)
        name = f"{axis}-blind gap" if represented else f"variants of {axis}"
        yield "\n".join((f"{name}: {title}", table))


def _gap_table(against: str, rows: Sequence[OtherVariant], represented: bool) -> Table:
    more = ("less group",) if represented else ()
    table = columns("model", against, "change", "95 % int.", *more, verdict=False)
    heading = ""
    for row in rows:
        if heading != (heading := f"{row['measurement']} ({row['statistic']})"):
            table.add_row(Text(heading, style="bold"))
        table.add_row(
            f"  {row['axis']} {row['variant']}",
            signed(row["candidate"]["value"]),
            signed(row["reference"]["value"]),
            signed(row["difference"]["value"]),
            interval(row["difference"]),
            *([_less(row["less_represented"])] if represented else []),
        )
    return table


def _less(estimate: Figure | None) -> str:
    """The relative loss of the group in per cent, with its interval."""
    if estimate is None:
        return ""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None or low is None or high is None:
        return ""
    return f"{100 * value:.0f}% ({100 * low:.0f} to {100 * high:.0f})"
