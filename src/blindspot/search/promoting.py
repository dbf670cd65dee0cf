"""Cases that the search found, listed or made fixtures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.errors import SearchError, StimulusError
from blindspot.paths import FIXTURES
from blindspot.search.command import shown
from blindspot.search.keeping import found_directory, kept, promote
from blindspot.stimuli import PromotedCase, read_promoted
from blindspot.stimuli.loading import PROMOTED as ROOM
from blindspot.toml import validate

EXIT_OK = 0
#: A search of all axes writes 1 MB.
LARGEST = 64 * 2**20


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
        print(f"wrote {shown(path)}")
    ours = target.resolve() == FIXTURES / ROOM
    include = "" if ours else f" --include-path {shown(target)}"
    print(f"judged from now on by: pytest --model NAME{include} -m promoted")
    return EXIT_OK


def _named(name: str, found: Path | None) -> Sequence[PromotedCase]:
    """The cases that a file or an id stands for."""
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
    remedy = "name a search.json that a search wrote"
    document = files.read_json(path, LARGEST, "a search", error=SearchError, remedy=remedy)
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
