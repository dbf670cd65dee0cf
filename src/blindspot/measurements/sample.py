"""How much is read of a large model and of many contexts: layers, questions, contexts."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from blindspot.stimuli import Context, Selection, Slice, Stimuli, ambiguous_contexts

Floats = NDArray[np.float64]

SMALL = 12
"""Most layers of a model of which all are read."""

SAMPLED, TRIED = 5, 3
"""Layers of a larger model that are read, evenly spread from the first one on, and those of a
trial, one a band. Nothing reads what is written after the last layer."""

WORDINGS = 12
"""Most wordings whose prompts are the ambiguous contexts of a category."""


def wordings_of(stimuli: Stimuli, part: Slice) -> int:
    """Most wordings of a slice: the fraction that its axis asks, and half at least."""
    return max(WORDINGS // 2, ceil(WORDINGS * stimuli.axes[part.axis].share))


def open_contexts(stimuli: Stimuli, part: Slice, selection: Selection) -> list[Context]:
    """The ambiguous contexts of a slice whose vectors are read.

    One order per wording, each of the four equally often: wordings and words decide.
    """
    most = wordings_of(stimuli, part)
    return ambiguous_contexts(stimuli, part, selection, orders=False, wordings=most)


def sampled(layers: int) -> list[int]:
    """The layers of a model that are read."""
    if layers <= SMALL:
        return list(range(layers))
    return [round(place) for place in np.linspace(0, layers - 1, SAMPLED, endpoint=False)]


def tried(layers: int) -> list[int]:
    """The layers of a model in which the controls are tried, none of a small one."""
    if layers <= SMALL:
        return []
    return [round(place) for place in np.linspace(0, layers - 1, TRIED + 2)[1:-1]]


def spread(values: NDArray[np.float32], at: Sequence[int], layers: int) -> NDArray[np.float32]:
    """Values (vector, question, place, ...) of some layers as those of all, NaN elsewhere."""
    found = np.full((*values.shape[:2], layers, *values.shape[3:]), np.nan, np.float32)
    found[:, :, list(at)] = values
    return found


def asked_of(vectors: int, questions: int, every: int) -> NDArray[np.bool_]:
    """Which questions are asked of which vectors, (vector, question): one of so many of each.

    Vectors come in pairs, the words of a context, or one a context. Either word meets all questions
    equally often.
    """
    vector, question = np.ogrid[:vectors, :questions]
    return np.asarray((question + vector + vector // 2) % every == 0)


_WEIGHTS = (3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 0.5, 0.5)
"""Of `_traits`: single traits come before pairs of them and before words."""


def evenly(contexts: Sequence[Context], most: int) -> list[Context]:
    """At most ``most`` contexts that use cues, templates, orders and words as evenly as possible.

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
    for weight, column in zip(_WEIGHTS, columns, strict=False):
        _, codes = np.unique(column, return_inverse=True)
        total += weight * (codes[:, None] == codes)
    return total


def _traits(context: Context) -> tuple[str, ...]:
    """Cue, template and order, every two of them, and the words."""
    order = "in order" if context.positive_first else "reversed"
    cue, frame = context.cue, context.frame
    two = (f"{cue}\0{frame}", f"{cue}\0{order}", f"{frame}\0{order}")
    return (cue, frame, order, *two, *context.words)
