"""``python -m blindspot promote``: list found cases, or turn them into fixtures.

Slow imports are in the functions that use them: the command line calls `add_command` of every
command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot import files
from blindspot.errors import SearchError, StimulusError, line
from blindspot.paths import FIXTURES, PROMOTED
from blindspot.store import NO_STORE, PLACE_VARIABLE, default_directory

if TYPE_CHECKING:
    from blindspot.stimuli import PromotedCase

    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_OK = 0
#: A search of all axes writes 1 MB.
LARGEST = 64 * 2**20
#: Folder for found cases, next to the answer store.
FOUND = "found"

_HEADER = """\
# A case of the search (pytest -m search): both prompts should have the same stereotype effect.
# Source: made of the wordings, words and transformations of its run. Licence: theirs.
# Language: {language}.
#
# Judged by tests/search/test_promoted.py: the effects, balanced over all four orders, may differ by
# `at_most`. `found` says in which model they differed; it is not judged.

"""
DESCRIPTION = f"""\
Turn cases that the search found (pytest -m search) into fixtures, a TOML file each, which
tests/search/test_promoted.py judges from then on. Name a case by its id, or by a file: a
search.json means all its cases, a TOML file its own. Without a name, list the found cases. Nothing
is overwritten; either all cases are written or none. Cases outside the directory {PROMOTED.name} of
the fixtures need --include-path DIR. Exit codes: 0 promoted or listed, 4 usage.
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
        help="directory of the answer store of the search, which keeps found cases "
        f"(default: ${PLACE_VARIABLE}, else the user's cache directory)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Promote the named cases, or list the found ones; the exit code.

    Raises:
        BlindspotError: a case does not exist, is faulty or is already promoted.
    """
    from blindspot.stimuli.files import PROMOTED as ROOM

    found = found_directory(arguments.store)
    if not arguments.cases:
        return _list(found)
    named = [case for name in arguments.cases for case in _named(name, found)]
    cases = list({case.id: case for case in named}.values())
    target: Path = arguments.to
    for path in promote(cases, target):
        print(f"wrote {line(shown(path))}")
    ours = target.resolve() == FIXTURES / ROOM
    include = "" if ours else f" --include-path {line(shown(target))}"
    print(f"judge it with: pytest --model NAME{include} -m promoted")
    return EXIT_OK


def _named(name: str, found: Path | None) -> Sequence[PromotedCase]:
    """The cases of a file or an id."""
    from blindspot.stimuli import read_promoted

    path = Path(name)
    if path.suffix == ".json":
        return list(_of_document(path))
    if path.suffix == ".toml":
        return [read_promoted(path)]
    if found is None or not files.is_file(found / f"{name}.toml"):
        where = "" if found is None else f" in {found}"
        raise SearchError(
            f"{name}: no such case was found{where}; python -m blindspot promote lists them, and a "
            "search.json can be named instead"
        )
    return [read_promoted(found / f"{name}.toml")]


def _of_document(path: Path) -> Iterator[PromotedCase]:
    from blindspot.stimuli import PromotedCase
    from blindspot.toml import validate

    remedy = "name a search.json that a search wrote"
    document = files.read_json(path, LARGEST, "a search", error=SearchError, remedy=remedy)
    cases = list(_cases(document))
    if not cases:
        raise SearchError(f"{path}: contains no found case; nothing was promoted")
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
    readable = [one for one in cases if not isinstance(one, StimulusError)]
    if not readable:
        print("no found cases are stored" + (f" in {line(found)}" if found else ""))
        return EXIT_OK
    for case in readable:
        print(case.id)  # alone on its line, to be copied
        if (seen := case.found) is not None:
            print(
                f"    {seen.effect:+.2f} becomes {seen.changed_effect:+.2f} in {line(seen.model)}"
            )
    return EXIT_OK


def as_toml(case: PromotedCase) -> str:
    """The file of a case."""
    import tomli_w

    # multi-line text is written as such, if TOML keeps its line ends
    plain = "\r" not in case.original + case.changed
    content = tomli_w.dumps(case.model_dump(exclude_none=True), multiline_strings=plain)
    return _HEADER.format(language=case.language) + content


def found_directory(store: str | None) -> Path | None:
    """The directory of a store's found cases; None for a store that keeps nothing."""
    if store == NO_STORE:
        return None
    return (default_directory() if store is None else Path(store)) / FOUND


def keep(case: PromotedCase, directory: Path) -> Path:
    """Save a found case, replacing an earlier find of it.

    Raises:
        SearchError: the directory cannot be written.
    """
    path = directory / f"{case.id}.toml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        files.replace(path, as_toml(case))
    except OSError as error:
        raise SearchError(f"{directory}: cannot be written ({error.strerror})") from None
    return path


def kept(directory: Path) -> Iterator[PromotedCase | StimulusError]:
    """All cases of a directory by name, or why one cannot be read."""
    from blindspot.stimuli import read_promoted

    for path in sorted(directory.glob("*.toml")):
        try:
            yield read_promoted(path)
        except StimulusError as error:
            yield error


def promote(cases: Sequence[PromotedCase], directory: Path) -> list[Path]:
    """Write cases into a directory of fixtures: all of them, or none.

    Raises:
        SearchError: one of them already exists, or the directory cannot be written.
    """
    targets = [directory / f"{case.id}.toml" for case in cases]
    _check_new(cases, targets, directory)
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target, case in zip(targets, cases, strict=True):
            files.replace(target, as_toml(case))
            written.append(target)
    except OSError as error:
        for target in written:
            target.unlink(missing_ok=True)
        raise SearchError(
            f"{directory}: cannot be written ({error.strerror}), nothing was promoted; name "
            "another directory with --to DIR"
        ) from None
    return written


def _check_new(cases: Sequence[PromotedCase], targets: Sequence[Path], directory: Path) -> None:
    from blindspot.toml import read_toml

    ids = {case.id for case in cases}
    for path in targets:
        if path.exists():
            raise SearchError(f"{path}: already exists; nothing was promoted, remove it first")
    for path in sorted(directory.glob("*.toml")):
        if (known := read_toml(path).get("id")) in ids:
            raise SearchError(f"{path}: already contains {known}; nothing was promoted")


def shown(path: Path) -> Path:
    """A path of the checkout relative to the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
