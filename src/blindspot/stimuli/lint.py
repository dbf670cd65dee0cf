"""What a directory of stimuli lacks for a measurement that means something. No model is needed.

A file that breaks a rule is refused, as in a run. Everything else is a remark: the run works, but
its numbers are imprecise, or a model can answer by something other than the groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

from blindspot.answers.languages import ENGLISH, language_of
from blindspot.errors import StimulusError
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.descriptions import undescribed
from blindspot.stimuli.files import (
    AXES,
    EVERY,
    PROMOTED,
    READERS,
    included,
    is_suite,
    read_axis,
    suite_files,
)
from blindspot.stimuli.loader import load_stimuli
from blindspot.stimuli.schema import Axis, Category, Variant
from blindspot.stimuli.terms import fold

#: Words on a side, and wordings, from which intervals are as narrow as those of the shipped axes.
WORDS, WORDINGS = 8, 12
#: Chance of telling two senses apart by their cues alone, at most.
_CHANCE = 0.05
#: How many times as long the words of one side may be.
_LONGER = 1.5
#: What the header of a file says.
_HEADER = ("Source:", "Licence:", "Language:")

Count = Callable[[str], int]
"""How many tokens a word is."""


@dataclass(frozen=True, slots=True)
class Lint:
    """``refused``: files that no run would read; ``remarks``: what to improve. One line each."""

    files: int
    refused: list[str]
    remarks: list[str]


def lint(directory: Path, tokens: Count | None = None) -> Lint:
    """Everything that is wrong with a directory of stimuli, or could be better.

    Args:
        directory: the user's, or the fixtures of a whole suite, which stand alone.
        tokens: of a word behind a space, in the tokenizer of a model.

    Raises:
        StimulusError: there is no such directory, no TOML file in it, or a damaged `DEFAULTS`.
    """
    refused: list[str] = []
    suite = is_suite(directory)
    files = suite_files(directory) if suite else included(directory, refused)
    every = [path for room, paths in files.items() for path in paths if room != PROMOTED]
    count = len(every) + len(refused)
    own = []
    for room, paths in files.items():
        for path in paths:
            try:
                READERS[room](path)
                own += [read_axis(path).name] if room == AXES else []
            except StimulusError as error:
                refused.append(str(error))
    if refused:
        return Lint(count, refused, [])
    try:
        stimuli = (
            load_stimuli(axes=[EVERY], fixtures=directory) if suite else load_stimuli([directory])
        )
    except StimulusError as error:
        return Lint(count, [str(error)], [])
    origin = {read_axis(path).name: path for path in files[AXES]}
    remarks = [remark for path in every for remark in _headers(path)]
    for name in own:
        axis = stimuli.axes[name]
        remarks += [f"{origin[name]}: {each}" for each in _of_axis(stimuli, axis, tokens)]
    remarks += [each for each in undescribed(stimuli) if each.split("/", 1)[0] in own]
    return Lint(count, [], remarks)


def _headers(path: Path) -> Iterator[str]:
    header = "".join(
        line for line in path.read_text("utf-8-sig").splitlines() if line.startswith("#")
    )
    if missing := [word for word in _HEADER if word not in header]:
        yield (
            f"{path}: no {' and no '.join(missing)} in its comments; say where the words come "
            "from, under which licence they may be used, and in which language they are"
        )


def _of_axis(stimuli: Stimuli, axis: Axis, tokens: Count | None) -> Iterator[str]:
    if axis.language != ENGLISH and language_of(axis.language) is None:
        yield (
            f"language: the reader knows no small words of {axis.language!r}: it reads answers in "
            "the form of a wording, and takes refusals and other prose for invalid answers"
        )
    for kind, listed in (("association", stimuli.implicit), ("statement", stimuli.explicit)):
        found = len(listed.get(axis.language, ()))
        if not found:
            yield f"language: no {kind} wording in {axis.language!r}; add a file under wordings/"
        elif found < WORDINGS * (2 if kind == "association" else 1) // 2:
            yield (
                f"language: {found} {kind} wordings in {axis.language!r}; with fewer than "
                f"{WORDINGS} wordings intervals are wide, add some under wordings/"
            )
    if not any(variant.control for variant in axis.variants.values()):
        yield (
            "variants: none is a control; add one in which nothing should happen, with "
            "control = true"
        )
    for name, category in axis.categories.items():
        yield from (f"categories.{name}: {each}" for each in _of_category(category, tokens))
    for name, variant in axis.variants.items():
        yield from (f"variants.{name}: {each}" for each in _of_variant(variant, tokens))
    yield from _of_senses(stimuli, axis)


def _of_category(category: Category, tokens: Count | None) -> Iterator[str]:
    for side in ("positive", "negative"):
        if (found := len(getattr(category, side))) < WORDS:
            yield (
                f"{found} {side} word{'s' * (found != 1)}; with fewer than {WORDS} the interval "
                f"rests on single words, add {WORDS - found}"
            )
    yield from _uneven("words", category.positive, category.negative, tokens)


def _of_variant(variant: Variant, tokens: Count | None) -> Iterator[str]:
    capitals = [
        {word[:1].isupper() for word in side} for side in (variant.positive, variant.negative)
    ]
    if capitals[0] != capitals[1] and all(len(each) == 1 for each in capitals):
        yield (
            "the identifiers of one side have capitals and those of the other none; a model can "
            "pair by that, so write both alike"
        )
    yield from _uneven("identifiers", variant.positive, variant.negative, tokens)


def _uneven(
    what: str, positive: Sequence[str], negative: Sequence[str], tokens: Count | None
) -> Iterator[str]:
    """Both sides should not be told apart by how long they are."""
    measures: list[tuple[str, Count]] = [("letters", len)]
    if tokens is not None:
        measures.append(("tokens", tokens))
    for unit, count in measures:
        one, other = (fmean(map(count, side)) for side in (positive, negative))
        if max(one, other) > _LONGER * min(one, other):
            yield (
                f"{what} of {one:.1f} and {other:.1f} {unit} on average; a model can pair by "
                f"length, and compares answers of different length: choose {what} of similar length"
            )


def _of_senses(stimuli: Stimuli, axis: Axis) -> Iterator[str]:
    senses = stimuli.senses.get(axis.language, {})
    for names in dict.fromkeys(axis.sense_names(variant) for variant in axis.variants):
        found = [senses[name] for name in names if name in senses]
        if len(found) < 2:
            continue
        one, other = (len(sense.cues) for sense in found)
        if math.comb(one + other, one) < 1 / _CHANCE:
            yield (
                f"senses: {one} cues of {found[0].name!r} and {other} of {found[1].name!r} are too "
                "few to tell senses from words; give each at least 3"
            )
        for sense, rival in product(found, found):
            for stem in sense.stems if sense is not rival else ():
                begun = [
                    longer
                    for longer in rival.stems
                    if fold(longer) != fold(stem) and fold(longer).startswith(fold(stem))
                ]
                if begun and not stem.endswith("."):
                    yield (
                        f"senses: the stem {stem!r} of {sense.name!r} begins {begun[0]!r} of "
                        f"{rival.name!r}; the longer one counts, make sure that this is meant"
                    )
