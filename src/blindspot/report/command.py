"""``python -m blindspot report DIR``: build the page and the model card again from report.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot import files
from blindspot.errors import ReportError

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
DESCRIPTION = """\
Build report.html and report-model-card.yaml again from DIR/report.json, beside it. No model is
needed. Exit codes: 0 both were written, 4 usage: report.json is missing, broken or no report.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``report`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "report", help="build the page of a run again from its report.json", description=DESCRIPTION
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="what --output-path named")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build the pages again; the exit code.

    Raises:
        ReportError: report.json cannot be used, or the files cannot be written.
    """
    from blindspot.report.publishing import publish
    from blindspot.report.reading import load_document

    directory: Path = arguments.directory
    document = load_document(directory)
    if files.is_file(directory):
        directory = directory.parent
    try:
        for path in publish(directory, document):
            print(path)
    except OSError as error:
        raise ReportError(
            f"{directory}: cannot be written ({error.strerror}); copy report.json to a directory "
            "that can"
        ) from None
    return EXIT_OK
