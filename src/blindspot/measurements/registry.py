"""All assays of a run, by measurement."""

from __future__ import annotations

from blindspot.measurements.injection.statistic import Injection
from blindspot.measurements.interpretation import Interpretation
from blindspot.measurements.mechanistic import Assay
from blindspot.measurements.patching.statistic import Patching
from blindspot.measurements.probing.statistic import Probing
from blindspot.stimuli import Stimuli


def assays_of(
    stimuli: Stimuli, limit: int | None = None, *, window: int | None = None, seed: int = 0
) -> dict[str, Assay]:
    """Every assay on these stimuli.

    Args:
        stimuli: axes, wordings, senses and questions.
        limit: at most so many word pairs a category.
        window: layers that an injection writes over at once, None for the paper's share of them.
        seed: of the random control vectors.
    """
    assays: tuple[Assay, ...] = (
        Patching(stimuli, limit),
        Interpretation(stimuli, limit),
        Probing(stimuli, limit),
        Injection(stimuli, limit, window=window, seed=seed),
    )
    return {assay.measurement: assay for assay in assays}
