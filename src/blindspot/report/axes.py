"""A run over several axes: one row for each axis, one column for each thing that was asked.

No figure is taken over axes: they measure different biases, and a mean would hide one behind
another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blindspot.measurements.registry import TOPICS
from blindspot.report.schema import Gate
from blindspot.report.sentences import Statement, statements, title


@dataclass(frozen=True, slots=True)
class OfAxis:
    """One axis: a statement for each thing that was asked of it, in the order of the columns."""

    name: str
    cells: tuple[Statement | None, ...]

    @property
    def statements(self) -> list[Statement]:
        """Those that there are."""
        return [one for one in self.cells if one is not None]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Axes by topics; ``topics``: of `TOPICS`, those that were asked of any axis."""

    topics: tuple[str, ...]
    rows: tuple[OfAxis, ...]

    @property
    def titles(self) -> list[str]:
        """What the columns show."""
        return [title(topic) for topic in self.topics]


def names(gates: Iterable[Gate]) -> tuple[str, ...]:
    """The axes of a run, in the order of its gates."""
    return tuple(dict.fromkeys(gate["axis"] for gate in gates))


def matrix(gates: Sequence[Gate]) -> Matrix | None:
    """The matrix of a run, None with a single axis."""
    axes = names(gates)
    if len(axes) < 2:
        return None
    found = {
        axis: {one.topic: one for one in statements(g for g in gates if g["axis"] == axis)}
        for axis in axes
    }
    asked = {topic for each in found.values() for topic in each}
    topics = tuple(topic for topic in TOPICS if topic in asked)
    return Matrix(
        topics,
        tuple(OfAxis(axis, tuple(map(each.get, topics))) for axis, each in found.items()),
    )
