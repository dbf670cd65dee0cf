"""How many tokens a run computes, and what that means for large models, on paper.

    python -m benchmarks.sizes [--model .models/SmolLM2-135M-Instruct.Q4_1.gguf]

Counts the tokens of the default suite by a model's tokenizer: those of prompts, those that are left
if shared beginnings are computed once, and those of the answers that are compared. Assays are
counted by their own estimate. Then works out GPUs, memory and minutes for models of three sizes.
Nothing is computed by a model.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from blindspot.measurements.registry import BEHAVIORAL, MEASUREMENTS
from blindspot.models.options import ModelOptions
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.loader import prepare
from blindspot.models.transformers.prefix_tree import Tokens, common_length
from blindspot.models.transformers.seam import encode
from blindspot.run.findings import units_of
from blindspot.session.inputs import Inputs
from blindspot.session.options import Options

#: Tokens of a generated answer, as bundled and small models write them.
WRITTEN = 11
#: Bytes of a GPU, its floating-point operations and bytes a second: an H200.
MEMORY, SPEED, BANDWIDTH = 141e9, 790e12, 4.3e12
#: Bytes of a smaller GPU.
SMALL = 80e9
#: Share of the peak that is reached, and of the memory that weights may take: assumed.
REACHED, TAKEN = 0.3, 0.8
#: Rows of a batch and their tokens; times that the weights are read for generated tokens.
ROWS, LENGTH, STEPS = 1024, 60, 1000


@dataclass(frozen=True)
class Size:
    """A model: parameters, layers, key-value heads and the size of each."""

    name: str
    parameters: float
    layers: int
    heads: int = 8
    head: int = 128

    def row(self, tokens: Sequence[float]) -> str:
        """Memory (GB), GPUs and minutes for so many tokens."""
        weights = 2 * self.parameters
        cache = 4 * self.layers * self.heads * self.head * ROWS * LENGTH
        gpus, small = (math.ceil(weights / (TAKEN * size)) for size in (MEMORY, SMALL))
        minutes = [2 * self.parameters * count / (REACHED * SPEED) / 60 for count in tokens]
        steps = STEPS * weights / BANDWIDTH / 60
        return (
            f"{self.name:8}{weights / 1e9:10.0f}{gpus:6}{small:8}{cache / 1e9:8.0f}"
            + "".join(f"{each:10.1f}" for each in minutes)
            + f"{steps:10.1f}"
        )


SIZES = (Size("8B", 8.0e9, 32), Size("70B", 70.6e9, 80), Size("405B", 405e9, 126))


def fresh(texts: Sequence[Tokens]) -> int:
    """Tokens that are left if a beginning that texts share is computed once."""
    ordered = sorted(texts)
    shared = (common_length(one, other) for one, other in pairwise(ordered))
    return sum(map(len, ordered)) - sum(shared)


def counted(inputs: Inputs, prompts: PromptFormat, measurement: str) -> tuple[int, int, int, int]:
    """Prompts of a measurement, their tokens, those without repetition, those of answers."""
    source = inputs.source
    found = {p.text: p for part in source.slices(measurement) for p in source.prompts(part)}
    rendered = [(prompts.render(text), prompt.candidates) for text, prompt in found.items()]
    asked = encode(prompts, rendered, lambda _, wanted: wanted)
    heads = [one.texts[0][: one.start] for one in asked]
    answers = sum(fresh([text[one.start :] for text in one.texts]) for one in asked)
    return len(found), sum(map(len, heads)), fresh(heads), answers


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default=".models/SmolLM2-135M-Instruct.Q4_1.gguf")
    name = parser.parse_args().model
    inputs = Inputs(Options(), Path(), lambda _: None)
    prompts = prepare(ModelOptions(name, device="cpu"), here=False).prompts
    print(f"{'':16}{'prompts':>10}{'tokens':>12}{'shared once':>12}{'answers':>12}")
    both = 0
    default = [name for name, one in MEASUREMENTS.items() if not one.part]  # of no mitigation
    for measurement in (name for name in default if name in BEHAVIORAL):
        count, tokens, once, answers = counted(inputs, prompts, measurement)
        print(f"{measurement:16}{count:10,}{tokens:12,}{once:12,}{answers:12,}", flush=True)
        both += once + answers + WRITTEN * count
    inside = 0
    for measurement in (name for name in default if name in inputs.assays):
        units = units_of(inputs.assays, inputs.source.slices(measurement))
        tokens = sum(unit.tokens for unit in units)
        print(f"{measurement:16}{sum(unit.size for unit in units):10,}{tokens:12,}")
        inside += tokens
    print(
        f"both readings: {both / 1e6:.2f} million tokens; with assays: {(both + inside) / 1e6:.2f}"
    )
    print(
        f"{'':8}{'GB':>10}{'GPUs':>6}{'of 80':>8}{'cache':>8}{'min':>10}{'assays':>10}{'steps':>10}"
    )
    for size in SIZES:
        print(size.row((both, both + inside)))


if __name__ == "__main__":
    main()
