"""Which vectors replace the identifiers of each prompt: from which context, or random."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from blindspot.models.residual import Vectors
from blindspot.stimuli import Context

Given = tuple[Context, ...]
"""The contexts from which the vector of each identifier that is read is taken."""


def givers(prompts: Sequence[Context], cued: Sequence[Context]) -> list[Given | None]:
    """For each prompt, contexts that name its two identifiers; None where there are none.

    One context for both where one names them together, else two with the same order of mention.
    Cues, templates and orders of mention rotate over the prompts; no single one decides.

    Args:
        prompts: ambiguous contexts; every four in a row are the orders of a wording.
        cued: contexts of one sense; every two in a row are the orders of mention.
    """
    return [_giver(number, prompt, cued) for number, prompt in enumerate(prompts)]


def _giver(number: int, prompt: Context, cued: Sequence[Context]) -> Given | None:
    width = len(prompt.words)
    choices: list[Given] = [(one,) * width for one in cued if one.words == prompt.words]
    if not choices and width > 1:
        choices = [
            (one, other)
            for one in cued
            if one.words[0] == prompt.words[0]
            for other in cued
            if other.words[1] == prompt.words[1] and one.positive_first == other.positive_first
        ]
    if not choices:
        return None
    # One more step with each wording: an order of the prompt then meets both orders of mention.
    turn = number + number // 4
    return choices[turn * _stride(len(choices)) % len(choices)]


def _stride(count: int) -> int:
    """A step that visits all places, consecutive ones far apart (golden section)."""
    return min(
        (step for step in range(1, count + 1) if gcd(step, count) == 1),
        key=lambda step: abs(step - count * 0.618),
    )


def noise(like: Vectors, seed: Sequence[int]) -> Vectors:
    """Vectors in random directions, each as long as the one in its place; (..., width) float32."""
    drawn = np.random.default_rng(seed).standard_normal(like.shape)
    lengths = np.linalg.norm(like.astype(np.float64), axis=-1, keepdims=True)
    drawn *= lengths / np.linalg.norm(drawn, axis=-1, keepdims=True)
    return drawn.astype(np.float32)
