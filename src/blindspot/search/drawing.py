"""Hypothesis at work: points of a space, drawn by a seed, and the simplest of those that count.

The only module that imports Hypothesis, so that it is loaded for nothing but a search.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import Phase, Verbosity, assume, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample, Unsatisfiable

from blindspot.search.space import Point, Space
from blindspot.stimuli import Contrast

#: How many values are drawn from at once. Among more, Hypothesis prefers numbers that stand in
#: the sources of the modules that happen to be loaded (from 100 on), so that a second run, or the
#: second pass of one, would draw others.
_MOST = 100


@st.composite
def _points(draw: st.DrawFn, space: Space) -> Point:
    def number(slot: int, count: int) -> int:
        """Below ``count``, evenly. Values of different slots differ: equal ones it would mix up."""
        if count > _MOST:
            leading = number(slot + _MOST, -(-count // _MOST))
            return leading * _MOST + number(slot, min(_MOST, count - leading * _MOST))
        return draw(st.sampled_from(range(slot * _MOST, slot * _MOST + count))) - slot * _MOST

    change = number(0, len(space.changes))
    also = 1 + number(1, len(space.changes)) if draw(st.booleans()) else 0
    category = number(2, len(space.categories))
    return Point(
        change=change,
        also=also,
        category=category,
        wording=number(3, len(space.wordings)),
        pair=number(4, len(space.pairs(category))),
        identifiers=number(5, len(space.identifiers)),
    )


def drawn(space: Space, examples: int, seed: object) -> list[tuple[Point, Contrast]]:
    """The first pass: what the second will look at, as long as it finds nothing."""
    seen: dict[Point, Contrast] = {}

    def note(point: Point, contrast: Contrast) -> bool:
        seen[point] = contrast
        return False

    _find(space, examples, seed, (Phase.generate,), note)
    return list(seen.items())


def shrunk(
    space: Space,
    examples: int,
    seed: object,
    start: Point,
    counts: Callable[[Contrast], bool],
) -> Point:
    """The second pass: one of the points drawn, made as simple as still counts."""
    reached = False

    def condition(point: Point, contrast: Contrast) -> bool:
        nonlocal reached
        reached = reached or point == start
        return reached and counts(contrast)

    found = _find(space, examples, seed, (Phase.generate, Phase.shrink), condition)
    assert found is not None, "the second pass has not drawn what the first one has"
    return found


def _find(
    space: Space,
    examples: int,
    seed: object,
    phases: tuple[Phase, ...],
    counts: Callable[[Point, Contrast], bool],
) -> Point | None:
    def condition(point: Point) -> bool:
        contrast = space.contrast(point)
        assume(contrast is not None)
        assert contrast is not None
        return counts(point, contrast)

    try:
        return find(
            _points(space),
            condition,
            settings=settings(
                max_examples=examples,
                phases=phases,
                database=None,  # kept by the answer store, and a checkout may be read-only
                deadline=None,  # a batch takes seconds where memory takes none
                derandomize=False,  # the seed decides, also under CI
                verbosity=Verbosity.quiet,  # the report is ours
            ),
            random=Random(f"{seed} {space.id}"),
        )
    except (NoSuchExample, Unsatisfiable):
        return None
