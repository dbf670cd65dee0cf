"""``python -m blindspot stimuli check DIR``: what is wrong with a directory of stimuli."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot.errors import StimulusError, line
from blindspot.paths import ORGANISM_PREFIX, organism_directory

if TYPE_CHECKING:
    from blindspot.stimuli.lint import Count

    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
EXIT_USAGE = 4
CHECK = """\
Check a directory of axes, wordings, senses, contexts and questions without a model. Prints one line
for each file that a run would refuse, and one for whatever makes the numbers imprecise or lets a
model answer by something other than the groups; each line ends with the remedy. A directory with a
suite.toml is checked as the fixtures of a whole suite, limits included. Exit codes: 0 a run would
read it, 4 it would not.
"""


def add_command(commands: Subcommands) -> None:
    """Add ``stimuli`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "stimuli",
        help="check a directory of stimuli",
        description="Axes, wordings, senses, contexts and questions in TOML files.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser("check", help="find mistakes without a model", description=CHECK)
    check.add_argument("directory", metavar="DIR", help="the directory of --include-path")
    check.add_argument(
        "--tokenizer",
        metavar="NAME",
        help="also compare lengths in the tokens of this model: a directory, a hub id or "
        "organism:NAME",
    )
    check.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Print what is found; 4 if a file is refused."""
    from blindspot.stimuli.files import is_suite
    from blindspot.stimuli.lint import lint

    directory = Path(arguments.directory)
    tokens = None if arguments.tokenizer is None else _counted(arguments.tokenizer)
    found = lint(directory, tokens)
    if is_suite(directory) and not found.refused:
        found = replace(found, files=found.files + 1, refused=_limits_refused(directory))
    for each in (*(f"refused: {one}" for one in found.refused), *found.remarks):
        print(line(each, 1000))
    files = "1 file" if found.files == 1 else f"{found.files} files"
    remarks = f"{len(found.remarks)} remark{'s' * (len(found.remarks) != 1)}"
    print(f"{files}, {f'{len(found.refused)} refused' if found.refused else remarks}")
    return EXIT_USAGE if found.refused else EXIT_OK


def _limits_refused(fixtures: Path) -> list[str]:
    """What is wrong with the limits of a suite, whose stimuli are sound."""
    from blindspot.gates.limits import load_gates
    from blindspot.stimuli.files import EVERY
    from blindspot.stimuli.loader import load_stimuli

    try:
        table = load_gates(fixtures / "gates.toml")
        table.check_names(load_stimuli(axes=[EVERY], fixtures=fixtures).axes)
    except StimulusError as error:
        return [str(error)]
    return []


def _counted(name: str) -> Count:
    """How many tokens a word is behind a space.

    Raises:
        ModelError: there is no such tokenizer, or it is damaged.
    """
    from blindspot.models.transformers.faults import explained, quiet

    place = name
    if name.startswith(ORGANISM_PREFIX):
        place = str(organism_directory(name.removeprefix(ORGANISM_PREFIX)))
    remedy = "; name a directory with a tokenizer, or a model of the hub"
    with explained(f"--tokenizer {line(name, 200)}", "cannot be loaded", remedy):
        from transformers import AutoTokenizer

        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(place)
    return lambda word: len(tokenizer.encode(f" {word}", add_special_tokens=False))
