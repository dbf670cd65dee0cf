"""Directions from an ambiguous identifier to one whose group is named: differences of means."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from blindspot.errors import StimulusError
from blindspot.mitigation.recipe import Recipe
from blindspot.models.base import Progress
from blindspot.models.residual import ResidualStream, Source, Vectors
from blindspot.stimuli import IMPLICIT, Context, Slice, Stimuli, ambiguous_contexts, cued_contexts

FILE = "directions.safetensors"


def directions(
    stream: ResidualStream,
    stimuli: Stimuli,
    recipe: Recipe,
    window: range,
    *,
    progress: Progress | None = None,
) -> dict[str, Vectors]:
    """A vector, (width,), for each layer of a window, by the name that ``--steer`` reads.

    Added one after the other they move the residual stream, at each layer of the window, by the
    mean vector of identifiers whose group a sentence names minus that of ambiguous ones. Only words
    and wordings that may be seen are read. A placebo names the literal sense, or mixes both sides.

    Raises:
        StimulusError: the axis has no sense that could be named.
    """
    axis, split = stimuli.axes[recipe.axis], recipe.split
    assert split is not None
    senses = {name: axis.sense_names(name) for name in axis.variants}
    variants = [name for name, one in axis.variants.items() if not one.control and senses[name]]
    if not variants:
        raise StimulusError(f"axis {axis.name} has no variant with two senses to tell apart")
    named: list[Context] = []
    ambiguous: list[Context] = []
    for variant in variants:
        group, literal = senses[variant]
        sense = literal if recipe.placebo == "color" else group
        named += cued_contexts(stimuli, axis.name, variant, sense)
        for category in axis.categories:
            part = Slice(IMPLICIT, axis.name, variant, category)
            ambiguous += [
                context
                for context in ambiguous_contexts(stimuli, part)
                if context.frame in split.wordings
            ]
    contexts = [*named, *ambiguous]
    vectors = stream.read([Source(one.text, one.spans) for one in contexts], progress=progress)
    sides = np.repeat([True] * len(named) + [False] * len(ambiguous), 2)
    if recipe.placebo == "shuffled":
        shuffled = sides.tolist()
        random.Random(recipe.seed).shuffle(shuffled)
        sides = np.array(shuffled)
    means = vectors[sides].mean(0) - vectors[~sides].mean(0)
    return {
        f"layer.{layer}": means[layer] - (means[layer - 1] if layer > window.start else 0)
        for layer in window
    }


def write(output: Path, vectors: dict[str, Vectors]) -> Path:
    """Write the file that ``--steer`` reads."""
    from safetensors.numpy import save

    from blindspot import files

    contiguous = {name: np.ascontiguousarray(one, np.float32) for name, one in vectors.items()}
    return files.replace(output / FILE, save(contiguous, {"coefficient": "1"}))
