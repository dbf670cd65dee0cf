"""Whether files that are valid alone are consistent with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, product
from pathlib import Path

from blindspot.answers.interpretation import stems_in
from blindspot.answers.languages import forms
from blindspot.errors import StimulusError
from blindspot.stimuli.collection import Stimuli
from blindspot.stimuli.descriptions import is_described
from blindspot.stimuli.prompts import Slice
from blindspot.stimuli.schema import Axis, ExplicitWording, ImplicitWording
from blindspot.stimuli.senses import NEUTRAL, Sense
from blindspot.stimuli.terms import fold, stands_in, words_of
from blindspot.stimuli.transformations import ANY_LANGUAGE, SIMPLEST_FIRST, Transformation

#: Which file defines what: (kind, name) -> path.
Origin = dict[tuple[str, str], Path]


class _MisfitError(Exception):
    """Files that contradict each other: what is wrong, and the files other than the axis's own.

    Reported as a StimulusError or as a note.
    """

    def __init__(self, fault: str, *files: Path) -> None:
        super().__init__(fault)
        self.fault, self.files = fault, files


def check_fit(
    stimuli: Stimuli, origin: Origin, shipped: frozenset[Path]
) -> dict[tuple[str, str], str]:
    """Check every axis against the other files of its language.

    A user's axis that clashes only with ``shipped`` files can still be used in prompts: the result
    holds, by (axis, variant), why it has no assays. A shipped transformation that adds a word of a
    user's axis is not used on it.

    Raises:
        StimulusError: names the file, what clashes and the remedy.
    """
    unfit = {}
    _check_names(stimuli, origin)
    for axis in stimuli.axes.values():
        own = origin["axis", axis.name]
        _check_wordings(stimuli, axis, origin)
        _check_transformations(stimuli, axis, origin, shipped)
        for variant in axis.variants:
            try:
                _Beside(stimuli, axis, variant, origin).check()
            except _MisfitError as misfit:
                if own in shipped or not shipped.issuperset(misfit.files):
                    raise StimulusError(f"{misfit.fault} (the axis is in {own})") from None
                unfit[axis.name, variant] = misfit.fault
    return unfit


def _check_wordings(stimuli: Stimuli, axis: Axis, origin: Origin) -> None:
    path = origin["axis", axis.name]
    implicit, explicit = stimuli.implicit, stimuli.explicit
    if axis.language not in implicit and axis.language not in explicit:
        raise StimulusError(
            f"{path}: language: no wording is written in {axis.language!r}; add a wording file "
            f'with language = "{axis.language}"'
        )
    wordings: list[ImplicitWording | ExplicitWording] = [*implicit.get(axis.language, ())]
    wordings += explicit.get(axis.language, ())
    for own in wordings:
        if clash := _first_in(_in_any_form(axis), own.literals):
            raise StimulusError(
                f"{path}: the identifier {clash!r} occurs in the wording {own.id!r} "
                f"({origin[f'{own.measurement} wording', own.id]}); change one of them"
            )


def _in_any_form(axis: Axis) -> Iterator[str]:
    """The identifiers, and each with the endings of its language."""
    yield from axis.identifiers
    for identifier in axis.identifiers:
        yield from sorted(forms(fold(identifier), axis.language))


def _first_in(identifiers: Iterable[str], texts: Iterable[str]) -> str | None:
    """The first identifier that occurs in one of the texts."""
    found = (one for one, text in product(identifiers, texts) if stands_in(one, text))
    return next(found, None)


def _check_names(stimuli: Stimuli, origin: Origin) -> None:
    """No two slices may share a name: it is the id of their tests and gates."""
    named: dict[str, Slice] = {}
    for axis in stimuli.axes.values():
        for variant, (name, category) in product(axis.variants, axis.categories.items()):
            for word in ("", *category.positive, *category.negative):
                part = Slice("", axis.name, variant, name, word=word)
                if other := named.get(part.id):
                    raise StimulusError(
                        f"{origin['axis', axis.name]}: {_spelled(other)} and {_spelled(part)} "
                        f"would both be called {part.id!r}; rename one"
                    )
                named[part.id] = part


def _spelled(part: Slice) -> str:
    return "/".join(filter(None, (part.axis, part.variant, part.category, part.word)))


def _check_transformations(
    stimuli: Stimuli, axis: Axis, origin: Origin, shipped: frozenset[Path]
) -> None:
    own = origin["axis", axis.name]
    for name, fault in left_out(stimuli, axis.name).items():
        path = origin["transformation", name]
        if own in shipped or path not in shipped:
            raise StimulusError(
                f"{path}: transformation[{name}]: {fault} ({own}) and would matter; change "
                "one of them"
            )


class _Beside:
    """A variant against its senses, and against the contexts and questions of its language."""

    def __init__(self, stimuli: Stimuli, axis: Axis, variant: str, origin: Origin) -> None:
        self.stimuli, self.axis, self.origin = stimuli, axis, origin
        self.language = axis.language
        self.name = f"{axis.name}/{variant}"
        self.described = is_described(stimuli, axis.name, variant)
        senses = stimuli.senses.get(axis.language, {})
        own = axis.variants[variant]
        self.identifiers = (*own.positive, *own.negative)
        names = axis.sense_names(variant)
        self.senses = [senses[name] for name in names if name in senses and name != NEUTRAL]
        self.cued = [*self.senses, *(senses[name] for name in (NEUTRAL,) if name in senses)]

    def check(self) -> None:
        for sense in self.senses:
            self._check_stems(sense)
        for one, other in combinations(self.senses, 2):
            self._check_apart(one, other)
        for one, other in combinations(self.cued, 2):
            self._check_cues(one, other)
        if self.described:
            self._check_words()

    def _path(self, kind: str, name: str) -> Path:
        return self.origin[f"{kind} ({self.language})", name]

    def _sense(self, sense: Sense) -> Path:
        return self._path("sense", fold(sense.name))

    def _refuse(self, path: Path, fault: str, *others: Path) -> _MisfitError:
        return _MisfitError(f"{path}: {fault}; change one of them", path, *others)

    def _check_stems(self, sense: Sense) -> None:
        for identifier in self.identifiers:
            if found := stems_in(identifier, sense.stems):
                raise self._refuse(
                    self._sense(sense),
                    f"stems: {found[0]!r} is found in {identifier!r}, an identifier of {self.name},"
                    " which must not state its own sense",
                )

    def _check_apart(self, one: Sense, other: Sense) -> None:
        known = {fold(stem.rstrip(".")): stem for stem in one.stems}
        for stem in other.stems:
            if fold(stem.rstrip(".")) in known:
                raise self._refuse(
                    self._sense(other),
                    f"stems: {stem!r} is a stem of {one.name!r} ({self._sense(one)}) too, and the "
                    f"identifiers of {self.name} can have both senses",
                    self._sense(one),
                )

    def _check_cues(self, one: Sense, other: Sense) -> None:
        for cue, same in product(one.cues, other.cues):
            if shared := cue.forms & same.forms:
                raise self._refuse(
                    self._sense(other),
                    f"cues: {min(shared)!r} is a cue of {one.name!r} ({self._sense(one)}) too, and "
                    f"both senses belong to the identifiers of {self.name}",
                    self._sense(one),
                )
        for sense, rival in ((one, other), (other, one)):
            stated = [form for cue in sense.cues for form in (cue.singular, cue.plural)]
            self._check_silent(self._sense(sense), "cues", stated, rival)

    def _check_silent(self, path: Path, key: str, words: Iterable[str], sense: Sense) -> None:
        """Words must not be read as a sense that they do not state."""
        for word in words:
            if found := stems_in(word, sense.stems):
                raise self._refuse(
                    path,
                    f"{key}: {word!r} would be read as the sense {sense.name!r}, by its stem "
                    f"{found[0]!r} ({self._sense(sense)})",
                    self._sense(sense),
                )

    def _check_words(self) -> None:
        """No identifier is used for something else; no unrelated word states a sense."""
        for template in self.stimuli.templates[self.language]:
            path = self._path("context template", template.id)
            self._check_free(path, f"template[{template.id}].text", template.literals)
        for sense in self.cued:
            for cue in sense.cues:
                self._check_free(self._sense(sense), "cues", cue.forms)
        for question in self.stimuli.questions[self.language]:
            path = self._path("question", question.id)
            key = f"question[{question.id}].placeholder"
            self._check_free(path, key, (question.placeholder,))
        for unrelated in self.stimuli.unrelated[self.language]:
            path = self._path("unrelated words", fold(unrelated.singular))
            key = f"unrelated[{unrelated.singular}]"
            self._check_free(path, key, (*unrelated.forms, *unrelated.words))
            for sense in self.senses:
                self._check_silent(path, key, (unrelated.singular, *unrelated.words), sense)

    def _check_free(self, path: Path, key: str, texts: Iterable[str]) -> None:
        if clash := _first_in(self.identifiers, texts):
            raise self._refuse(path, f"{key}: {clash!r} is an identifier of {self.name} too")


def clash(stimuli: Stimuli, axis: Axis, transformation: Transformation) -> str:
    """Why a transformation would matter to an axis: a word that it adds; "" if it adds none."""
    words = words_of(
        word for listed in axis.categories.values() for word in listed.positive + listed.negative
    )
    for kind, own in (("an identifier", axis.identifier_words), ("a category word", words)):
        if found := transformation.added_words & own:
            return f"{min(found)!r} is {kind} of the axis {axis.name!r}"
    senses = stimuli.senses.get(axis.language, {})
    for name in dict.fromkeys(name for own in axis.variants for name in axis.sense_names(own)):
        stems = senses[name].stems if name in senses else ()
        for text in (transformation.text or "", *transformation.replace.values()):
            if told := stems_in(text, stems):
                return f"{told[0]!r} states the sense {name!r} of the axis {axis.name!r}"
    return ""


def transformations_of(stimuli: Stimuli, axis: str) -> list[Transformation]:
    """What should not matter to an axis, the simplest first."""
    unfit = left_out(stimuli, axis)
    fitting = [one for one in _written_for(stimuli, axis) if one.id not in unfit]
    return sorted(fitting, key=lambda one: SIMPLEST_FIRST.index(one.kind))


def left_out(stimuli: Stimuli, axis: str) -> dict[str, str]:
    """The transformations that would matter to an axis, by id, with the reason."""
    faults = {
        one.id: clash(stimuli, stimuli.axes[axis], one) for one in _written_for(stimuli, axis)
    }
    return {name: fault for name, fault in faults.items() if fault}


def _written_for(stimuli: Stimuli, axis: str) -> list[Transformation]:
    languages = (ANY_LANGUAGE, stimuli.axes[axis].language)
    return [one for language in languages for one in stimuli.transformations.get(language, ())]
