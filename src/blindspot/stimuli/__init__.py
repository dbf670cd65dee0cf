"""Axes, categories and wordings, and the counterbalanced prompts made of them. No torch."""

from blindspot.stimuli.loading import Stimuli, load_stimuli, read_axis, read_toml, read_wordings
from blindspot.stimuli.prompts import (
    EXPLICIT,
    IMPLICIT,
    MEASUREMENTS,
    AssociationPrompt,
    Prompt,
    Slice,
    StatementPrompt,
    pair_slices,
    pairs,
    render,
    slices,
)

__all__ = [
    "EXPLICIT",
    "IMPLICIT",
    "MEASUREMENTS",
    "AssociationPrompt",
    "Prompt",
    "Slice",
    "StatementPrompt",
    "Stimuli",
    "load_stimuli",
    "pair_slices",
    "pairs",
    "read_axis",
    "read_toml",
    "read_wordings",
    "render",
    "slices",
]
