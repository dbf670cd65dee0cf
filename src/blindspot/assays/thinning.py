"""Fewer contexts of a kind, without losing any cue, template or order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blindspot.stimuli import Context

Floats = NDArray[np.float64]

_WEIGHTS = (3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 0.5, 0.5)
"""Of `_traits`: evenness by itself comes before that of two together and of the words."""


def evenly(contexts: Sequence[Context], most: int) -> list[Context]:
    """At most ``most`` contexts that use cues, templates, orders and words as evenly as can be.

    They stay in their order. What is uneven is the sum of squares of how often each trait occurs:
    contexts are taken one by one, then exchanged for others as long as that makes it smaller.
    """
    if len(contexts) <= most:
        return list(contexts)
    shared = _shared(contexts)
    taken = np.zeros(len(contexts), np.bool_)
    for _ in range(most):
        cost = np.where(taken, np.inf, shared.diagonal() + 2.0 * shared @ taken)
        taken[np.argmin(cost)] = True
    while True:
        ours, others = np.flatnonzero(taken), np.flatnonzero(~taken)
        load = shared @ taken
        step = shared.diagonal()[others] + 2.0 * load[others]
        step = step[:, None] + shared.diagonal()[ours] - 2.0 * load[ours]
        step -= 2.0 * shared[np.ix_(others, ours)]
        best, worst = np.unravel_index(np.argmin(step), step.shape)
        if step[best, worst] >= -1e-9:
            return [contexts[int(at)] for at in ours]
        taken[others[best]], taken[ours[worst]] = True, False


def _shared(contexts: Sequence[Context]) -> Floats:
    """How many traits two contexts share, (context, context), by weight."""
    total = np.zeros((len(contexts), len(contexts)))
    columns = zip(*map(_traits, contexts), strict=True)
    for weight, column in zip(_WEIGHTS, columns, strict=True):
        _, codes = np.unique(column, return_inverse=True)
        total += weight * (codes[:, None] == codes)
    return total


def _traits(context: Context) -> tuple[str, ...]:
    """Cue, template and order, every two of them, and the words."""
    order = "in order" if context.spans[0] < context.spans[1] else "reversed"
    cue, frame = context.cue, context.frame
    two = (f"{cue}\0{frame}", f"{cue}\0{order}", f"{frame}\0{order}")
    return (cue, frame, order, *two, *context.words)
