"""``python -m blindspot promote [FILE|ID ...] [--to DIR]``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot.paths import PROMOTED
from blindspot.store import PLACE_VARIABLE

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = f"""\
Turn cases that the search found (pytest -m search) into fixtures, a TOML file each, which
tests/search/test_promoted.py judges from then on. A case is named by its id, or by a file: a
search.json stands for all cases that it found, a TOML file for its own. Without a name the found
cases are listed. Nothing is overwritten; either all cases are written or none. Cases in another
directory than {PROMOTED.name} of the fixtures are judged with --include-path DIR. Exit codes: 0
promoted or listed, 4 usage.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``promote`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "promote",
        help="turn cases that the search found into fixtures, or list them",
        description=DESCRIPTION,
    )
    parser.add_argument(
        "cases", metavar="FILE|ID", nargs="*", help="a search.json, a TOML file, or an id"
    )
    parser.add_argument(
        "--to", metavar="DIR", type=Path, default=PROMOTED, help=f"default: {shown(PROMOTED)}"
    )
    parser.add_argument(
        "--store",
        metavar="DIR",
        default=os.environ.get(PLACE_VARIABLE) or None,
        help="directory of the answer store of the search, in which found cases are kept "
        f"(default: ${PLACE_VARIABLE}, else the user's cache directory)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Promote the cases named, or list those that are found; the exit code."""
    from blindspot.search.promoting import run as promote

    return promote(arguments)


def shown(path: Path) -> Path:
    """A path of the checkout as it is seen from the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
