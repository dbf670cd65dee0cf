"""Findings of the searches of a run, in the terminal."""

from __future__ import annotations

import pytest
from rich.text import Text

from blindspot.report.tables import columns, render
from blindspot.search.change import THRESHOLD
from blindspot.search.record import Record, merged_by_change
from blindspot.search.run import SearchRun

_NARROW = 80


def write_summary(terminal: pytest.TerminalReporter, run: SearchRun) -> None:
    """Write a row per search and per transformation; with ``-q`` only the last line."""
    if terminal.verbosity >= 0:
        terminal.section("blindspot search", cyan=True, bold=True)
        width, color = max(terminal._tw.fullwidth, _NARROW), terminal._tw.hasmarkup
        terminal.write_line("stereotype effect after a change that should not matter (not a gate)")
        for table in (_searches(run.records, width, color), _changes(run.records, width, color)):
            terminal.write_line(table)
            terminal.write_line("")
        for name, why in sorted({pair for r in run.records for pair in r["left_out"].items()}):
            terminal.write_line(f"note: the transformation {name} was skipped: {why}")
        if not run.session.concerned:
            for note in run.session.ledger.notes:
                terminal.write_line(f"note: {note}")
    found = sum(record["found"] is not None for record in run.records)
    examples, count = run.session.options.search_examples, len(run.records)
    terminal.write_line(
        f"blindspot search: {run.session.options.candidate}: {found} of {count} searches found a "
        f"change above {THRESHOLD:.2f} (seed {run.seed}, {examples} examples each; no verdict)",
        **{"yellow" if found else "green": True},
    )


def _searches(records: list[Record], width: int, color: bool) -> str:
    table = columns("cases", "prompts", "batches", "effect", "changed", verdict=False)
    table.add_column("by", overflow="fold")
    for record in records:
        found = record["found"]
        told = ("", "", "nothing found")
        if found is not None:
            told = (
                f"{found['effect']:+.2f}",
                f"{found['changed_effect']:+.2f}",
                " + ".join(found["changes"]),
            )
        table.add_row(
            Text(record["id"]),
            str(record["cases"]),
            str(record["prompts"]),
            str(record["batches"]),
            *told,
        )
    return render(table, width, color)


def _changes(records: list[Record], width: int, color: bool) -> str:
    table = columns("cases", "mean change", "largest", verdict=False)
    for row in merged_by_change(records):
        table.add_row(
            Text(row["changes"]), str(row["cases"]), f"{row['mean']:.2f}", f"{row['largest']:.2f}"
        )
    return render(table, width, color)
