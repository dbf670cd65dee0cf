"""One row of the table of wordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from blindspot.stimuli.prompts import AssociationPrompt


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


def row(name: str, found: Sequence[tuple[AssociationPrompt, float, float]]) -> Row:
    """The row of prompts with their values (+1 stereotyped, -1 counter, NaN none) and masses."""
    answers = [(prompt, value) for prompt, value, _ in found if not math.isnan(value)]
    copied = [
        (value > 0) == (prompt.positive_identifier_first == prompt.positive_word_first)
        for prompt, value in answers
    ]
    return Row(
        name,
        len(answers) / len(found),
        fmean(copied) if copied else math.nan,
        median(mass for _, _, mass in found),
    )
