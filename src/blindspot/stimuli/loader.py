"""Read the TOML files of the stimuli: ours, and those of every ``--include-path``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TypeVar

from blindspot.errors import StimulusError, line
from blindspot.paths import FIXTURES
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.compatibility import Origin, check_fit
from blindspot.stimuli.contrasts import PromotedCase
from blindspot.stimuli.design import Block
from blindspot.stimuli.files import (
    AXES,
    CONTEXTS,
    EVERY,
    PROMOTED,
    QUESTIONS,
    ROOMS,
    SENSES,
    TEXTS,
    TRANSFORMATIONS,
    WORDINGS,
    Beside,
    default_axes,
    files_in,
    included,
    read_contexts,
    read_promoted,
    read_questions,
    read_sense,
    read_texts,
    read_transformations,
    read_whole,
    read_wordings,
)
from blindspot.stimuli.prompts import IMPLICIT
from blindspot.stimuli.schema import (
    Axis,
    ExplicitWording,
    ImplicitWording,
    ImplicitWordings,
)
from blindspot.stimuli.senses import (
    NEUTRAL,
    ContextTemplate,
    InterpretationQuestion,
    Sense,
    UnrelatedWords,
)
from blindspot.stimuli.terms import fold
from blindspot.stimuli.texts import StatedWording
from blindspot.stimuli.transformations import Transformation

Key = TypeVar("Key")
Item = TypeVar("Item")


class _Reader:
    """Files read so far, and which file defines what."""

    def __init__(self) -> None:
        self.axes: dict[str, Axis] = {}
        self.beside: dict[Path, tuple[Beside, Axis]] = {}
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
        axis, beside = read_whole(path)
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
    shipped = {path.stem: path for path in files_in(fixtures, AXES)}
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
            *files_in(fixtures, room),
            *(path for language in languages for path in files_in(fixtures, room, language)),
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
