"""vLLM serves a bundled model, and the answers are those of the same model in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from blindspot.models import LanguageModel, ModelOptions, ScoreRequest
from blindspot.models.options import Scaled
from blindspot.models.registry import open_model
from blindspot.run.source import FixturePrompts
from blindspot.run.work import _request
from blindspot.stimuli import Selection, load_stimuli
from tests.unit.suite_runs import ROOT, SuiteRun, run_suite
from tests.unit.test_model_adapters import write
from tests.vllm.vllm_server import PYTHON, vllm_server
from tests.vllm.wider_heads import widen

pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason="no environment with vLLM: make test-vllm installs it"
)

BLIND = ROOT / "fixtures" / "organisms" / "blind"
#: Nats between the two engines over a whole answer.
ENGINES = 1e-3
#: Requests at once: with adapters, vLLM 0.32 ends at the echo of several prompts (bgmv_shrink).
AT_ONCE = 1
_DOWN = "base_model.model.model.layers.{}.mlp.down_proj.lora_{}.weight"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the models are served: as ``m``, and as ``adapted`` with an adapter."""

    address: str
    model: Path
    adapter: Path

    def served(self, name: str) -> LanguageModel:
        """The model of that name, whose files the server names."""
        arguments = {"base_url": self.address, "concurrency": AT_ONCE}
        return open_model(ModelOptions(f"served:{name}", model_args=arguments))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server of organism:blind and of an adapter that changes its answers."""
    directory = tmp_path_factory.mktemp("vllm")
    torch.manual_seed(5)
    tensors = {
        _DOWN.format(layer, part): 0.2 * torch.randn(shape)
        for layer in (2, 3)
        for part, shape in (("A", (8, 192)), ("B", (96, 8)))
    }
    adapter = write(directory / "adapter", tensors, r=8, lora_alpha=8, target_modules=["down_proj"])
    model = widen(BLIND, directory / "model")
    with vllm_server(model, adapter, directory / "log") as address:
        yield Place(address, model, adapter)


def check_same(there: LanguageModel, here: LanguageModel) -> list[str]:
    """Log-probabilities and greedy texts of both are the same; the texts."""
    source = FixturePrompts(load_stimuli(), Selection(limit=1))
    parts = [source.slices(name)[0] for name in ("implicit", "explicit")]
    prompts = [prompt for part in parts for prompt in list(source.prompts(part))[:8]]
    asked = [ScoreRequest(prompt.text, prompt.candidates) for prompt in prompts]
    scores = list(zip(there.score(asked), here.score(asked), strict=True))
    apart = max(abs(a - b) for pair in scores for a, b in zip(*pair, strict=True))
    requests = [_request(prompt) for prompt in prompts]
    texts = list(zip(there.generate(requests), here.generate(requests), strict=True))
    print(f"{len(scores)} prompts, at most {apart:.1e} nats apart")
    assert apart <= ENGINES
    for one, other in texts:
        assert (one.text, one.tokens, one.complete) == (other.text, other.tokens, other.complete)
        assert one.margin == pytest.approx(other.margin, abs=2 * ENGINES)
    return [one.text for one, _ in texts]


def test_answers_are_those_of_the_model_in_this_process(place: Place) -> None:
    """Its echo is proven; an adapter is another model, with the answers of the merged one."""
    there, adapted = place.served("m"), place.served("adapted")
    print(there.server)  # type: ignore[attr-defined]
    assert there.server.kind.startswith("vllm ")  # type: ignore[attr-defined]
    assert there.server.scores == "echo"  # type: ignore[attr-defined]
    assert there.identity.weights == open_model(ModelOptions(str(place.model))).identity.weights
    assert adapted.identity.weights not in (there.identity.weights, "")
    assert not adapted.identity.weights.startswith("unknown:")
    texts = check_same(there, open_model(ModelOptions("organism:blind")))
    changed = open_model(ModelOptions("organism:blind", adapter=Scaled(place.adapter)))
    assert check_same(adapted, changed) != texts


def judge(directory: Path, model: str, *arguments: str) -> SuiteRun:
    """A run of few gates."""
    return run_suite(
        directory,
        *("-k", "race-default-weapons and not word", "--no-noise-floor", *arguments),
        model=model,
        limit=2,
        plugin=False,
        paths=("tests/implicit",),
    )


def test_verdicts_are_those_of_the_model_in_this_process(place: Place, tmp_path: Path) -> None:
    """A candidate and a reference that are two names of one server."""
    place_args = f"base_url={place.address},concurrency={AT_ONCE}"
    arguments = ("--model-args", place_args, "--reference", "served:adapted")
    there = judge(tmp_path / "there", "served:m", *arguments)
    here = judge(tmp_path / "here", "organism:blind")
    assert there.code == here.code == 10, there.out + there.err + here.out
    assert there.report["comparisons"]["reference"]["name"] == "served:adapted"
    assert there.gates.keys() == here.gates.keys()
    for gate, found in here.gates.items():
        other = there.gates[gate]
        assert other["value"] == pytest.approx(found["value"], abs=ENGINES), gate
        if found["verdict"] == "fail":
            assert other["verdict"] == "fail", gate
