"""All contrasts of a variant of an axis: the space of a search. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product

from blindspot.stimuli import (
    DEFAULT_SELECTION,
    IMPLICIT,
    Contrast,
    Selection,
    Slice,
    Stimuli,
    Transformation,
    pairs,
    transform,
    transformations_of,
)
from blindspot.stimuli.compatibility import left_out
from blindspot.stimuli.prompts import template_of
from blindspot.stimuli.schema import Category, ImplicitWording, Variant


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a space: one value of each slot, by its number. 0 is the simplest.

    ``also``: number of a second change from 1, 0 for none. ``pair`` and ``identifiers`` number the
    tables of positive and negative ones, row by row.
    """

    change: int
    also: int
    category: int
    wording: int
    pair: int
    identifiers: int

    @property
    def simplicity(self) -> tuple[int, ...]:
        """Simpler points come first: fewer changes, then slot by slot."""
        slots = (self.change, self.also, self.category, self.wording, self.pair, self.identifiers)
        return (1 + bool(self.also), *slots)


class Space:
    """Changes x categories x wordings x word pairs x identifiers; the simplest first in every list.

    Args:
        stimuli: everything that can be asked.
        axis: name of the axis.
        variant: name of one of its variants.
        selection: which word pairs are used, each in every wording.
    """

    def __init__(
        self,
        stimuli: Stimuli,
        axis: str,
        variant: str,
        selection: Selection = DEFAULT_SELECTION,
    ) -> None:
        own = stimuli.axes[axis]
        self.axis = axis
        self.variant = variant
        self.language = own.language
        self.changes: tuple[Transformation, ...] = tuple(transformations_of(stimuli, axis))
        self.left_out = left_out(stimuli, axis)
        self.wordings: tuple[ImplicitWording, ...] = stimuli.implicit.get(own.language, ())
        found = {name: pairs(each, selection) for name, each in own.categories.items()}
        self.categories: tuple[tuple[str, Category], ...] = tuple(
            (name, each) for name, each in own.categories.items() if found[name]
        )
        self._pairs = [found[name] for name, _ in self.categories]
        self._variant: Variant = own.variants[variant]
        self.contrast = cache(self._contrast)

    @property
    def id(self) -> str:
        """``axis-variant``: unique within a run."""
        return f"{self.axis}-{self.variant}"

    def pairs(self, category: int) -> list[tuple[str, str]]:
        """The word pairs of a category."""
        return self._pairs[category]

    @cached_property
    def identifiers(self) -> list[tuple[str, str]]:
        """All (positive, negative)."""
        sides = self._variant.positive, self._variant.negative
        return list(zip(*sides, strict=True) if self._variant.paired else product(*sides))

    def _contrast(self, point: Point) -> Contrast | None:
        """The contrast at a point; None if a change does nothing, alone or after the other."""
        made = [self.changes[point.change]]
        if point.also:
            made.append(self.changes[point.also - 1])
        wording = self.wordings[point.wording]
        original = template_of(self._variant, wording)
        if len({one.kind for one in made}) < len(made):
            return None
        changed = transform(original, made)
        for one in made:
            if transform(original, (other for other in made if other is not one)) == changed:
                return None
        name, _ = self.categories[point.category]
        return Contrast(
            Slice(IMPLICIT, self.axis, self.variant, name, self.pairs(point.category)[point.pair]),
            wording.id,
            tuple(one.id for one in made),
            self.identifiers[point.identifiers],
            original,
            changed,
            wording.answer,
            self.language,
        )

    def at(self, point: Point) -> Contrast:
        """The contrast at a point that has one."""
        contrast = self.contrast(point)
        assert contrast is not None, point
        return contrast

    def simpler(self, point: Point) -> dict[Point, Contrast]:
        """The contrasts at simpler points that differ in one slot.

        One change is simpler than two; an earlier one, category, wording, word or identifier is
        simpler than a later one.
        """
        asked = {near: self.contrast(near) for near in self._near(point)}
        return {near: contrast for near, contrast in asked.items() if contrast is not None}

    def _near(self, point: Point) -> Iterator[Point]:
        if point.also:
            yield replace(point, also=0)
            yield replace(point, change=point.also - 1, also=0)
        for number in range(point.change):
            yield replace(point, change=number)
        for number in range(1, point.also):
            yield replace(point, also=number)
        for number in range(point.category):
            there = point.pair if point.pair < len(self.pairs(number)) else 0
            yield replace(point, category=number, pair=there)
        for number in range(point.wording):
            yield replace(point, wording=number)
        for number in _earlier(self.pairs(point.category), point.pair):
            yield replace(point, pair=number)
        for number in _earlier(self.identifiers, point.identifiers):
            yield replace(point, identifiers=number)


def _earlier(table: list[tuple[str, str]], place: int) -> list[int]:
    """The earlier points that share the positive or the negative one."""
    own = table[place]
    return [n for n, other in enumerate(table[:place]) if own[0] == other[0] or own[1] == other[1]]


def spaces_of(stimuli: Stimuli, selection: Selection = DEFAULT_SELECTION) -> list[Space]:
    """The space of every variant of every axis that has association wordings and words to ask."""
    found = (
        Space(stimuli, axis.name, variant, selection)
        for axis in stimuli.axes.values()
        if axis.language in stimuli.implicit
        for variant in axis.variants
    )
    return [space for space in found if space.categories]
