"""One row of the table of wordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median


@dataclass(frozen=True, slots=True)
class Row:
    """What the answers to a wording are worth.

    Attributes:
        name: id of the wording.
        answered: share of prompts, in [0, 1].
        copied: share of answers that pair first with first; NaN without answers.
        mass: median probability of both compared answers together; NaN without scores.
    """

    name: str
    answered: float
    copied: float
    mass: float


def row(name: str, found: Sequence[tuple[bool, float, float]]) -> Row:
    """The row of some prompts.

    ``found``: of each, whether pairing first with first is the stereotype, the value of its answer
    (+1 stereotyped, -1 counter, NaN none), and its mass.
    """
    answers = [(straight, value) for straight, value, _ in found if not math.isnan(value)]
    copied = [(value > 0) == straight for straight, value in answers]
    return Row(
        name,
        len(answers) / len(found),
        fmean(copied) if copied else math.nan,
        median(mass for _, _, mass in found),
    )
