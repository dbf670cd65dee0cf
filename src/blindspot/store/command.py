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
from blindspot.errors import StoreError, line
from blindspot.store.answers import BROKEN, remove_unused
from blindspot.store.directory import FOLDER, Store, StoredModel
from blindspot.store.place import (
    LIMIT_VARIABLE,
    NO_STORE,
    PLACE_VARIABLE,
    UNLIMITED,
    default_directory,
    size_text,
    store_limit,
)

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
EXIT_KEPT = 1

LS = f"""\
List the models in the store, last used first: an id that distinguishes checkpoints of one name, the
number of answers, their size and when they were last used. A run that ends with more than the limit
(${LIMIT_VARIABLE}, such as 500M or 2G, or none) removes the least recently used models.
"""
CLEAR = """\
Remove the answers of the named models, by name or by the id that `store ls` shows; without a name
remove all models, damaged files, and files of earlier versions. Does not ask for confirmation.
Files in use by a run are kept. Exit codes: 0 removed, 1 something is in use and was kept, 4 usage.
"""
#: Other files that `clear` removes: damaged ones, those of earlier versions, handshakes of servers.
_LEFT = (f"{FOLDER}/*{BROKEN}*", "answers-[12].*", "in-use/*.lock", "servers-*/*.json")


def add_command(commands: Subcommands) -> None:
    """Add ``store`` to the subcommands of ``python -m blindspot``."""
    parser = commands.add_parser(
        "store",
        help="list or remove stored answers",
        description="The answer store: the same weights are never asked twice.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    ls = actions.add_parser("ls", help="list stored answers by model", description=LS)
    ls.set_defaults(run=run_ls)
    clear = actions.add_parser("clear", help="remove answers", description=CLEAR)
    clear.add_argument("models", metavar="MODEL", nargs="*", help="name or id; default: all")
    clear.set_defaults(run=run_clear)
    for action in (ls, clear):
        action.add_argument(
            "--store",
            metavar="DIR",
            default=os.environ.get(PLACE_VARIABLE) or None,
            help=f"directory of the store (default: ${PLACE_VARIABLE}, else the user's cache "
            "directory)",
        )


def run_ls(arguments: argparse.Namespace) -> int:
    """List the models of a store; the exit code.

    Raises:
        StoreError: it cannot be read.
    """
    limit = store_limit()
    directory = _directory(arguments.store)
    store, models = _opened(directory)
    if not models:
        return EXIT_OK
    out = console()
    out.print(_table(models))
    allowed = UNLIMITED if limit is None else size_text(limit)
    place = line(store.path)
    out.print(Text(f"limit {allowed}; {size_text(store.size())} in {place}"), soft_wrap=True)
    return EXIT_OK


def run_clear(arguments: argparse.Namespace) -> int:
    """Remove the answers of some or all models; the exit code.

    Raises:
        StoreError: a model has no answers there, or they cannot be removed.
    """
    directory, named = _directory(arguments.store), arguments.models
    store, models = _opened(directory)
    known = {word for model in models for word in (model.name, model.id)}
    if models and (unknown := [name for name in named if name not in known]):
        raise StoreError(
            f"{unknown[0]}: no answers of this model in {store.path}; "
            "python -m blindspot store ls lists them"
        )
    code = EXIT_OK
    for model in models:
        if named and not {model.name, model.id} & {*named}:
            continue
        if remove_unused(model.path):
            size = size_text(model.size)
            print(f"removed {_name(model)} {model.id}: {model.answers:,} answers, {size}")
        else:
            print(f"blindspot: kept {_name(model)} {model.id}: a run is using it", file=sys.stderr)
            code = EXIT_KEPT
    if directory is not None and not named:
        _remove_left(directory)
    return code


def _directory(given: str | None) -> Path | None:
    """The directory of the store; None if answers are not stored."""
    if given == NO_STORE:
        return None
    return default_directory() if given is None else Path(given)


def _opened(directory: Path | None) -> tuple[Store, list[StoredModel]]:
    """The store in a directory and its models; prints a line if there are none."""
    store = Store(directory, told=_tell)
    models = [model for model in store.models() if model.answers]
    if directory is None:
        print("no answers are stored with --store none")
    elif not models:
        print(f"no answers are stored in {line(directory)}")
    return store, models


def _tell(note: str) -> None:
    print(f"blindspot: {line(note)}", file=sys.stderr)


def _remove_left(directory: Path) -> None:
    for path in sorted(found for pattern in _LEFT for found in directory.glob(pattern)):
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed ({error.strerror})") from None
        print(f"removed {line(path.name)}: {size_text(size)}")


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
    """The name, escaped for the terminal."""
    shown = "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in model.name
    )
    return shown or "(unnamed)"
