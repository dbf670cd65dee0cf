"""Count the tokens that deciding the forms of all answers costs, by the tokenizer of a model.

    python -m benchmarks.wordings.forms --model NAME [--apply-chat-template]

Nothing is computed: to the model that is asked here all forms are alike, so the wordings' own stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from blindspot.measurements.registry import BEHAVIORAL
from blindspot.models.base import (
    Generation,
    GenerationRequest,
    Identity,
    Progress,
    Scored,
    ScoreRequest,
)
from blindspot.models.options import ModelOptions
from blindspot.models.transformers.formats import PromptFormat
from blindspot.models.transformers.loader import load
from blindspot.run.forms import decided
from blindspot.run.source import FixturePrompts
from blindspot.run.turns import ALONE
from blindspot.stimuli import Prompt, load_stimuli
from blindspot.store import Store


class Counter:
    """A model that gives every answer the same probability, and counts tokens."""

    identity = Identity("counter", weights="0" * 64, tokenizer="0" * 64, dtype="float32")

    def __init__(self, prompts: PromptFormat) -> None:
        self._prompts = prompts
        self.tokens = 0

    def generate(
        self, requests: Sequence[GenerationRequest], *, progress: Progress | None = None
    ) -> list[Generation]:
        """Nothing."""
        return [Generation("", 0, True, 0.0) for _ in requests]

    def score(
        self, requests: Sequence[ScoreRequest], *, progress: Progress | None = None
    ) -> list[Scored]:
        """The same for all."""
        self.tokens += sum(self.cost(one.prompt, one.candidates) for one in requests)
        return [Scored([-1.0] * len(one.candidates)) for one in requests]

    def cost(self, prompt: str, candidates: Sequence[str]) -> int:
        """Tokens of a prompt, and of each candidate behind it."""
        before = self._prompts.render(prompt)
        first, *others = map(
            len,
            self._prompts.encode(
                [before, *(self._prompts.join(before, one) for one in candidates)]
            ),
        )
        return first + sum(other - first for other in others)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each axis and measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wordings.forms", description=__doc__
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--apply-chat-template", action="store_true")
    given = parser.parse_args(arguments)
    options = ModelOptions(given.model, apply_chat_template=given.apply_chat_template)
    prompts = load(options).prompts
    source = FixturePrompts(load_stimuli(()))
    for measurement in BEHAVIORAL:
        axes = {part.axis: part for part in source.slices(measurement)}
        for axis, part in axes.items():
            model, trials = Counter(prompts), list(source.trials(part))
            decided(model, trials, Store(None), ALONE)
            asked: list[Prompt] = [
                prompt
                for one in source.slices(measurement)
                if one.axis == axis
                for prompt in source.prompts(one)
            ]
            each = sum(model.cost(one.text, one.candidates) for one in trials) / len(trials)
            print(
                f"{measurement} {axis}: {len({one.wording for one in trials})} wordings, "
                f"{model.tokens:,} tokens, as many as {model.tokens / each:.0f} prompts; the "
                f"default suite asks {len(asked):,}"
            )


if __name__ == "__main__":
    main()
