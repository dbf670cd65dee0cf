"""Products of few rows and the weights of whole blocks: torch's own beside those that ours takes.

    python benchmarks/products.py [--threads 2] [--width 768]

Weights of 12 blocks like a Llama's are multiplied in turn, so that each comes from memory. Prints
operations a second, the best of some rounds by turns.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from torch.nn.functional import linear

from blindspot.models.transformers.products import Product, product_for

ROWS = (20, 53, 80, 160, 320)
_BLOCKS, _ROUNDS = 12, 5


def blocks(width: int) -> list[Tensor]:
    """Seven weights a block: four of attention, three of a gated layer."""
    inner = width * 8 // 3
    shapes = [(width, width)] * 4 + [(inner, width)] * 2 + [(width, inner)]
    return [torch.randn(shape) for _ in range(_BLOCKS) for shape in shapes]


def seconds(product: Product, rows: int, weights: list[Tensor]) -> float:
    """Of one pass through all weights."""
    given = {weight.shape[1]: torch.randn(rows, weight.shape[1]) for weight in weights}
    begin = time.perf_counter()
    for weight in weights:
        product(given[weight.shape[1]], weight, None)
    return time.perf_counter() - begin


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=int, default=768)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    weights = blocks(options.width)
    ways = (linear, product_for(weights[0]))
    numbers = sum(weight.numel() for weight in weights)
    print(f"torch {torch.__version__}, {options.threads} threads, width {options.width}")
    print("rows   torch's own GFLOP/s   ours GFLOP/s")
    for rows in ROWS:
        best = [float("inf")] * len(ways)
        for _ in range(_ROUNDS):
            taken = [seconds(way, rows, weights) for way in ways]
            best = [min(pair) for pair in zip(best, taken, strict=True)]
        own, ours = (2 * rows * numbers / one / 1e9 for one in best)
        print(f"{rows:4} {own:21.0f} {ours:14.0f}")


if __name__ == "__main__":
    main()
