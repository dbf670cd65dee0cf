"""Output of the commands: tables of 80 columns, on a terminal and in a pipe."""

from __future__ import annotations

import os
import sys

from rich import box
from rich.console import Console
from rich.table import Table

#: Width of every line: narrower would cut numbers.
WIDTH = 80

_RULED = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)


class _Console(Console):
    """A console whose exit code is not that of `head` closing the pipe."""

    def on_broken_pipe(self) -> None:
        """Discard the rest of the output; rich would exit with 1, which is taken."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """Standard output, without markup."""
    return _Console(width=WIDTH, highlight=False, markup=False, emoji=False)


def ruled_table() -> Table:
    """An empty table in plain ASCII: a line below the head and above the last section."""
    return Table(box=_RULED, show_edge=False, padding=0, pad_edge=False)
