"""What replicas on a Ray cluster cost beside the same model in this process.

    unshare --net --pid --fork --kill-child --mount-proc \\
        python -m tests.unit.ray_nodes python -m benchmarks.replicas

Asks the same prompts in this process, then of 1, 2 and 4 replicas, in one run, and compares the
answers first. CPU seconds are those of this process and of the replicas, without Ray's own: on a
busy machine they say more than elapsed time, which is shown too. ``start``: seconds until all
replicas have the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blindspot.models.base import Generation, GenerationRequest, ScoreRequest
from blindspot.models.options import ModelOptions
from blindspot.models.registry import open_model
from blindspot.models.replicas.model import RayModel
from blindspot.run.source import FixturePrompts
from blindspot.run.work import MAX_NEW_TOKENS, stopping_rule
from blindspot.stimuli import Prompt, load_stimuli

REPLICAS = (1, 2, 4)
_CLOSE = 1e-4


@dataclass(frozen=True)
class Spent:
    """CPU seconds that a replica has used so far."""

    def __call__(self, model: Any) -> float:
        """Of its process."""
        return time.process_time()


def prompts(count: int) -> list[Prompt]:
    """Some of the default association prompts, in the order in which a run asks them."""
    source = FixturePrompts(load_stimuli())
    found = [p for part in source.slices("implicit") for p in source.prompts(part)]
    return sorted(found, key=lambda prompt: prompt.text)[:count]


def answers(model: Any, asked: Sequence[Prompt]) -> list[tuple[tuple[float, ...], Generation]]:
    """Both readings of all prompts."""
    scored: dict[int, tuple[float, ...]] = {}
    generated: dict[int, Generation] = {}
    model.answer_each(
        [ScoreRequest(prompt.text, prompt.candidates) for prompt in asked],
        [GenerationRequest(p.text, stopping_rule(p), MAX_NEW_TOKENS) for p in asked],
        scored.__setitem__,
        generated.__setitem__,
    )
    return [(scored[number], generated[number]) for number in range(len(asked))]


def cpu(model: Any, replicas: int) -> float:
    """CPU seconds of this process and of the replicas, one work for each."""
    spent = time.process_time()
    if isinstance(model, RayModel):
        found: list[float] = []
        model._crew.each([Spent()] * replicas, lambda _, seconds: found.append(seconds))
        spent += sum(found)
    return spent


def timed(model: Any, replicas: int, asked: Sequence[Prompt]) -> tuple[float, float]:
    """CPU and elapsed seconds of all answers."""
    began, before = time.perf_counter(), cpu(model, replicas)
    answers(model, asked)
    return cpu(model, replicas) - before, time.perf_counter() - began


def check(ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """Refuse to time what gives other answers."""
    for (scores, text), (others, other) in zip(ours, theirs, strict=True):
        assert text.text == other.text, (text, other)
        assert all(abs(a - b) <= _CLOSE for a, b in zip(scores, others, strict=True)), scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default="organism:blind")
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replicas", type=int, nargs="+", default=REPLICAS)
    arguments = parser.parse_args()
    asked = prompts(arguments.prompts)
    models: dict[str, tuple[Any, int]] = {
        "in this process": (open_model(ModelOptions(arguments.model)), 0)
    }
    for count in arguments.replicas:
        options = ModelOptions(f"ray:{arguments.model}", model_args={"replicas": count})
        models[f"{count} replicas"] = open_model(options), count
    expected = answers(models["in this process"][0], asked)
    print(f"{len(asked)} prompts of {arguments.model}, best of {arguments.rounds} by CPU seconds")
    print(f"{'':16}{'CPU s':>8}{'ratio':>8}{'elapsed s':>11}{'ratio':>8}{'start s':>9}", flush=True)
    base = None
    for name, (model, count) in models.items():
        began = time.perf_counter()
        answers(model, asked[:4])
        start = time.perf_counter() - began
        check(answers(model, asked), expected)
        rounds = [timed(model, count, asked) for _ in range(arguments.rounds)]
        model.release()
        spent, elapsed = best = min(rounds)
        base = base or best
        print(
            f"{name:16}{spent:8.2f}{spent / base[0]:8.2f}{elapsed:11.2f}"
            f"{elapsed / base[1]:8.2f}{start:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
