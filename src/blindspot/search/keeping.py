"""Found cases on disk, each as the TOML file that it is promoted as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import tomli_w

from blindspot import files
from blindspot.errors import SearchError, StimulusError
from blindspot.stimuli import PromotedCase, read_promoted
from blindspot.store import NO_STORE, default_directory
from blindspot.toml import read_toml

#: Folder beside the answer store where found cases wait.
FOUND = "found"

_HEADER = """\
# A case of the search (pytest -m search): both prompts should have the same stereotype effect.
# Source: made of the wordings, words and transformations of its run. Licence: theirs.
# Language: {language}.
#
# Judged by tests/search/test_promoted.py: the effects, balanced over all four orders, may differ by
# `at_most`. `found` says in which model they differed; it is not judged.

"""


def as_toml(case: PromotedCase) -> str:
    """The file of a case."""
    # a text over several lines is written as such, where TOML keeps its line ends
    plain = "\r" not in case.original + case.changed
    content = tomli_w.dumps(case.model_dump(exclude_none=True), multiline_strings=plain)
    return _HEADER.format(language=case.language) + content


def found_directory(store: str | None) -> Path | None:
    """Where the found cases of a store lie; None for a store that keeps nothing."""
    if store == NO_STORE:
        return None
    return (default_directory() if store is None else Path(store)) / FOUND


def keep(case: PromotedCase, directory: Path) -> Path:
    """Keep a found case, in the place of an earlier find of the same.

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
    for path in sorted(directory.glob("*.toml")):
        try:
            yield read_promoted(path)
        except StimulusError as error:
            yield error


def promote(cases: Sequence[PromotedCase], directory: Path) -> list[Path]:
    """Write cases into a directory of fixtures: all of them, or none.

    Raises:
        SearchError: one of them is there already, or the directory cannot be written.
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
    ids = {case.id for case in cases}
    for path in targets:
        if path.exists():
            raise SearchError(f"{path}: is there already; nothing was promoted, remove it first")
    for path in sorted(directory.glob("*.toml")):
        if (known := read_toml(path).get("id")) in ids:
            raise SearchError(f"{path}: holds {known} already; nothing was promoted")
