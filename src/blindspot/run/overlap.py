"""Two models on the prompts that both were asked, where they were not asked the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from blindspot.estimates import Contributions
from blindspot.measurements.tables import Floats, Rows, Table
from blindspot.run.cases import Case
from blindspot.run.result import Measures, Places
from blindspot.stimuli import Slice


class Shared(Measures):
    """A model on some of its prompts. What was found in its residual stream is as it was."""

    def __init__(self, whole: Measures, tables: Mapping[Slice, Table]) -> None:
        super().__init__(tables)
        self._whole = whole

    def contributions(self, case: Case) -> Contributions | None:
        """On these prompts."""
        return self._whole.contributions(case) if case.mechanistic else super().contributions(case)


@dataclass(frozen=True)
class Overlap:
    """A model and another one, each on the prompts that both were asked.

    ``changed``: slices in which something else was asked under the same name.
    """

    ours: Measures
    theirs: Measures
    changed: frozenset[Slice]

    @classmethod
    def of(cls, ours: Measures, theirs: Measures) -> Self:
        """Matched by slice, words, wording and orders."""
        parts: tuple[dict[Slice, Table], dict[Slice, Table]] = ({}, {})
        changed = set()
        for part, one in ours.slices.items():
            if (other := theirs.slices.get(part)) is None:
                continue
            places, others = common(one, other)
            if (one.digests[places] != other.digests[others]).any():
                changed.add(part)
            parts[0][part] = Rows([(one, places.tolist())])
            parts[1][part] = Rows([(other, others.tolist())])
        return cls(Shared(ours, parts[0]), Shared(theirs, parts[1]), frozenset(changed))

    def asked(self, case: Case) -> int:
        """How many of them a case rests on; of a case of several slices, the fewest of any."""
        return self.ours.asked(case)

    @property
    def prompts(self) -> int:
        """How many prompts both were asked."""
        return sum(map(len, self.ours.slices.values()))


def common(one: Table, other: Table) -> tuple[Places, Places]:
    """Positions, in both tables of a slice, of the common prompts."""
    if one.keys == other.keys:
        everything = np.arange(len(one))
        return everything, everything
    known = {key: place for place, key in enumerate(other.keys)}
    found = [(place, known[key]) for place, key in enumerate(one.keys) if key in known]
    places = np.array(found, np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1]


class HasSlices(Protocol):
    """A model with the scores of its prompts."""

    @property
    def slices(self) -> Mapping[Slice, Table]:
        """The scores by category slice."""
        ...


def failures(ours: HasSlices, theirs: HasSlices, case: Case) -> tuple[Floats, Floats]:
    """The values of a case in both models, on the prompts that both were asked."""
    one, other = [], []
    for part in case.parts:
        mine, beside = ours.slices[part.whole], theirs.slices[part.whole]
        places, others = common(mine, beside)
        one.append(mine.values(case.reading)[places])
        other.append(beside.values(case.reading)[others])
    return np.concatenate(one), np.concatenate(other)


def shared(overlap: Overlap, other: str, prompts: int) -> str:
    """The note on a comparison of which not all prompts are common."""
    return f"compared with {other} on the {overlap.prompts:,} of {prompts:,} prompts that both have"
