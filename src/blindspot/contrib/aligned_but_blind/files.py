"""Find the paper's result files in any directory layout, and read each completely or not at all.

A file is ``{"white black positive negative": {prompt_id: [text, label]}}``. One entry of another
shape makes the file invalid: a rate over the readable entries alone is meaningless.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from blindspot import files
from blindspot.contrib.aligned_but_blind.filenames import (
    ResultName,
    looks_like_result,
    parse_filename,
)
from blindspot.contrib.aligned_but_blind.prompts import (
    PublishedPrompt,
    PublishedRecord,
    describe_prompt,
    split_text,
)
from blindspot.errors import PublishedFileError, line

#: The paper's largest file is below 2 MB; more than this is not a result file.
MAX_BYTES = 256 * 2**20

#: Wraps the files while they are read, such as to show a progress bar.
Progress = Callable[[Sequence[Path]], Iterator[Path]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or directory that could not be used, and why, in one line."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{line(self.path)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One readable result file."""

    path: Path
    name: ResultName
    records: tuple[PublishedRecord, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """The result files below a directory in the order of their paths, and what was skipped."""

    files: tuple[ResultFile, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The distinct published prompts below a directory, and the files that could not be read."""

    prompts: tuple[PublishedPrompt, ...]
    skipped: tuple[Skipped, ...]


def load_prompts(directory: Path) -> PromptSet:
    """Every distinct prompt below ``directory``, once for all models that answered it.

    Sorted by variant and category, then in file order.

    Raises:
        PublishedFileError: there is no such directory, or no readable result file in it.
    """
    collection = read_directory(directory)
    if not collection.files:
        raise PublishedFileError(
            f"{directory}: none of its {len(collection.skipped)} result files can be read; "
            f"first: {collection.skipped[0]}"
        )
    distinct: dict[tuple[str, str, str], PublishedPrompt] = {}
    for file in collection.files:
        for record in file.records:
            prompt = record.prompt
            distinct.setdefault((prompt.variant, prompt.category, prompt.text), prompt)
    prompts = sorted(distinct.values(), key=lambda prompt: (prompt.variant, prompt.category))
    return PromptSet(tuple(prompts), collection.skipped)


def read_directory(directory: Path, progress: Progress = iter) -> Collection:
    """Read every result file below ``directory``, whatever its layout.

    Hidden files and directories are skipped, links are followed, and a file with several links is
    read once.

    Raises:
        PublishedFileError: there is no such directory, or no result file in it.
    """
    paths, skipped = _find(directory)
    if not paths:
        hint = f"; {skipped[0]}" if skipped else ""
        raise PublishedFileError(
            f"{line(directory)}: no result files in it (looked for "
            f"<variant>_<category>_bias_results_<model>_deterministic.json){hint}"
        )
    found = []
    for path in progress(paths):
        name = parse_filename(path.name, path.absolute().parent.name)
        try:
            if name is None:
                raise PublishedFileError(
                    "its name is not <variant>_<category>_bias_results_<model>_deterministic.json"
                )
            found.append(ResultFile(path, name, read_result_file(path, name)))
        except PublishedFileError as error:
            skipped.append(Skipped(path, str(error)))
    return Collection(tuple(found), tuple(skipped))


def _find(directory: Path) -> tuple[list[Path], list[Skipped]]:
    """Paths that look like result files, sorted, and the directories that cannot be listed."""
    try:
        what = "" if stat.S_ISDIR(directory.stat().st_mode) else "not a directory"
    except FileNotFoundError:
        what = "no such directory"
    except OSError as error:
        what = f"cannot be opened ({error.strerror})"
    if what:
        raise PublishedFileError(
            f"{line(directory)}: {what}; name the one that holds the paper's result files"
        )
    found: list[Path] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()

    def unlistable(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename), f"cannot be listed: {error.strerror}"))

    def first_visit(path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return True  # reading it will report the error
        place = (status.st_dev, status.st_ino)
        if place in seen:
            return False
        seen.add(place)
        return True

    first_visit(directory)
    for folder, folders, names in os.walk(directory, onerror=unlistable, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and first_visit(here / name)
        )
        found += [here / name for name in names if looks_like_result(name)]
    return [path for path in sorted(found) if first_visit(path)], skipped


def read_result_file(path: Path, name: ResultName) -> tuple[PublishedRecord, ...]:
    """The records of one result file.

    Raises:
        PublishedFileError: it cannot be read, or one of its entries is of another shape; the
            message is the reason alone, without the path.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise PublishedFileError(f"holds a JSON {_json_type(content)}, not an object of prompts")
    if not content:
        raise PublishedFileError("holds no entries")
    return tuple(
        record for key, entries in content.items() for record in _records(key, entries, name)
    )


def _load(path: Path) -> Any:
    try:
        raw = files.content(path, MAX_BYTES)
        if not raw:
            raise PublishedFileError("empty file")
        return files.parse_json(raw, unique=True)
    except OSError as error:
        raise PublishedFileError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PublishedFileError(line(error, 200)) from None


def _records(key: str, entries: Any, name: ResultName) -> Iterator[PublishedRecord]:
    parts = key.split(" ")
    if len(parts) != 4 or not all(parts):
        raise PublishedFileError(
            f'key {_quoted(key)} is not "white black positive negative" (four items)'
        )
    if len({part.casefold() for part in parts}) < 4:
        raise PublishedFileError(f"key {_quoted(key)} holds the same item twice")
    if not isinstance(entries, dict) or not entries:
        raise PublishedFileError(f"{_quoted(key)} holds no prompts by id")
    white, black, positive, negative = parts
    for prompt_id, entry in entries.items():
        where = f"{_quoted(key)} {_quoted(prompt_id)}"
        text, label = _entry(entry, where)
        try:
            asked, answer = split_text(text)
            prompt = describe_prompt(
                variant=name.variant,
                category=name.category,
                prompt_id=prompt_id,
                identifiers=(white, black),
                words=(positive, negative),
                text=asked,
            )
        except ValueError as error:
            raise PublishedFileError(f"{where}: {line(error, 200)}") from None
        yield PublishedRecord(name.model, prompt, answer, label)


def _entry(entry: Any, where: str) -> tuple[str, int | None]:
    """Text and label; no scorer needs the label, which is -1 to 2 in files of adapters."""
    if not isinstance(entry, list) or len(entry) != 2:
        raise PublishedFileError(f"{where} is not [text, label]")
    text, label = entry
    if not isinstance(text, str) or type(label) not in (int, NoneType):
        raise PublishedFileError(f"{where} is not [text, whole number or null]")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise PublishedFileError(f"{where} holds half a surrogate pair") from None
    return text, label


def _json_type(content: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(content), "null")


def _quoted(text: str) -> str:
    """``text`` in one line of printable characters, however long or odd it is."""
    return ascii(text) if len(text) <= 60 else ascii(text[:57]) + "..."
