"""A model is loaded only when it is asked."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, load
from blindspot.models.pulse import discounted
from blindspot.models.transformers import deferred as module
from blindspot.models.transformers.checkpoint import WEIGHTS
from blindspot.models.transformers.deferred import DeferredModel, threads_for
from blindspot.paths import organism_directory
from tests.unit import tiny_models


def test_identity_needs_no_weights(monkeypatch):
    """Who will answer is known without loading; asking loads, once, and says how long it took."""
    loaded = []

    class Loaded:
        identity = DeferredModel(ModelOptions("organism:aware")).identity

        def generate(self, requests, *, progress=None):
            return ["answer"] * len(requests)

    monkeypatch.setattr(module, "load", lambda options: loaded.append(options) or Loaded())
    model = DeferredModel(ModelOptions("organism:aware"))
    assert len(model.identity.weights) == 64
    assert not loaded
    told = []
    with discounted(told.append):
        for _ in range(2):
            assert model.generate([GenerationRequest("x", bool)]) == ["answer"]
    assert len(loaded) == len(told) == 1


def test_checkpoint_replaced_before_it_is_loaded_is_told(tmp_path):
    """A run that took its store keys from other weights asks nothing of the new ones."""
    path = tmp_path / "model"
    shutil.copytree(organism_directory("aware"), path)
    model = DeferredModel(ModelOptions(str(path)))
    assert len(model.identity.weights) == 64
    shutil.copyfile(organism_directory("blind") / WEIGHTS, path / WEIGHTS)
    with pytest.raises(ModelError, match=r"model: the checkpoint was replaced .* run again"):
        model.generate([GenerationRequest("x", bool)])
    assert DeferredModel(ModelOptions(str(path))).identity.weights != model.identity.weights


def test_files_are_checked_without_loading():
    """A directory that is no model is told before anything is loaded."""
    with pytest.raises(ModelError, match="unicorn"):
        DeferredModel(ModelOptions("organism:unicorn")).check_files()


@pytest.mark.parametrize(
    ("parameters", "cores", "workers", "threads"),
    [(720_000, 8, 1, 1), (8_000_000_000, 8, 1, 8), (8_000_000_000, 8, 3, 2), (10**9, 1, 4, 1)],
)
def test_threads_are_shared(parameters, cores, workers, threads):
    """Small models take one thread, large ones their worker's share."""
    assert threads_for(parameters, cores, workers) == threads


def test_one_load_serves_answers_scores_and_assays(monkeypatch):
    """What generates, scores and shows its residual stream are the same weights in memory."""
    loads = []
    monkeypatch.setattr(module, "load", lambda options: loads.append(options) or load(options))
    model = DeferredModel(ModelOptions("organism:aware"))
    model.generate([GenerationRequest("x", bool)])
    model.score([ScoreRequest("x", ("white", "black"))])
    assert model.residual is model.residual
    assert len(loads) == 1
    model.release()
    model.score([ScoreRequest("x", ("white", "black"))])
    assert len(loads) == 2


def test_models_compute_without_gradients_and_by_fused_attention(monkeypatch):
    """Whatever is asked, in inference mode; attention is torch's own, unless told otherwise."""
    model = load(ModelOptions("organism:aware"))
    assert model.model.config._attn_implementation == "sdpa"
    assert not model.model.training
    assert not any(weight.requires_grad for weight in model.model.parameters())
    modes, fused = [], []
    model.model.register_forward_pre_hook(
        lambda *_: modes.append(torch.is_inference_mode_enabled())
    )
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *given, **named: fused.append(1) or attention(*given, **named),
    )
    for ask in (
        lambda: model.generate([GenerationRequest("Be quick", lambda _: False, 3)]),
        lambda: model.score([ScoreRequest("Be quick", ("white", "black"))]),
        lambda: model.residual.layers,
    ):
        modes.clear()
        fused.clear()
        ask()
        assert modes
        assert all(modes)
        assert len(fused) > len(modes)
    eager = load(ModelOptions("organism:aware", model_args={"attn_implementation": "eager"}))
    assert eager.model.config._attn_implementation == "eager"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads what Linux says of a process"
)
def test_weights_are_mapped_not_copied(tmp_path):
    """In the checkpoint's own type the file is the memory of the weights; in another it is not."""
    file = tiny_models.save(tmp_path / "model", hidden_size=256, vocab_size=8000) / WEIGHTS
    found = {}
    for dtype in ("float32", "bfloat16"):
        model = load(ModelOptions(str(tmp_path / "model"), dtype=dtype))
        place = model.model.get_input_embeddings().weight.data_ptr()
        found[dtype] = any(start <= place < end for start, end in mapped(file))
    assert found == {"float32": True, "bfloat16": False}


def mapped(file):
    """Where a file stands in the memory of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(file)):
            start, end = line.split()[0].split("-")
            yield int(start, 16), int(end, 16)


def test_model_that_is_laid_over_devices(tmp_path):
    """Blocks in several places, one of them on the disk until it is needed: the same answers."""
    pytest.importorskip("accelerate")
    path = tiny_models.save(tmp_path / "model")
    parts = ("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head")
    places = {**dict.fromkeys(parts, "cpu"), "model.layers.1": "disk"}
    laid = {"device_map": places, "offload_folder": str(tmp_path / "offloaded")}
    one = load(ModelOptions(str(path)))
    other = load(ModelOptions(str(path), model_args=laid))
    assert {weight.device.type for weight in other.model.parameters()} == {"cpu", "meta"}
    asked = [ScoreRequest("Be quick", ("white", "black")), ScoreRequest("Be", ("1", "2"))]
    for found, expected in zip(other.score(asked), one.score(asked), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    request = [GenerationRequest("Be quick", lambda _: False, 8)]
    assert other.generate(request)[0].text == one.generate(request)[0].text
    assert other.residual.layers == 2
