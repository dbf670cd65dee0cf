"""vLLM serves a bundled model, and the answers are those of the same files in this process."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
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
from tests.vllm.vllm_server import PYTHON, VllmServer, vllm_server
from tests.vllm.wider_heads import widen

pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason="no environment with vLLM: make test-vllm installs it"
)

BLIND = ROOT / "fixtures" / "organisms" / "blind"
#: Nats between the two engines over a whole answer.
ENGINES = 1e-3
#: With adapters vLLM 0.32 ends on the echo of several prompts at once (vllm#16668).
ALONE = 1
_DOWN = "base_model.model.model.layers.{}.mlp.down_proj.lora_{}.weight"


@pytest.fixture(scope="module", name="checkpoint")
def written_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of organism:blind as vLLM can serve them."""
    return widen(BLIND, tmp_path_factory.mktemp("model") / "model")


@dataclass(frozen=True)
class Place:
    """Two servers of the model as ``m``; one of them serves an adapter, too, as ``adapted``."""

    adapter: Path
    plain: VllmServer
    adapting: VllmServer


@pytest.fixture(scope="module")
def place(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Servers of the model and of an adapter that changes its answers."""
    directory = tmp_path_factory.mktemp("vllm")
    torch.manual_seed(5)
    tensors = {
        _DOWN.format(layer, part): 0.2 * torch.randn(shape)
        for layer in (2, 3)
        for part, shape in (("A", (8, 192)), ("B", (96, 8)))
    }
    adapter = write(directory / "adapter", tensors, r=8, lora_alpha=8, target_modules=["down_proj"])
    lora = ("--enable-lora", "--max-lora-rank", "8", "--lora-modules", f"adapted={adapter}")
    with (
        vllm_server(checkpoint, directory / "plain.log") as plain,
        vllm_server(checkpoint, directory / "adapting.log", *lora) as adapting,
    ):
        yield Place(adapter, plain, adapting)


def opened(server: VllmServer, name: str, **arguments: object) -> LanguageModel:
    """The model of that name, whose files the server names."""
    arguments["base_url"] = server.address
    return open_model(ModelOptions(f"served:{name}", model_args=arguments))


def check_same(there: LanguageModel, here: LanguageModel) -> torch.Tensor:
    """Log-probabilities and greedy texts of both are the same; (candidate,) nats."""
    source = FixturePrompts(load_stimuli(), Selection(limit=1))
    parts = [source.slices(name)[0] for name in ("implicit", "explicit")]
    prompts = [prompt for part in parts for prompt in list(source.prompts(part))[:8]]
    asked = [ScoreRequest(prompt.text, prompt.candidates) for prompt in prompts]
    scores, others = (torch.tensor([*chain(*model.score(asked))]) for model in (there, here))
    apart = float((scores - others).abs().max())
    requests = [_request(prompt) for prompt in prompts]
    texts = list(zip(there.generate(requests), here.generate(requests), strict=True))
    print(there.server)  # type: ignore[attr-defined]
    print(f"{len(scores)} candidates of {len(prompts)} prompts, at most {apart:.1e} nats apart")
    assert apart <= ENGINES
    for one, other in texts:
        assert (one.text, one.tokens, one.complete) == (other.text, other.tokens, other.complete)
        assert one.margin == pytest.approx(other.margin, abs=2 * ENGINES)
    return scores


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


def check_verdicts(there: SuiteRun, here: SuiteRun) -> None:
    """Both runs end alike, by the same gates and the same values."""
    assert there.code == here.code, there.out + there.err + here.out
    assert there.gates.keys() == here.gates.keys()
    apart = 0.0
    for gate, found in here.gates.items():
        other = there.gates[gate]
        assert other["verdict"] == found["verdict"], gate
        assert other["value"] == pytest.approx(found["value"], abs=ENGINES), gate
        apart = max(apart, abs(other["value"] - found["value"]))
    print(f"{len(here.gates)} verdicts the same, values at most {apart:.1e} apart")


def test_vllm_answers_as_the_model_in_this_process_does(place: Place, checkpoint: Path) -> None:
    """Its echo is proven; the files that it names are the identity."""
    there, here = opened(place.plain, "m"), open_model(ModelOptions(str(checkpoint)))
    assert there.server.kind.startswith("vllm ")  # type: ignore[attr-defined]
    assert there.server.scores == "echo"  # type: ignore[attr-defined]
    assert there.identity.weights == here.identity.weights
    check_same(there, here)


def test_vllm_run_has_the_verdicts_of_one_in_this_process(
    place: Place, checkpoint: Path, tmp_path: Path
) -> None:
    """Eight requests at once, as by default."""
    address = f"base_url={place.plain.address}"
    there = judge(tmp_path / "there", "served:m", "--model-args", address)
    check_verdicts(there, judge(tmp_path / "here", str(checkpoint)))
    assert there.code == 10


def test_adapter_that_vllm_serves_answers_as_the_merged_one(place: Place, checkpoint: Path) -> None:
    """Under a name of its own, and with an identity of its own; the base stays as it is."""
    base, adapted = (opened(place.adapting, n, concurrency=ALONE) for n in ("m", "adapted"))
    here = open_model(ModelOptions(str(checkpoint)))
    assert base.identity.weights == here.identity.weights
    assert adapted.identity.weights != here.identity.weights
    assert not adapted.identity.weights.startswith("unknown:")
    merged = open_model(ModelOptions(str(checkpoint), adapter=Scaled(place.adapter)))
    changed = check_same(adapted, merged) - check_same(base, here)
    assert float(changed.abs().max()) > 10 * ENGINES


def test_adapter_is_judged_against_its_base_on_one_vllm_server(
    place: Place, checkpoint: Path, tmp_path: Path
) -> None:
    """Candidate and reference are two names of one server."""
    address = f"base_url={place.adapting.address},concurrency={ALONE}"
    there = judge(
        tmp_path / "there", "served:adapted", "--model-args", address, "--reference", "served:m"
    )
    adapter = ("--adapter", str(place.adapter), "--reference", str(checkpoint))
    here = judge(tmp_path / "here", str(checkpoint), *adapter)
    assert there.report["comparisons"]["reference"]["name"] == "served:m"
    check_verdicts(there, here)


def test_vllm_with_two_replicas_answers_as_one_process_does(
    checkpoint: Path, tmp_path: Path
) -> None:
    """Behind one address, each request by either of them."""
    replicas = ("--data-parallel-size", "2")
    with vllm_server(checkpoint, tmp_path / "replicas.log", *replicas) as server:
        there = opened(server, "m")
        assert there.server.scores == "echo"  # type: ignore[attr-defined]
        check_same(there, open_model(ModelOptions(str(checkpoint))))
        address = f"base_url={server.address}"
        run = judge(tmp_path / "there", "served:m", "--model-args", address)
        check_verdicts(run, judge(tmp_path / "here", str(checkpoint)))
        assert there.server.requests == 10  # type: ignore[attr-defined]
        with urllib.request.urlopen(server.address.removesuffix("v1") + "metrics") as reply:
            counted = re.findall(
                r'^vllm:prompt_tokens_total\{.*?engine="(\d)".*?\} (\S+)$',
                reply.read().decode(),
                re.MULTILINE,
            )
        print(f"tokens of prompts by replica: {counted}")
        assert {number for number, tokens in counted if float(tokens) > 0} == {"0", "1"}
