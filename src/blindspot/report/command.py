"""``python -m blindspot report`` and ``compare``: what is made of report.json without a model."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot import files
from blindspot.baselines.file import MISMATCHES
from blindspot.errors import ReportError, line
from blindspot.paths import FIXTURES

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
PAGE = "series.html"
REPORT = """\
Build report.html and report-model-card.yaml again from DIR/report.json, beside it. No model is
needed. Exit codes: 0 both were written, 4 usage: report.json is missing, broken or not a report.
"""

COMPARE = """\
Judge the model of report B against that of report A, from the files of --output-path alone: the
same gates, statistics and exit codes as a run with a baseline. A and B name a report.json or its
directory; scores.npz must be beside it (beside A only without --allow-mismatch scores). The noise
floor is that of B's run. Exit codes: 0 passed, 4 usage, 10 a gate failed, 11 incomplete, 12
inconclusive. With three reports or more, of checkpoints in order: draw each gate over them on one
page, and say at which one it began to fail or to change. Exits like the run of the last one, or 11
if what it is compared with is not comparable.
"""


def add_report(commands: Subcommands) -> None:
    """Add ``report`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "report", help="build the page of a run again from its report.json", description=REPORT
    )
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="the directory given to --output-path"
    )
    parser.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    """Build the pages again; the exit code.

    Raises:
        ReportError: report.json cannot be used, or the files cannot be written.
    """
    from blindspot.report.document import load_document, publish

    directory: Path = arguments.directory
    document = load_document(directory)
    if files.is_file(directory):
        directory = directory.parent
    try:
        for path in publish(directory, document):
            print(line(path))
    except OSError as error:
        raise ReportError(
            f"{directory}: cannot be written ({error.strerror}); copy report.json to a writable "
            "directory"
        ) from None
    return EXIT_OK


def add_compare(commands: Subcommands) -> None:
    """Add ``compare`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "compare", help="judge one report against another, without a model", description=COMPARE
    )
    parser.add_argument("baseline", metavar="A", type=Path, help="report to compare with")
    parser.add_argument("candidate", metavar="B", type=Path, help="report of the model under test")
    parser.add_argument(
        "later", metavar="C", nargs="*", type=Path, help="reports of later checkpoints"
    )
    parser.add_argument(
        "--page",
        metavar="FILE",
        type=Path,
        help=f"where to write the page of three reports or more (default: {PAGE})",
    )
    parser.add_argument("--gates", metavar="FILE", type=Path, help="limits")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="pass only gates that are clearly within their limit",
    )
    parser.add_argument(
        "--allow-mismatch",
        metavar="WHAT",
        action="append",
        default=[],
        choices=MISMATCHES,
        help="compare despite a difference in: " + ", ".join(MISMATCHES),
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="the verdict line only")
    parser.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Compare two reports, or draw several; the exit code.

    Raises:
        ReportError: one of them cannot be read, or an option is for the other use.
        StimulusError: the limits cannot be read.
    """
    if arguments.later:
        return _draw(arguments)
    if arguments.page is not None:
        raise ReportError("--page is for three reports or more; with two, leave it out")
    from blindspot.report.rejudgment import rejudge
    from blindspot.report.terminal import Closing, body, closing, in_words, remarks

    record, tally = rejudge(
        arguments.baseline,
        arguments.candidate,
        arguments.gates or FIXTURES / "gates.toml",
        allowed=frozenset(arguments.allow_mismatch),
        strict=arguments.strict,
    )
    quiet, code = arguments.quiet, tally.exit_code(0)
    width = max(80, shutil.get_terminal_size().columns)
    if not quiet:
        for line in body(record, tally, width, sys.stdout.isatty()):
            print(line)
    told = Closing(record["model"]["id"], code)
    words = () if quiet else in_words(record, tally, sys.stdout.isatty())
    for line in (*remarks(tally, quiet=quiet), *words, *closing(record, tally, told, quiet=quiet)):
        print(line)
    return code


def _draw(arguments: argparse.Namespace) -> int:
    """Draw a series of reports; the exit code."""
    if arguments.gates is not None or arguments.strict:
        raise ReportError(
            "--gates and --strict judge two reports; a series shows the verdicts of its runs"
        )
    from blindspot.report.page.series import write_page
    from blindspot.report.series import read_series
    from blindspot.report.turns import told

    paths = [arguments.baseline, arguments.candidate, *arguments.later]
    page = arguments.page or Path(PAGE)
    series = read_series(paths, frozenset(arguments.allow_mismatch))
    try:
        write_page(page, series)
    except (OSError, ValueError) as error:  # a NUL in the name
        raise ReportError(
            f"{line(page)}: cannot be written ({line(error, 80)}); name a file in a writable "
            "directory with --page"
        ) from None
    for each in told(series, str(page), quiet=arguments.quiet, color=sys.stdout.isatty()):
        print(each)
    return series.exit_code
