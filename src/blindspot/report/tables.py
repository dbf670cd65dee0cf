"""Pieces of the terminal's tables: columns, numbers and verdicts."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blindspot.gates.verdict import worst
from blindspot.report.schema import Against, Figure, Gate, SignatureLine


def render(table: Table, width: int, color: bool) -> str:
    """A table as text of at most ``width`` columns, colored if the terminal is."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def columns(*numbers: str, verdict: bool = True) -> Table:
    """An empty table: a name, right-aligned numbers, and a verdict."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", overflow="fold")  # long names are cut, never numbers
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    if verdict:
        table.add_column("verdict", no_wrap=True)
    return table


def verdict_cell(verdicts: Sequence[str]) -> Text:
    """The worst of some verdicts."""
    if not verdicts:
        return Text("")
    verdict = worst(verdicts)
    word = verdict.value
    return Text(word.upper() if verdict.look.loud else word, style=verdict.look.style)


def signed(value: float | None) -> str:
    """A number with its sign."""
    return "" if value is None else f"{value:+.2f}"


def plain(value: float | None) -> str:
    """A limit, or a mark that there is none."""
    return "none" if value is None else f"{value:.2f}"


def limits(gate: Gate) -> str:
    """The limit of a gate, or both, or a mark that there is none."""
    limit, opposite = gate["limit"], gate["opposite"]
    if limit is None or opposite is None:
        return plain(limit)
    return f"±{limit:.2f}" if opposite == -limit else f"{opposite:.2f} {limit:.2f}"


def percent(value: float | None) -> str:
    """A share."""
    return "" if value is None else f"{100 * value:.0f}%"


def accepted(gate: Gate) -> str:
    """The baseline's value, if a gate is compared with one."""
    found = gate["against"]["baseline"]
    return "" if found is None else signed(found["value"])


def interval(estimate: Figure | Gate | Against | SignatureLine) -> str:
    """Both ends of an interval."""
    if estimate["low"] is None:
        return "unmeasured"
    return f"{estimate['low']:+.2f} {estimate['high']:+.2f}"
