"""Hypothesis: points of a space drawn with a seed, and the simplest finding.

The only module that imports Hypothesis: it is loaded only for a search.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import Phase, Verbosity, assume, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample, Unsatisfiable

from blindspot.search.space import Point, Space
from blindspot.stimuli import Contrast

#: Largest range of one draw. From 100 on, Hypothesis prefers numbers in the sources of loaded
#: modules, and a second run, or the second pass of one, would draw others.
_MOST = 100


@st.composite
def _points(draw: st.DrawFn, space: Space) -> Point:
    def number(slot: int, count: int) -> int:
        """Uniform below ``count``. Slots draw different values: Hypothesis confuses equal ones."""
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
    """The first pass: what the second will look at until it finds something."""
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
    """The second pass: a drawn point, shrunk as far as it remains a finding."""
    reached = False

    def condition(point: Point, contrast: Contrast) -> bool:
        nonlocal reached
        reached = reached or point == start
        return reached and counts(contrast)

    found = _find(space, examples, seed, (Phase.generate, Phase.shrink), condition)
    assert found is not None, "the second pass did not draw the same as the first"
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
                database=None,  # the answer store keeps them, and a checkout may be read-only
                deadline=None,  # a batch takes seconds, memory takes none
                derandomize=False,  # the seed decides, also in CI
                verbosity=Verbosity.quiet,  # the report is ours
            ),
            random=Random(f"{seed} {space.id}"),
        )
    except (NoSuchExample, Unsatisfiable):
        return None
