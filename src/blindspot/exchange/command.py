"""``python -m blindspot prompts export`` and ``answers import``.

Slow imports are in the functions that use them.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot.errors import ExchangeError, line

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
FORMATS = ("jsonl", "openai", "lm-eval", "inspect")
EXPORT = """\
Write the prompts of a run to FILE, one a line, to be answered elsewhere: by a batch API, on a
cluster, behind an air gap. Whatever else is given goes to pytest and selects them, as in a run
(-k, -m, --axis, --fraction, --include-path, --pyargs blindspot.suite). No model is needed.
Exit codes: 0 written, 4 usage.
"""
IMPORT = """\
Check the answers to the prompts in FILE, and write them to a file that
pytest --model answers:FILE judges like any model. ANSWERS are what came back, of one kind: lines
with id and answer, output of a batch API, lm-eval's samples_*.jsonl, or what "inspect log dump"
prints; without any, FILE itself has the answers. Exit codes: 0 written, 4 usage: a prompt lacks
its answer, an answer belongs to no prompt, or to another set of prompts.
"""


def add_prompts(commands: Subcommands) -> None:
    """Add ``prompts`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "prompts", help="write the prompts of a run, to be answered elsewhere", description=EXPORT
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    export = actions.add_parser("export", help="write prompts", description=EXPORT)
    export.add_argument("file", metavar="FILE.jsonl", type=Path, help="where to")
    export.add_argument(
        "rest",
        metavar="OPTIONS",
        nargs=argparse.REMAINDER,
        help=f"--format {'|'.join(FORMATS)}: also write them as requests of a batch API, or as "
        "tasks of a harness; --chat: as messages; --model NAME: the model that will answer; then "
        "the arguments of pytest",
    )
    export.set_defaults(run=run_export)


def add_answers(commands: Subcommands) -> None:
    """Add ``answers`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "answers", help="read answers that were given elsewhere", description=IMPORT
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    taken = actions.add_parser("import", help="check and read answers", description=IMPORT)
    taken.add_argument("file", metavar="FILE.jsonl", type=Path, help="the exported prompts")
    taken.add_argument("answers", metavar="ANSWERS", nargs="*", type=Path, help="what came back")
    taken.add_argument("--model", metavar="NAME", default="", help="the model that answered")
    taken.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="where to (default: the name of FILE with .answers.jsonl)",
    )
    taken.set_defaults(run=run_import)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the prompts; the exit code.

    Raises:
        ExchangeError: pytest refuses its arguments, no prompt is selected, or a file cannot be
            written.
    """
    from blindspot.exchange.formats import write
    from blindspot.exchange.prompts import planned
    from blindspot.models.answered.file import Head, set_digest

    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    own.add_argument("--format", choices=FORMATS, default="jsonl")
    own.add_argument("--chat", action="store_true")
    own.add_argument("--model", default="")
    try:
        options, rest = own.parse_known_args(arguments.rest)
    except argparse.ArgumentError as error:
        raise ExchangeError(f"{error}") from None
    if options.format == "openai" and not options.model:
        raise ExchangeError("--format openai: each request names its model; add --model NAME")
    if "--apply-chat-template" in rest:
        raise ExchangeError("--apply-chat-template: prompts are exported as texts; use --chat")
    prompts = planned(rest, chat=options.chat)
    head = Head(
        "prompts",
        len(prompts),
        set_digest([prompt.id for prompt in prompts]),
        tuple(rest),
        options.chat,
        options.model,
    )
    try:
        written = write(arguments.file, head, prompts, options.format)
    except (OSError, ValueError) as error:  # a NUL in the name
        raise ExchangeError(
            f"{line(arguments.file)}: cannot be written ({line(error, 80)}); name another place"
        ) from None
    several = "1 prompt" if len(prompts) == 1 else f"{len(prompts):,} prompts"
    print(f"{several}: {', '.join(map(line, written))}")
    return EXIT_OK


def run_import(arguments: argparse.Namespace) -> int:
    """Check the answers and write them; the exit code.

    Raises:
        ExchangeError: a file cannot be read or written, or the answers are not those to the
            prompts.
    """
    from blindspot.exchange.answers import imported, write_answers

    file: Path = arguments.file
    found = imported(file, arguments.answers, arguments.model)
    output: Path = arguments.output or file.with_name(f"{file.stem}.answers.jsonl")
    try:
        write_answers(output, found)
    except (OSError, ValueError) as error:
        raise ExchangeError(
            f"{line(output)}: cannot be written ({line(error, 80)}); name another with --output"
        ) from None
    print(f"{found.told}: {line(output)}")
    words = ["pytest", "--model", f"answers:{output}", *found.head.arguments]
    print(f"judge them: {line(shlex.join(words))}")
    return EXIT_OK
