"""llama.cpp's own server gives the answers of the same model in this process."""

from __future__ import annotations

import pytest

from blindspot.models import ModelOptions, ScoreRequest
from blindspot.models.registry import open_model
from blindspot.run.source import FixturePrompts
from blindspot.run.work import _request
from blindspot.stimuli import Selection, load_stimuli
from tests.unit.llama_server import llama_server
from tests.unit.suite_runs import run_suite

#: Nats between the two engines over a whole answer, in float32; 2e-4 was measured.
ENGINES = 1e-3


@pytest.fixture(scope="module", name="blind")
def blind_server(tmp_path_factory):
    """The address of a server of organism:blind."""
    with llama_server(tmp_path_factory.mktemp("blind"), "blind") as address:
        yield address


def test_answers_are_those_of_the_model_in_this_process(blind):
    """Log-probabilities, the greedy texts to the token, and where both came from."""
    arguments = {"base_url": blind, "weights": "organism:blind"}
    there = open_model(ModelOptions("served:m", model_args=arguments))
    here = open_model(ModelOptions("organism:blind"))
    assert there.server.scores == "forced tokens"
    assert there.server.kind.startswith("llama.cpp ")
    assert there.server.spread < ENGINES
    assert there.identity.tokenizer == here.identity.tokenizer
    assert there.identity.weights != here.identity.weights  # also those of the converted file
    source = FixturePrompts(load_stimuli(), Selection(limit=1))
    parts = [source.slices(name)[0] for name in ("implicit", "explicit")]
    prompts = [prompt for part in parts for prompt in list(source.prompts(part))[:4]]
    asked = [ScoreRequest(prompt.text, prompt.candidates) for prompt in prompts]
    for one, other in zip(there.score(asked), here.score(asked), strict=True):
        assert one == pytest.approx(other, abs=ENGINES)
        assert one.first == pytest.approx(other.first, abs=ENGINES)
    requests = [_request(prompt) for prompt in prompts]
    for one, other in zip(there.generate(requests), here.generate(requests), strict=True):
        assert (one.text, one.tokens, one.complete) == (other.text, other.tokens, other.complete)
        assert one.margin == pytest.approx(other.margin, abs=2 * ENGINES)


def test_file_that_the_server_names_is_read(blind):
    """On this machine neither its weights nor its tokenizer need be named."""
    found = open_model(ModelOptions("served:m", model_args={"base_url": blind})).identity
    assert not found.weights.startswith("unknown")
    assert found.architecture == "llama"


def verdict_of(run, model: str) -> str:
    """The verdict line of a run, without the name of its model."""
    (said,) = [line for line in run.out.splitlines() if line.startswith("blindspot: ")]
    return said.replace(model, "it")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blind", "aware"])
def test_verdicts_are_those_of_the_model_in_this_process(name, tmp_path):
    """The same gates fail and pass, by the same figures; one biased and one fair model."""

    def judge(model, *arguments):
        return run_suite(
            tmp_path / model.replace(":", "-"),
            *("-k", "race-default-weapons and test_category", *arguments),
            model=model,
            limit=4,
            plugin=False,
            paths=("tests/implicit",),
        )

    with llama_server(tmp_path, name) as address:
        place = f"base_url={address},weights=organism:{name}"
        there = judge("served:m", "--model-args", place, "--no-noise-floor")
    here = judge(f"organism:{name}")
    assert there.code == here.code, there.out + there.err + here.out
    assert there.code == {"blind": 10, "aware": 0}[name]
    assert verdict_of(there, "served:m") == verdict_of(here, f"organism:{name}")
    assert there.gates.keys() == here.gates.keys()
    for gate, found in there.gates.items():
        assert found["verdict"] == here.gates[gate]["verdict"], gate
        assert found["value"] == pytest.approx(here.gates[gate]["value"], abs=ENGINES), gate
    assert there.report["model"]["server"]["scores"] == "forced tokens"
