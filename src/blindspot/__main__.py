"""``python -m blindspot``: the commands that need no model. Models are tested through pytest."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from blindspot import __version__
from blindspot.contrib.aligned_but_blind.command import add_command as add_rescore
from blindspot.errors import BlindspotError, has_secret, line
from blindspot.exchange.command import add_answers, add_prompts
from blindspot.mitigation.command import add_command as add_mitigate
from blindspot.report.command import add_compare, add_report
from blindspot.search.promote import add_command as add_promote
from blindspot.session.stimuli import add_command as add_stimuli
from blindspot.store.command import add_command as add_store

EXIT_USAGE = 4  # as in pytest
EXIT_PIPE = 128 + 13  # as of a program that SIGPIPE ends

#: Each adds one subcommand, which sets ``run``: Namespace -> exit code.
COMMANDS = (
    add_answers,
    add_compare,
    add_mitigate,
    add_promote,
    add_prompts,
    add_report,
    add_rescore,
    add_stimuli,
    add_store,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: error: {line(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="python -m blindspot",
        description="Bias regression testing for language models. To test a model: "
        "pytest --model MODEL.",
    )
    parser.add_argument("--version", action="version", version=f"blindspot {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(commands)
    return parser


def _is_word(text: str) -> bool:
    """Whether the system can have given it to a program."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; 4 for a usage error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # model names and words of any script, any locale
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    for word in sys.argv[1:] if argv is None else argv:
        if not _is_word(word):
            parser.error(f"{line(repr(word), 60)}: no word of a command line")
        if has_secret(word):
            parser.error(f"{line(word)}: looks like a secret; omit that part")
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BlindspotError as error:
        print(f"blindspot: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:  # the reader of the pipe has closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    return code


if __name__ == "__main__":
    sys.exit(main())
