"""Read the TOML files of the stimuli: ours, and those of every ``--include-path``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from blindspot.errors import StimulusError
from blindspot.paths import FIXTURES
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.compatibility import Origin, check_fit
from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.design import Block
from blindspot.stimuli.schema import (
    Axis,
    ExplicitWording,
    ExplicitWordings,
    ImplicitWording,
    ImplicitWordings,
)
from blindspot.stimuli.senses import (
    ContextFile,
    ContextTemplate,
    InterpretationQuestion,
    QuestionFile,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.terms import fold
from blindspot.stimuli.transformations import Transformation, TransformationFile
from blindspot.toml import read_toml, validate

AXES = "axes"
WORDINGS = "wordings"
SENSES = "senses"
CONTEXTS = "contexts"
QUESTIONS = "questions"
TRANSFORMATIONS = "transformations"
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
    AXES: frozenset[str](),
}

Key = TypeVar("Key")
Item = TypeVar("Item")


def _files(root: Path, room: str) -> list[Path]:
    folder = root / room
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def _included(directory: Path) -> dict[str, list[Path]]:
    """Files of a user's directory by folder of the fixtures.

    A user's directory is laid out like ``fixtures/`` or is flat; one of its keys tells which folder
    a flat file belongs to, otherwise it is an axis.
    """
    if not directory.is_dir():
        raise StimulusError(f"--include-path {directory}: no such directory; check the path")
    files = {room: _files(directory, room) for room in ROOMS}
    for path in sorted(directory.glob("*.toml")):
        keys = read_toml(path).keys()
        files[next((room for room, own in ROOMS.items() if own & keys), AXES)].append(path)
    if not any(files.values()):
        raise StimulusError(
            f"--include-path {directory}: no TOML file in it; put axes under {AXES}/, wordings "
            f"under {WORDINGS}/, or all of them in the directory itself"
        )
    return files


def read_axis(path: Path) -> Axis:
    """One axis file."""
    return validate(Axis, read_toml(path), path)


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


def read_promoted(path: Path) -> PromotedCase:
    """One file of a case that the search found and a user kept."""
    return validate(PromotedCase, read_toml(path), path)


class _Reader:
    """Files read so far, and which file defines what."""

    def __init__(self) -> None:
        self.axes: dict[str, Axis] = {}
        self.implicit: dict[str, list[ImplicitWording]] = {}
        self.explicit: dict[str, list[ExplicitWording]] = {}
        self.blocks: dict[tuple[str, str], list[Block]] = {}
        self.senses: dict[str, dict[str, Sense]] = {}
        self.templates: dict[str, list[ContextTemplate]] = {}
        self.unrelated: dict[str, list[UnrelatedWords]] = {}
        self.questions: dict[str, list[InterpretationQuestion]] = {}
        self.transformations: dict[str, list[Transformation]] = {}
        self.promoted: dict[str, PromotedCase] = {}
        self.origin: Origin = {}

    def axis(self, path: Path) -> None:
        axis = read_axis(path)
        self._claim("axis", axis.name, path)
        self.axes[axis.name] = axis

    def wordings(self, path: Path) -> None:
        content = read_wordings(path)
        for wording in content.wording:
            self._claim(f"{content.measurement} wording", wording.id, path)
        block = Block(len(content.wording), content.per_pair)
        self.blocks.setdefault((content.measurement, content.language), []).append(block)
        if isinstance(content, ImplicitWordings):
            self.implicit.setdefault(content.language, []).extend(content.wording)
        else:
            self.explicit.setdefault(content.language, []).extend(content.wording)

    def sense(self, path: Path) -> None:
        sense = read_sense(path)
        self._claim(f"sense ({sense.language})", fold(sense.name), path)
        self.senses.setdefault(sense.language, {})[sense.name] = sense

    def contexts(self, path: Path) -> None:
        content = read_contexts(path)
        for template in content.template:
            self._claim(f"context template ({content.language})", template.id, path)
        for words in content.unrelated:
            self._claim(f"unrelated words ({content.language})", fold(words.singular), path)
        if content.template:
            self.templates.setdefault(content.language, []).extend(content.template)
        if content.unrelated:
            self.unrelated.setdefault(content.language, []).extend(content.unrelated)

    def questions_of(self, path: Path) -> None:
        content = read_questions(path)
        for question in content.questions:
            self._claim(f"question ({content.language})", question.id, path)
        self.questions.setdefault(content.language, []).extend(content.questions)

    def transformations_of(self, path: Path) -> None:
        content = read_transformations(path)
        for transformation in content.transformation:
            self._claim("transformation", transformation.id, path)
        self.transformations.setdefault(content.language, []).extend(content.transformation)

    def promoted_case(self, path: Path) -> None:
        case = read_promoted(path)
        self._claim("promoted case", case.id, path)
        self.promoted[case.id] = case

    def _claim(self, kind: str, name: str, path: Path) -> None:
        if (kind, name) in self.origin:
            raise StimulusError(
                f"{path}: the {kind} {name!r} is already defined in {self.origin[kind, name]}; "
                "rename one"
            )
        self.origin[kind, name] = path


def load_stimuli(include: Sequence[Path] = (), *, fixtures: Path = FIXTURES) -> Stimuli:
    """Everything in ``fixtures`` and in the user's directories ``include``.

    Raises:
        StimulusError: a file is refused, two files define the same thing, or files contradict each
        other.
    """
    reader = _Reader()
    read = {
        AXES: reader.axis,
        WORDINGS: reader.wordings,
        SENSES: reader.sense,
        CONTEXTS: reader.contexts,
        QUESTIONS: reader.questions_of,
        TRANSFORMATIONS: reader.transformations_of,
        PROMOTED: reader.promoted_case,
    }
    shipped = {room: _files(fixtures, room) for room in ROOMS}
    for files in (shipped, *map(_included, include)):
        for room, paths in files.items():
            for path in paths:
                read[room](path)
    stimuli = Stimuli(
        reader.axes,
        _tuples(reader.implicit),
        _tuples(reader.explicit),
        reader.senses,
        _tuples(reader.templates),
        _tuples(reader.unrelated),
        _tuples(reader.questions),
        transformations=_tuples(reader.transformations),
        promoted=reader.promoted,
        blocks=_tuples(reader.blocks),
    )
    unfit = check_fit(stimuli, reader.origin, frozenset(chain(*shipped.values())))
    return replace(stimuli, unfit=unfit)


def _tuples(lists: dict[Key, list[Item]]) -> dict[Key, tuple[Item, ...]]:
    return {key: tuple(items) for key, items in lists.items()}
