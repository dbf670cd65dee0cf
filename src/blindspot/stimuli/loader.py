"""Read the TOML files of the stimuli: ours, and those of every ``--include-path``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from blindspot.errors import StimulusError, line
from blindspot.files import is_directory, is_file
from blindspot.paths import FIXTURES
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.compatibility import Origin, check_fit
from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.design import Block
from blindspot.stimuli.prompts import IMPLICIT
from blindspot.stimuli.schema import (
    Axis,
    ExplicitWording,
    ExplicitWordings,
    ImplicitWording,
    ImplicitWordings,
    Strict,
)
from blindspot.stimuli.senses import (
    NEUTRAL,
    ContextFile,
    ContextTemplate,
    InterpretationQuestion,
    QuestionFile,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.terms import Name, fold
from blindspot.stimuli.texts import StatedWording, TextFile
from blindspot.stimuli.transformations import Transformation, TransformationFile
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

Key = TypeVar("Key")
Item = TypeVar("Item")


def _files(root: Path, *rooms: str) -> list[Path]:
    folder = root.joinpath(*rooms)
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def _all_files(root: Path) -> dict[str, list[Path]]:
    """Files by folder, with those in the folders of languages."""
    return {
        room: [*_files(root, room), *sorted(root.joinpath(room).glob("*/*.toml"))] for room in ROOMS
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
    return tuple(path.stem for path in _files(fixtures, AXES))


def is_suite(directory: Path) -> bool:
    """Whether the directory holds all fixtures of a suite: ours, or a copy of them."""
    return is_file(directory / DEFAULTS)


def suite_files(fixtures: Path) -> dict[str, list[Path]]:
    """All files of stimuli by folder of the fixtures.

    Raises:
        StimulusError: the file that names the default axes is damaged.
    """
    default_axes(fixtures)
    return _all_files(fixtures)


def included(directory: Path, refused: list[str] | None = None) -> dict[str, list[Path]]:
    """Files of a user's directory by folder of the fixtures.

    A user's directory is laid out like ``fixtures/`` or is flat; one of its keys tells which folder
    a flat file belongs to, otherwise it is an axis. ``refused`` collects the files that are not
    read; without it the first one is raised.
    """
    if not is_directory(directory):
        raise StimulusError(f"--include-path {directory}: no such directory; check the path")
    files = _all_files(directory)
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
    return _read_whole(path)[0]


class _Beside(Strict):
    """What an axis file may hold beside the axis, in the language of the axis."""

    wording: tuple[ImplicitWording, ...] = ()
    sense: tuple[Sense, ...] = ()


def _read_whole(path: Path) -> tuple[Axis, _Beside]:
    """An axis file, with association wordings and senses in it."""
    data = read_toml(path)
    beside = {key: data.pop(key) for key in _Beside.model_fields if key in data}
    axis = validate(Axis, data, path)
    senses = beside.get("sense")
    for sense in senses if isinstance(senses, list) else ():
        if isinstance(sense, dict):
            sense.setdefault("language", axis.language)
    found = validate(_Beside, beside, path)
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


class _Reader:
    """Files read so far, and which file defines what."""

    def __init__(self) -> None:
        self.axes: dict[str, Axis] = {}
        self.beside: dict[Path, tuple[_Beside, Axis]] = {}
        self.implicit: dict[str, list[ImplicitWording]] = {}
        self.explicit: dict[str, list[ExplicitWording]] = {}
        self.blocks: dict[tuple[str, str], list[Block]] = {}
        self.senses: dict[str, dict[str, Sense]] = {}
        self.templates: dict[str, list[ContextTemplate]] = {}
        self.unrelated: dict[str, list[UnrelatedWords]] = {}
        self.questions: dict[str, list[InterpretationQuestion]] = {}
        self.transformations: dict[str, list[Transformation]] = {}
        self.promoted: dict[str, PromotedCase] = {}
        self.stated: dict[str, list[StatedWording]] = {}
        self.neutral: dict[str, list[str]] = {}
        self.practice: dict[str, list[str]] = {}
        self.origin: Origin = {}

    def axis(self, path: Path) -> None:
        axis, beside = _read_whole(path)
        self._claim("axis", axis.name, path)
        self.axes[axis.name] = axis
        self.beside[path] = beside, axis

    def parts_of_axes(self) -> None:
        """What the files of axes hold beside these; after all shipped files."""
        for path, (beside, axis) in self.beside.items():
            if axis.name in self.axes:
                if beside.wording:
                    self._add_wordings(beside.wording, axis.language, None, path)
                for sense in beside.sense:
                    self._add_sense(sense, path)

    @property
    def languages(self) -> list[str]:
        """Those of the axes, each once."""
        return list(dict.fromkeys(axis.language for axis in self.axes.values()))

    def wordings(self, path: Path) -> None:
        content = read_wordings(path)
        if isinstance(content, ImplicitWordings):
            self._add_wordings(content.wording, content.language, content.per_pair, path)
            return
        for wording in content.wording:
            self._claim(f"{content.measurement} wording", wording.id, path)
        block = Block(len(content.wording), content.per_pair)
        self.blocks.setdefault((content.measurement, content.language), []).append(block)
        self.explicit.setdefault(content.language, []).extend(content.wording)

    def _add_wordings(
        self, wordings: Sequence[ImplicitWording], language: str, per_pair: int | None, path: Path
    ) -> None:
        for wording in wordings:
            self._claim(f"{IMPLICIT} wording", wording.id, path)
        block = Block(len(wordings), per_pair)
        self.blocks.setdefault((IMPLICIT, language), []).append(block)
        self.implicit.setdefault(language, []).extend(wordings)

    def sense(self, path: Path) -> None:
        self._add_sense(read_sense(path), path)

    def _add_sense(self, sense: Sense, path: Path) -> None:
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

    def texts(self, path: Path) -> None:
        content = read_texts(path)
        for wording in content.stated:
            self._claim(f"stated wording ({content.language})", wording.id, path)
        for sentence in (*content.neutral, *content.practice):
            self._claim(f"neutral sentence ({content.language})", fold(sentence), path)
        if content.stated:
            self.stated.setdefault(content.language, []).extend(content.stated)
        if content.neutral:
            self.neutral.setdefault(content.language, []).extend(content.neutral)
        if content.practice:
            self.practice.setdefault(content.language, []).extend(content.practice)

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


def load_stimuli(
    include: Sequence[Path] = (), *, axes: Sequence[str] = (), fixtures: Path = FIXTURES
) -> Stimuli:
    """Axes of ``fixtures`` and of the user's directories ``include``, and all that belongs to them.

    Of the fixtures, only the files are read that the chosen axes can need: their own, those of
    their languages, and the senses that they name.

    Args:
        include: the user's directories.
        axes: names, or `EVERY`. By default `default_axes` and every axis of the user's directories.
        fixtures: directory of the shipped files.

    Raises:
        StimulusError: a file is refused, an axis does not exist, two files define the same thing,
        or files contradict each other.
    """
    reader = _Reader()
    read = {
        AXES: reader.axis,
        WORDINGS: reader.wordings,
        SENSES: reader.sense,
        CONTEXTS: reader.contexts,
        QUESTIONS: reader.questions_of,
        TRANSFORMATIONS: reader.transformations_of,
        TEXTS: reader.texts,
        PROMOTED: reader.promoted_case,
    }
    users = [included(directory) for directory in include]
    shipped = {path.stem: path for path in _files(fixtures, AXES)}
    wanted = tuple(axes) or default_axes(fixtures)
    for name, path in shipped.items():
        if EVERY in wanted or name in wanted:
            reader.axis(path)
    for path in chain.from_iterable(files[AXES] for files in users):
        reader.axis(path)
    if axes and EVERY not in axes:
        _keep(reader, wanted, shipped)
    languages = reader.languages
    of_fixtures = {
        room: [
            *_files(fixtures, room),
            *(path for language in languages for path in _files(fixtures, room, language)),
        ]
        for room in ROOMS
        if room != AXES
    }
    of_fixtures[SENSES] = [path for path in of_fixtures[SENSES] if path.stem in _senses(reader)]
    for files in (of_fixtures, *users):
        for room, paths in files.items():
            for path in paths if room != AXES else ():
                read[room](path)
    reader.parts_of_axes()
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
        stated=_tuples(reader.stated),
        neutral=_tuples(reader.neutral),
        practice=_tuples(reader.practice),
    )
    ours = frozenset(chain(shipped.values(), *of_fixtures.values()))
    return replace(stimuli, unfit=check_fit(stimuli, reader.origin, ours))


def _keep(reader: _Reader, wanted: Sequence[str], shipped: Iterable[str]) -> None:
    """Drop the axes that were read and are not wanted.

    Raises:
        StimulusError: no axis of a wanted name was read; names the closest one.
    """
    for name in wanted:
        if name not in reader.axes:
            known = sorted({*shipped, *reader.axes})
            close = get_close_matches(name, known, 1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise StimulusError(
                f"--axis {line(name, 60)}: there is no such axis; {guess}known: "
                f"{', '.join(known)}, {EVERY}"
            )
    reader.axes = {name: axis for name, axis in reader.axes.items() if name in wanted}


def _senses(reader: _Reader) -> frozenset[str]:
    """File names of the senses that the axes name, and of the neutral cues."""
    named = (
        name
        for axis in reader.axes.values()
        for variant in axis.variants
        for name in axis.sense_names(variant)
    )
    return frozenset("-".join(fold(name).split()) for name in (NEUTRAL, *named))


def _tuples(lists: dict[Key, list[Item]]) -> dict[Key, tuple[Item, ...]]:
    return {key: tuple(items) for key, items in lists.items()}
