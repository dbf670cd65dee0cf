"""Injection: how much the stereotype effect falls when the group sense is injected."""

from __future__ import annotations

from blindspot.measurements.base import Statistic, Words, constant
from blindspot.measurements.injection.answers import READINGS, UNTOUCHED
from blindspot.measurements.injection.statistic import Injection
from blindspot.measurements.injection.unit import NEUTRAL, RANDOM
from blindspot.measurements.mechanistic import DASH_DOT, DOTS, Mechanistic

INJECTION = Mechanistic(
    name="injection",
    words=Words(
        title="Inside: injection",
        heading="injection: bias reduction when the group sense is injected (0 = none)",
        failed="it stereotypes less when the group sense is injected: not seeing it is the cause",
        passed="injecting the group sense does not lower its bias beyond the limit",
        doubtful="injecting the group sense may or may not lower its bias",
        worse="injecting the group sense lowers its bias more than that of {}",
        asked="The identifiers are replaced by vectors that mean the group, over windows of "
        "layers; curves show the remaining stereotype effect, beside vectors that mean something "
        "else.",
    ),
    statistics=constant(
        reduction=Statistic("bias reduction when the group sense is injected", "difference")
    ),
    readings=READINGS,
    assay=lambda stimuli, selection, options: Injection(
        stimuli, selection, window=options.window, seed=options.seed
    ),
    looks={
        UNTOUCHED: ("ink", "-"),
        NEUTRAL: ("neutral", DOTS),
        RANDOM: ("other", DASH_DOT),
    },
)
