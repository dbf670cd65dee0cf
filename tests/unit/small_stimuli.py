"""Few stimuli for runs of scripted models: three words a side, twelve wordings, three variants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from blindspot.stimuli import Stimuli
from blindspot.stimuli.loader import load_stimuli

SMALL = Path(__file__).parent / "small"


@cache
def _alone() -> Stimuli:
    return load_stimuli(fixtures=SMALL)


def small_stimuli(include: Sequence[Path] = (), *, axes: Sequence[str] = ()) -> Stimuli:
    """What `load_stimuli` gives, with these in place of the shipped ones."""
    return load_stimuli(include, axes=axes, fixtures=SMALL) if include or axes else _alone()
