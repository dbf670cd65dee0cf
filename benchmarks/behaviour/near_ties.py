"""How many answers depend on what else is asked, before and after near-ties are settled alone.

    python -m benchmarks.behaviour.near_ties [--prompts 16] [--dtype bfloat16]

Each model is asked the same prompts one at a time, all at once, in batches of five rows, and a
third of them without the others. A row counts the answers that one of these ways changed, without
and with settling; the tokens that were settled among those of all answers at once, and how many
times the CPU seconds that takes; the most by which company moved the distance of the two best
logits after a prompt, in units of rounding at the best one and as a share of what settling allows
for; and the most by which it moved a log-odds of forced choice (nats). Models are the embedded ones
and small Llamas of random weights with the vocabulary of a large one, whose choices are near-ties
as often as any model's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.harness.llamas import Shape, tokenizer, untrained
from blindspot.models import Generation, GenerationRequest, ModelOptions, ScoreRequest, load
from blindspot.models.base import Identity
from blindspot.models.transformers.engine import Row
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.model import CausalModel
from blindspot.run.ask import MAX_NEW_TOKENS, stopping_rule
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import EXPLICIT, IMPLICIT, Prompt, Selection, load_stimuli

ORGANISMS = ("organism:blind", "organism:aware", "organism:base")
#: Layers, width.
LLAMAS = ((2, 256), (8, 256), (16, 256), (32, 128))
_VOCABULARY = 32_000


def prompts_of(count: int) -> list[Prompt]:
    """Prompts of all wordings and variants, evenly taken."""
    source = FixturePrompts(load_stimuli([]), Selection(limit=2))
    every = [
        prompt
        for kind in (IMPLICIT, EXPLICIT)
        for part in source.slices(kind)
        for prompt in source.prompts(part)
    ]
    return every[:: max(1, len(every) // count)][:count]


def models(dtype: str) -> Iterator[tuple[str, Any, PromptFormat, frozenset[int]]]:
    """Name, weights, format and ends of each model."""
    for name in ORGANISMS:
        model = load(ModelOptions(name, dtype=dtype))
        yield name, model.model, model.prompts, model._ends
    for layers, width in LLAMAS:
        torch.manual_seed(0)
        shape = Shape(width, 2 * width, layers, 4, 4, _VOCABULARY, tied=False, context=512)
        model = untrained(shape, "cpu", getattr(torch, dtype), initializer_range=0.05)
        name = f"random Llama, {layers} layers"
        form = PromptFormat(tokenizer(_VOCABULARY), name, chat=False)
        yield name, model, form, frozenset()


class Subject:
    """A model that is asked in several ways."""

    def __init__(self, name: str, model: Any, form: PromptFormat, ends: frozenset[int]) -> None:
        self.name = name
        self._parts = (model, form, Identity(name, "", "", str(model.dtype)), ends)

    def ask(
        self, prompts: Sequence[Prompt], *, settled: bool, rows: int | None = None
    ) -> tuple[list[Generation], list[tuple[float, ...]], int, float]:
        """Answers and scores, as a run asks for them; tokens settled; CPU seconds."""
        model, form, identity, ends = self._parts
        made = CausalModel(model, form, identity, ends=ends, rows=rows, batch_invariant=settled)
        began = time.process_time()
        scores = made.score([ScoreRequest(p.text, p.candidates) for p in prompts])
        answers = made.generate(
            [GenerationRequest(p.text, stopping_rule(p), MAX_NEW_TOKENS) for p in prompts]
        )
        return answers, scores, made.settled, time.process_time() - began

    def moved(self, prompts: Sequence[Prompt]) -> tuple[float, float]:
        """Most by which company moves the distance of the two best: in units, as a share."""
        model, form, identity, ends = self._parts
        made = CausalModel(model, form, identity, ends=ends, batch_invariant=True)
        engine = made._engine
        encoded = form.encode([form.render(prompt.text) for prompt in prompts])
        rows = [Row(tokens) for tokens in encoded]
        reads = [(number, len(row.tokens) - 1) for number, row in enumerate(rows)]
        with torch.inference_mode():
            passes = [
                engine.extend([row], None, [(0, reads[n][1])], keep=False)
                for n, row in enumerate(rows)
            ]
            alone = torch.cat([one.logits for one in passes])
            best = alone.topk(2)
            together = engine.extend(rows, None, reads, keep=False).logits.gather(1, best.indices)
        change = (best.values - together).diff(dim=1)[:, 0].abs()
        units = best.values[:, 0].abs() * torch.finfo(model.dtype).eps
        allowed = 2 * units.clamp(min=engine.noise)
        return float((change / units).max()), float((change / allowed).max())

    def row(self, prompts: Sequence[Prompt]) -> str:
        """What was found, as a row of the table."""
        told, third = [], list(range(0, len(prompts), 3))
        moved = 0.0
        for settled in (False, True):
            alone = [self.ask([prompt], settled=settled) for prompt in prompts]
            texts = [answers[0].text for answers, *_ in alone]
            changed: set[int] = set()
            every = range(len(prompts))
            for asked, rows in ((every, None), (every, 5), (third, None)):
                answers, scores, *_ = self.ask(
                    [prompts[n] for n in asked], settled=settled, rows=rows
                )
                changed |= {
                    n for n, one in zip(asked, answers, strict=True) if one.text != texts[n]
                }
                for n, one in zip(asked, scores, strict=True):
                    odds = [values[0] - values[-1] for values in (one, alone[n][1][0])]
                    moved = max(moved, abs(odds[0] - odds[1]))
            answers, _, count, seconds = self.ask(prompts, settled=settled)
            told.append((len(changed), count, seconds, sum(one.tokens for one in answers)))
        (before, _, fast, _), (after, count, slow, tokens) = told
        units, share = self.moved(prompts)
        return (
            f"{self.name:24}{before:4} of {len(prompts):3}{after:6}{count:6} of {tokens:5}"
            f"{slow / fast:7.2f}{units:8.2f}{share:8.2f}{moved:9.3f}"
        )


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prompts = prompts_of(arguments.prompts)
    titles = f"{'changed':>11}{'after':>6}{'settled':>14}{'time x':>7}{'units':>8}{'share':>8}"
    print(f"{'':24}{titles}{'log-odds':>9}")
    for parts in models(arguments.dtype):
        print(Subject(*parts).row(prompts), flush=True)


if __name__ == "__main__":
    main()
