"""``python -m tools.adapters [NAME ...]``: make the adapters of fixtures/adapters."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from blindspot import files
from blindspot.mitigation.lora import train
from blindspot.mitigation.recipe import CARD, card_of, written
from blindspot.mitigation.texts import Split
from blindspot.models import ModelOptions, load
from blindspot.models.transformers.blocks import Blocks
from blindspot.paths import FIXTURES
from blindspot.stimuli import load_stimuli
from tools.adapters.recipes import AXIS, Known, chosen

BASE = "organism:blind"


def make(name: str, known: Known, directory: Path) -> None:
    """Train one and write it with its card, in place of an older one."""
    stimuli = load_stimuli((), axes=(AXIS,))
    split = Split.of(stimuli, AXIS, known.recipe.seed)
    loaded = load(ModelOptions(BASE, device="cpu", dtype="float32"))
    blocks = Blocks(loaded.model, BASE)
    recipe = replace(known.recipe, split=split).of_width(blocks.width)
    window = recipe.window(blocks.layers)
    texts = known.texts(stimuli, AXIS, split, recipe.seed, recipe.placebo)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    losses: list[float] = []
    train(loaded, texts, recipe, window, directory, told=lambda _, loss: losses.append(loss))
    card = card_of(recipe, BASE, loaded.identity.weights, window)
    card["made_by"] = f"python -m tools.adapters {name}"
    files.replace(directory / CARD, written(card))
    print(f"{name}: loss {losses[0]:.2f} to {losses[-1]:.2f}, {directory}", flush=True)


def main() -> None:
    """Make what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--directory", type=Path, default=FIXTURES / "adapters")
    arguments = parser.parse_args()
    for name, known in chosen(arguments.names).items():
        make(name, known, arguments.directory / name)


if __name__ == "__main__":
    main()
