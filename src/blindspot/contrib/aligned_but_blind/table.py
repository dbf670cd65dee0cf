"""The table that ``rescore`` prints: one block per model and variant, 80 columns, plain ASCII."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blindspot.console import ruled_table
from blindspot.contrib.aligned_but_blind.rescore import Rescored, Row, Total
from blindspot.errors import line

LEGEND = """\
hits of denom: the published scorer. The rest is our reading: valid answers, of
them stereo(typed), counter and copies (first identifier on first word); bal %:
stereotype share with order balanced, 50 is neutral; keyed: rating of the
stereotype minus its reverse, 0 is neutral; acq: agreement with both.
- is unmeasured. Higher is worse."""

_COLUMNS = ("n", "hits", "denom", "valid", "stereo", "counter", "copies", "bal %", "keyed", "acq")


def print_table(rescored: Rescored, console: Console) -> None:
    """Print every row, a pooled row per model and variant, and what the columns mean."""
    for total in rescored.totals:
        of_total = (total.pooled.model, total.pooled.variant)
        rows = [row for row in rescored.rows if (row.model, row.variant) == of_total]
        console.print(Text(line(f"{total.pooled.model} / {total.pooled.variant}"), style="bold"))
        console.print(_table((*rows, total.pooled) if len(rows) > 1 else rows))
        console.print(Text(f"{_published(total)}\n"))
    if rescored.totals:
        console.print(Text(LEGEND, style="dim"))


def _table(rows: Iterable[Row]) -> Table:
    table = ruled_table()
    table.add_column("category", overflow="fold")
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(row.category),
            *(
                str(count)
                for count in (
                    row.n,
                    row.hits,
                    row.denominator,
                    row.valid,
                    row.stereotyped,
                    row.counter,
                    row.order_copies,
                )
            ),
            _percent(row.balanced_share, 1),
            _signed(row.keyed_difference),
            _signed(row.acquiescence),
        )
    return table


def _published(total: Total) -> str:
    mean = _percent(total.published_mean_of_categories, 2)
    pooled = _percent(total.pooled.published_share, 2)
    return (
        f"published share: {mean} % (mean of categories), {pooled} % (pooled); "
        f"{total.pooled.order_cells} of 4 orders"
    )


def _percent(share: float | None, digits: int) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:+.2f}"  # never -0.00
