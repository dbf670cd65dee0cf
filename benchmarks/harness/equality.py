"""Whether two ways to do the same work come to the same: before that, no time means anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

#: Smallest distance of two logits, in (a), at which a greedy choice may fall out otherwise.
NEAR_TIE = {torch.float32: 1e-3, torch.bfloat16: 0.5}
#: Of a probability. In bfloat16 a logit near 10 is rounded to 0.06.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.25}


@dataclass(frozen=True, eq=False)
class Answers:
    """What came out, job by job.

    ``values``: (job, candidate) nats; ``texts``: generated; ``margins``: smallest distance (logits)
    of the best to the second-best token over the text, where it was looked at.
    """

    values: NDArray[np.float32] | None = None
    texts: Sequence[str] = ()
    margins: Sequence[float] = ()


class NotEqualError(AssertionError):
    """Two ways to do the same work came to different numbers: no time means anything."""


def compare(
    what: str, found: Answers, expected: Answers, tolerance: float, near_tie: float
) -> float:
    """Largest relative difference of probabilities, or share of texts that differ.

    Args:
        what: for the message.
        found: answers to some jobs.
        expected: answers to the same jobs.
        tolerance: of a probability, relative.
        near_tie: a text may differ where the other's smallest margin (logits) is below this.

    Raises:
        NotEqualError: they differ by more than that, or are not numbers.
    """
    if expected.values is not None:
        assert found.values is not None
        assert found.values.shape == expected.values.shape, what
        difference = float(np.max(np.abs(np.expm1(found.values - expected.values))))
        if not difference <= tolerance:  # NaN too
            raise NotEqualError(
                f"{what}: a probability differs by {difference:.1e} of itself, allowed {tolerance}"
            )
        return difference
    assert len(found.texts) == len(expected.texts) > 0, what
    other = [n for n, text in enumerate(found.texts) if text != expected.texts[n]]
    for number in other:
        if not expected.margins or not expected.margins[number] < near_tie:
            raise NotEqualError(
                f"{what}: wrote {found.texts[number]!r} in place of {expected.texts[number]!r}"
            )
    return len(other) / len(found.texts)
