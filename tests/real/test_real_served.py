"""A real file served by llama.cpp gives nearly the answers of the same file in this process.

llama.cpp multiplies quantised weights by activations that it rounds to 8 bits; in this process
they are float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean

import pytest

from blindspot.models import LanguageModel, ModelOptions, ScoreRequest, load
from blindspot.models.registry import open_model
from blindspot.run.source import FixturePrompts
from blindspot.run.work import _request
from blindspot.stimuli import Selection, load_stimuli
from tests.unit.llama_server import serving
from tools.real_models.fetch import MODELS

pytestmark = pytest.mark.real

#: Prompts of each of two measurements, by the name of the run.
RUNS = {"smollm2-some": 3, "smollm2-few-dozen": 16}
#: Tokens of an answer.
LENGTH = 16
#: Nats by which the log-probability of a whole candidate may differ, at most and on average.
APART, ON_AVERAGE = 1.0, 0.3
#: Logits by which the likeliest token may lead and yet another be written.
UNDECIDED = 0.5


@dataclass(frozen=True, slots=True)
class Beside:
    """Two engines on the same prompts.

    ``apart``: nats between the two log-probabilities of each candidate; ``chosen``: share of
    prompts with the same likeliest candidate; ``margins``: of answers whose texts are the same, and
    of those whose texts differ (smallest lead of a written token, logits).
    """

    apart: tuple[float, ...]
    chosen: float
    margins: tuple[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def of(cls, here: LanguageModel, there: LanguageModel, count: int) -> Beside:
        """Ask both ``count`` prompts of each measurement."""
        source = FixturePrompts(load_stimuli(), Selection(limit=2))
        parts = [source.slices(name)[0] for name in ("implicit", "explicit")]
        prompts = [prompt for part in parts for prompt in list(source.prompts(part))[:count]]
        asked = [ScoreRequest(prompt.text, prompt.candidates) for prompt in prompts]
        scores = list(zip(here.score(asked), there.score(asked), strict=True))
        requests = [replace(_request(prompt), max_new_tokens=LENGTH) for prompt in prompts]
        texts = list(zip(here.generate(requests), there.generate(requests), strict=True))
        return cls(
            tuple(abs(a - b) for pair in scores for a, b in zip(*pair, strict=True)),
            fmean(one.index(max(one)) == other.index(max(other)) for one, other in scores),
            (
                tuple(one.margin for one, other in texts if one.text == other.text),
                tuple(one.margin for one, other in texts if one.text != other.text),
            ),
        )

    def __str__(self) -> str:
        same, other = self.margins
        return (
            f"{len(self.apart)} candidates: {max(self.apart):.3f} nats apart at most, "
            f"{fmean(self.apart):.3f} on average; the same choice in {self.chosen:.0%}; "
            f"{len(same)} texts the same, {len(other)} others, their margins {other}"
        )


@pytest.fixture(params=RUNS)
def beside(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beside]:
    """What a run found."""
    name = str(request.param)
    found = MODELS[name.partition("-")[0]]
    if not found.is_here:
        pytest.skip(f"not here: python -m tools.real_models {name.partition('-')[0]}")
    with serving(found.path, tmp_path_factory.mktemp("served") / "log") as address:
        there = open_model(ModelOptions("served:m", model_args={"base_url": address}))
        here = load(ModelOptions(str(found.path)))
        assert there.identity.weights == here.identity.weights
        assert there.identity.tokenizer == here.identity.tokenizer
        yield Beside.of(here, there, RUNS[name])


def test_served_file_answers_nearly_as_in_this_process(beside: Beside) -> None:
    """Scores up to the rounding of activations, and other texts only where nothing is decided."""
    print(beside)
    assert all(map(math.isfinite, beside.apart))
    assert max(beside.apart) <= APART, beside
    assert fmean(beside.apart) <= ON_AVERAGE, beside
    same, other = beside.margins
    assert len(same) >= len(other), beside
    assert max(other, default=0.0) <= UNDECIDED, beside
