"""``python -m blindspot rescore DIR [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from blindspot import files
from blindspot.console import console
from blindspot.contrib.aligned_but_blind.files import Skipped, read_directory
from blindspot.contrib.aligned_but_blind.rescore import Rescored, Row, Total, rescore
from blindspot.contrib.aligned_but_blind.table import print_table
from blindspot.errors import BlindspotError, line

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
EXIT_SKIPPED = 1

DESCRIPTION = """\
Score the paper's result files as the paper did and as blindspot does, per model, variant and
category. Reads every <variant>_<category>_bias_results_<model>_deterministic.json below DIR.
Exit codes: 0 all files scored, 1 some were skipped (named on stderr), 4 usage.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``rescore`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "rescore",
        help="score the paper's published result files by its method and by ours",
        description=DESCRIPTION,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="directory of the result files")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the rows to FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Rescore ``arguments.directory``; the exit code.

    Raises:
        BlindspotError: the directory or the JSON file cannot be used.
    """
    directory: Path = arguments.directory
    rescored = rescore(read_directory(directory, _with_progress))
    if arguments.json is not None:
        _write(arguments.json, as_json(rescored))
    for copy in rescored.copies:
        print(f"blindspot: not counted again: {line(copy)}", file=sys.stderr)
    for skipped in rescored.skipped:
        print(f"blindspot: skipped {line(skipped)}", file=sys.stderr)
    print_table(rescored, console())
    return EXIT_SKIPPED if rescored.skipped else EXIT_OK


def as_json(rescored: Rescored) -> str:
    """The JSON document of ``--json``: rows, totals, skipped, copies."""
    document = {
        "rows": [_row(row) for row in rescored.rows],
        "totals": [_total(total) for total in rescored.totals],
        "skipped": [_skipped(skipped) for skipped in rescored.skipped],
        "copies": [_skipped(copy) for copy in rescored.copies],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _row(row: Row) -> dict[str, object]:
    return asdict(row) | {"published_share": row.published_share}


def _total(total: Total) -> dict[str, object]:
    return _row(total.pooled) | {"published_mean_of_categories": total.published_mean_of_categories}


def _skipped(skipped: Skipped) -> dict[str, object]:
    return {"path": str(skipped.path), "reason": skipped.reason}


def _with_progress(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with a progress bar on a terminal if reading them takes long."""
    yield from tqdm(paths, desc="reading", unit="file", disable=None, delay=0.5, leave=False)


def _write(path: Path, text: str) -> None:
    try:
        files.replace(path, text)
    except OSError as error:
        raise BlindspotError(
            f"{path}: cannot be written: {error.strerror}; choose another --json FILE"
        ) from None
