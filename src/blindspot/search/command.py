"""``python -m blindspot promote [FILE|ID ...] [--to DIR]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot.errors import SearchError, StimulusError
from blindspot.paths import FIXTURES, PROMOTED
from blindspot.plan.store.place import VARIABLE
from blindspot.search.keeping import found_directory, kept, promote
from blindspot.stimuli import PromotedCase, read_promoted
from blindspot.stimuli.loading import PROMOTED as ROOM
from blindspot.stimuli.loading import validate

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0

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
        "--to", metavar="DIR", type=Path, default=PROMOTED, help=f"default: {_shown(PROMOTED)}"
    )
    parser.add_argument(
        "--store",
        metavar="DIR",
        default=os.environ.get(VARIABLE) or None,
        help="directory of the answer store of the search, in which found cases are kept "
        f"(default: ${VARIABLE}, else the user's cache directory)",
    )
    parser.set_defaults(run=run)


def _shown(path: Path) -> Path:
    """A path of the checkout as it is seen from the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def run(arguments: argparse.Namespace) -> int:
    """Promote the cases named, or list those that are found; the exit code.

    Raises:
        BlindspotError: a case is not there, is faulty or was promoted already.
    """
    found = found_directory(arguments.store)
    if not arguments.cases:
        return _list(found)
    named = [case for name in arguments.cases for case in _named(name, found)]
    cases = list({case.id: case for case in named}.values())
    target: Path = arguments.to
    for path in promote(cases, target):
        print(f"wrote {_shown(path)}")
    ours = target.resolve() == FIXTURES / ROOM
    include = "" if ours else f" --include-path {_shown(target)}"
    print(f"judged from now on by: pytest --model NAME{include} -m promoted")
    return EXIT_OK


def _named(name: str, found: Path | None) -> Sequence[PromotedCase]:
    """The cases that a file or an id stands for."""
    path = Path(name)
    if path.suffix == ".json":
        return list(_of_document(path))
    if path.suffix == ".toml":
        return [read_promoted(path)]
    if found is None or not (found / f"{name}.toml").is_file():
        where = "" if found is None else f" in {found}"
        raise SearchError(
            f"{name}: no such case was found{where}; python -m blindspot promote lists them, and a "
            "search.json can be named instead"
        )
    return [read_promoted(found / f"{name}.toml")]


def _of_document(path: Path) -> Iterator[PromotedCase]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SearchError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except ValueError:
        raise SearchError(f"{path}: not JSON; name a search.json that a search wrote") from None
    cases = list(_cases(document))
    if not cases:
        raise SearchError(f"{path}: no found case in it; nothing was promoted")
    for case in cases:
        yield validate(PromotedCase, case, path)


def _cases(document: Any) -> Iterator[Any]:
    searches = document.get("searches") if isinstance(document, dict) else None
    for search in searches if isinstance(searches, list) else ():
        found = search.get("found") if isinstance(search, dict) else None
        if isinstance(found, dict) and "case" in found:
            yield found["case"]


def _list(found: Path | None) -> int:
    cases = [] if found is None else list(kept(found))
    for fault in (one for one in cases if isinstance(one, StimulusError)):
        print(f"blindspot: {fault}", file=sys.stderr)
    readable = [one for one in cases if isinstance(one, PromotedCase)]
    if not readable:
        print(f"no found cases are kept in {found}" if found else "no found cases are kept")
        return EXIT_OK
    for case in readable:
        print(case.id)  # alone on its line, to be copied
        if (seen := case.found) is not None:
            print(f"    {seen.effect:+.2f} becomes {seen.changed_effect:+.2f} in {seen.model}")
    return EXIT_OK
