"""The files of stimuli: which folder each belongs to, and how one is read by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from blindspot.errors import StimulusError
from blindspot.files import is_directory, is_file
from blindspot.paths import FIXTURES
from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.prompts import IMPLICIT
from blindspot.stimuli.schema import (
    Axis,
    ExplicitWordings,
    ImplicitWording,
    ImplicitWordings,
    Strict,
)
from blindspot.stimuli.senses import (
    ContextFile,
    QuestionFile,
    Sense,
)
from blindspot.stimuli.terms import Name
from blindspot.stimuli.texts import TextFile
from blindspot.stimuli.transformations import TransformationFile
from blindspot.toml import read_toml, validate

#: ``--axis`` for every axis, and the file of the fixtures that names those of a run without it.
EVERY = "all"
DEFAULTS = "suite.toml"

AXES = "axes"
WORDINGS = "wordings"
SENSES = "senses"
CONTEXTS = "contexts"
QUESTIONS = "questions"
TRANSFORMATIONS = "transformations"
TEXTS = "texts"
PROMOTED = "promoted"

#: A folder of the fixtures, and the keys that identify its files in a flat directory; of folders
#: that share a key, the one with keys of its own comes first.
ROOMS = {
    PROMOTED: frozenset({"original", "changed"}),
    WORDINGS: frozenset({"measurement", "wording"}),
    SENSES: frozenset({"cues", "stems"}),
    CONTEXTS: frozenset({"template", "unrelated"}),
    QUESTIONS: frozenset({"kind", "question"}),
    TRANSFORMATIONS: frozenset({"transformation"}),
    TEXTS: frozenset({"stated", "neutral"}),
    AXES: frozenset[str](),
}
#: Files of a suite's fixtures that are no stimuli, and what to do with one in a user's directory.
_OF_A_SUITE = {
    DEFAULTS: "this file belongs to the fixtures of a suite; remove it, use --axis to choose axes",
    "gates.toml": "limits are no stimuli; move the file elsewhere, and name it with --gates",
}
#: Of a flat file that holds more than an axis.
_OF_AN_AXIS = frozenset({"variants", "groups"})


def files_in(root: Path, *rooms: str) -> list[Path]:
    """The TOML files of a folder, sorted; none if it does not exist."""
    folder = root.joinpath(*rooms)
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def all_files(root: Path) -> dict[str, list[Path]]:
    """Files by folder, with those in the folders of languages."""
    return {
        room: [*files_in(root, room), *sorted(root.joinpath(room).glob("*/*.toml"))]
        for room in ROOMS
    }


class _Defaults(Strict):
    """Which axes a run asks if nothing else says so."""

    axes: tuple[Name, ...] = Field(min_length=1)


def default_axes(fixtures: Path = FIXTURES) -> tuple[str, ...]:
    """The axes of a run that names none; all of fixtures that do not say."""
    path = fixtures / DEFAULTS
    return validate(_Defaults, read_toml(path), path).axes if path.is_file() else (EVERY,)


def shipped_axes(fixtures: Path = FIXTURES) -> tuple[str, ...]:
    """The names of all axes of the fixtures, none of which is read: each file has the name."""
    return tuple(path.stem for path in files_in(fixtures, AXES))


def is_suite(directory: Path) -> bool:
    """Whether the directory holds all fixtures of a suite: ours, or a copy of them."""
    return is_file(directory / DEFAULTS)


def suite_files(fixtures: Path) -> dict[str, list[Path]]:
    """All files of stimuli by folder of the fixtures.

    Raises:
        StimulusError: the file that names the default axes is damaged.
    """
    default_axes(fixtures)
    return all_files(fixtures)


def included(directory: Path, refused: list[str] | None = None) -> dict[str, list[Path]]:
    """Files of a user's directory by folder of the fixtures.

    A user's directory is laid out like ``fixtures/`` or is flat; one of its keys tells which folder
    a flat file belongs to, otherwise it is an axis. ``refused`` collects the files that are not
    read; without it the first one is raised.
    """
    if not is_directory(directory):
        raise StimulusError(f"--include-path {directory}: no such directory; check the path")
    files = all_files(directory)
    for path in sorted(directory.glob("*.toml")):
        try:
            if path.name in _OF_A_SUITE:
                raise StimulusError(f"{path}: {_OF_A_SUITE[path.name]}")
            keys = read_toml(path).keys()
        except StimulusError as error:
            if refused is None:
                raise
            refused.append(str(error))
            continue
        room = next((room for room, own in ROOMS.items() if own & keys), AXES)
        files[AXES if _OF_AN_AXIS & keys else room].append(path)
    if not any(files.values()) and not refused:
        raise StimulusError(
            f"--include-path {directory}: no TOML file in it; put axes under {AXES}/, wordings "
            f"under {WORDINGS}/, or all of them in the directory itself"
        )
    return files


def read_axis(path: Path) -> Axis:
    """One axis file, whatever else it holds."""
    return read_whole(path)[0]


class Beside(Strict):
    """What an axis file may hold beside the axis, in the language of the axis."""

    wording: tuple[ImplicitWording, ...] = ()
    sense: tuple[Sense, ...] = ()


def read_whole(path: Path) -> tuple[Axis, Beside]:
    """An axis file, with association wordings and senses in it."""
    data = read_toml(path)
    beside = {key: data.pop(key) for key in Beside.model_fields if key in data}
    axis = validate(Axis, data, path)
    senses = beside.get("sense")
    for sense in senses if isinstance(senses, list) else ():
        if isinstance(sense, dict):
            sense.setdefault("language", axis.language)
    found = validate(Beside, beside, path)
    if found.wording:
        file = {"measurement": IMPLICIT, "language": axis.language, "wording": beside["wording"]}
        validate(ImplicitWordings, file, path)
    return axis, found


def read_wordings(path: Path) -> ImplicitWordings | ExplicitWordings:
    """One wording file of either measurement."""
    data = read_toml(path)
    if data.get("measurement") == "explicit":
        return validate(ExplicitWordings, data, path)
    return validate(ImplicitWordings, data, path)


def read_sense(path: Path) -> Sense:
    """One file of a sense, or of the neutral cues."""
    return validate(Sense, read_toml(path), path)


def read_contexts(path: Path) -> ContextFile:
    """One file of context templates or unrelated words."""
    return validate(ContextFile, read_toml(path), path)


def read_questions(path: Path) -> QuestionFile:
    """One file of questions of either kind."""
    return validate(QuestionFile, read_toml(path), path)


def read_transformations(path: Path) -> TransformationFile:
    """One file of changes that should not matter."""
    return validate(TransformationFile, read_toml(path), path)


def read_texts(path: Path) -> TextFile:
    """One file of what is stated in prompts, or of neutral sentences."""
    return validate(TextFile, read_toml(path), path)


def read_promoted(path: Path) -> PromotedCase:
    """One file of a case that the search found and a user kept."""
    return validate(PromotedCase, read_toml(path), path)


READERS: Mapping[str, Callable[[Path], object]] = {
    AXES: read_axis,
    WORDINGS: read_wordings,
    SENSES: read_sense,
    CONTEXTS: read_contexts,
    QUESTIONS: read_questions,
    TRANSFORMATIONS: read_transformations,
    TEXTS: read_texts,
    PROMOTED: read_promoted,
}
"""How a file of each folder is read by itself."""
