"""The gap: by how much more a model associates than it states, on the same word pairs."""

from __future__ import annotations

from blindspot.measurements.base import (
    FORCED_CHOICE,
    GENERATED,
    Difference,
    Statistic,
    Words,
    constant,
)
from blindspot.stimuli import EXPLICIT, IMPLICIT

GAP = Difference(
    name="gap",
    of=(IMPLICIT, EXPLICIT),
    words=Words(
        title="Implicit against explicit",
        heading="gap: implicit effect minus explicit bias",
        failed="it associates what it does not say",
        passed="it says about as much as it associates",
        doubtful="it may associate what it does not say",
        worse="it associates more of what it does not say than {}",
    ),
    statistics=constant(
        gap=Statistic("implicit-explicit gap", "difference", signature="gap: does not say so")
    ),
    readings=(GENERATED, FORCED_CHOICE),
    plane=(
        "What is associated over what is said",
        "explicit bias: what it says",
        "stereotype effect: what it associates",
    ),
    shown="Each point is a category. On the dashed diagonal a model says what it associates. Above "
    "it, it associates what it does not say: that gap is what alignment leaves behind.",
)
