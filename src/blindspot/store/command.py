"""``python -m blindspot store ls`` and ``store clear [MODEL ...]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from blindspot.console import console, ruled_table
from blindspot.errors import StoreError
from blindspot.store.answers import Store
from blindspot.store.contents import StoredModel
from blindspot.store.file import BROKEN_NAME, FILE_NAME
from blindspot.store.limit import UNLIMITED, VARIABLE, size_text, store_limit
from blindspot.store.place import NO_STORE, default_directory
from blindspot.store.place import VARIABLE as PLACE

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
EXIT_KEPT = 1

LS = f"""\
List the models whose answers are kept, the latest used first: an id that tells checkpoints of one
name apart, how many answers, their size and when they were last used. Where the store has grown
beyond its limit (${VARIABLE}, such as 500M or 2G, or none), the least recently used models leave it
at the end of a run.
"""
CLEAR = """\
Remove the answers of the models named, by name or by the id that `store ls` shows; without a name
those of all models, and what earlier versions and damaged files left. Asks for nothing. What a run
is using is kept. Exit codes: 0 removed, 1 something is in use and was kept, 4 usage.
"""
#: What `clear` removes beside the answers: a damaged file, and files of versions before this one.
_LEFT = (f"{BROKEN_NAME}*", "answers-1.*")


def add_command(commands: Subcommands) -> None:
    """Add ``store`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "store",
        help="list or remove the answers that are kept",
        description="The answer store: nothing is asked twice of the same weights.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    ls = actions.add_parser("ls", help="list what is kept, by model", description=LS)
    ls.set_defaults(run=run_ls)
    clear = actions.add_parser("clear", help="remove answers", description=CLEAR)
    clear.add_argument("models", metavar="MODEL", nargs="*", help="name or id; default: all")
    clear.set_defaults(run=run_clear)
    for action in (ls, clear):
        action.add_argument(
            "--store",
            metavar="DIR",
            default=os.environ.get(PLACE) or None,
            help=f"directory of the store (default: ${PLACE}, else the user's cache directory)",
        )


def run_ls(arguments: argparse.Namespace) -> int:
    """List the models of a store; the exit code.

    Raises:
        StoreError: it cannot be read.
    """
    limit = store_limit()
    store = _existing(_directory(arguments.store))
    if store is None:
        return EXIT_OK
    try:
        models, size = store.models(), store.size()
    finally:
        store.close()
    if not models:
        print(f"no answers are kept in {store.path}")
        return EXIT_OK
    out = console()
    out.print(_table(models))
    allowed = UNLIMITED if limit is None else size_text(limit)
    out.print(Text(f"limit {allowed}; {size_text(size)} in {store.path}"), soft_wrap=True)
    return EXIT_OK


def run_clear(arguments: argparse.Namespace) -> int:
    """Remove the answers of some or all models; the exit code.

    Raises:
        StoreError: a model has no answers there, or they cannot be removed.
    """
    directory = _directory(arguments.store)
    kept = _clear(directory, arguments.models)
    if directory is not None and not arguments.models:
        _remove_left(directory)
    for model in kept:
        print(f"blindspot: kept {_name(model)} {model.id}: a run is using it", file=sys.stderr)
    return EXIT_KEPT if kept else EXIT_OK


def _clear(directory: Path | None, named: Sequence[str]) -> list[StoredModel]:
    """Remove the models named, all without a name; those that must stay."""
    store = _existing(directory)
    if store is None:
        return []
    try:
        models = store.models()
        if not models:
            print(f"no answers are kept in {store.path}")
            return []
        known = {word for model in models for word in (model.name, model.id)}
        if unknown := [name for name in named if name not in known]:
            raise StoreError(
                f"{unknown[0]}: no answers of this model in {store.path}; "
                "python -m blindspot store ls lists them"
            )
        wanted = [model for model in models if not named or {model.name, model.id} & {*named}]
        removed = store.remove(wanted)
    finally:
        store.close()
    for model in removed:
        print(
            f"removed {_name(model)} {model.id}: {model.answers:,} answers, {size_text(model.size)}"
        )
    return [model for model in wanted if model not in removed]


def _directory(given: str | None) -> Path | None:
    """The directory that is meant; None where answers are not kept."""
    if given == NO_STORE:
        return None
    return default_directory() if given is None else Path(given)


def _existing(directory: Path | None) -> Store | None:
    """The store in a directory; None, and a line that says so, where there is none."""
    if directory is None:
        print("no answers are kept with --store none")
    elif not (directory / FILE_NAME).exists():
        print(f"no answers are kept in {directory}")
    else:
        return Store(directory, told=_tell)
    return None


def _tell(line: str) -> None:
    print(f"blindspot: {line}", file=sys.stderr)


def _remove_left(directory: Path) -> None:
    for path in sorted(found for pattern in _LEFT for found in directory.glob(pattern)):
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed ({error.strerror})") from None
        print(f"removed {path.name}: {size_text(size)}")


def _table(models: Sequence[StoredModel]) -> Table:
    answers = sum(model.answers for model in models)
    size = sum(model.size for model in models)
    table = ruled_table()
    table.show_footer = True
    table.add_column("model", "total", overflow="fold")
    table.add_column("id", no_wrap=True)
    table.add_column("answers", f"{answers:,}", justify="right", no_wrap=True)
    table.add_column("size", size_text(size), justify="right", no_wrap=True)
    table.add_column("last used", justify="right", no_wrap=True)
    for model in reversed(models):
        used = datetime.fromtimestamp(model.used).strftime("%Y-%m-%d %H:%M")
        table.add_row(_name(model), model.id, f"{model.answers:,}", size_text(model.size), used)
    return table


def _name(model: StoredModel) -> str:
    """The name, with nothing in it that a terminal would obey."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in model.name
    )
    return shown or "(unnamed)"
