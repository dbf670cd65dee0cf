"""Injection: how much of the stereotype effect falls when the model is made to see the group."""

from __future__ import annotations

from blindspot.measurements.base import Statistic, Words, constant
from blindspot.measurements.injection.statistic import READINGS, UNTOUCHED, Injection
from blindspot.measurements.injection.unit import NEUTRAL, RANDOM
from blindspot.measurements.mechanistic import DASH_DOT, DOTS, Mechanistic

INJECTION = Mechanistic(
    name="injection",
    words=Words(
        title="Inside: injection",
        heading="injection: fall of the stereotype effect when the group is shown (0 = none)",
        failed="shown the group, it stereotypes less: it would have been fairer had it seen it",
        passed="showing it the group does not lower its bias beyond the limit",
        doubtful="whether showing it the group lowers its bias cannot be said",
        worse="shown the group, its bias falls more than that of {}",
        asked="The identifiers are replaced by vectors that mean the group, over windows of "
        "layers; shown is the stereotype effect that is left, beside vectors that mean something "
        "else.",
    ),
    statistics=constant(
        reduction=Statistic("bias that falls when the group is shown", "difference")
    ),
    readings=READINGS,
    assay=lambda stimuli, limit, options: Injection(
        stimuli, limit, window=options.window, seed=options.seed
    ),
    looks={
        UNTOUCHED: ("ink", "-"),
        NEUTRAL: ("neutral", DOTS),
        RANDOM: ("other", DASH_DOT),
    },
)
