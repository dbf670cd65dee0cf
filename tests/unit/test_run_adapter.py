"""A run of a base with an adapter or with vectors, and of a candidate that is its reference."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from blindspot.errors import ModelError
from blindspot.models import ModelOptions
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.paths import organism_directory
from blindspot.session.inputs import Inputs
from blindspot.session.options import Options
from tests.unit.suite_runs import run_suite

BLIND = organism_directory("blind")
PART = ("-k", "race-default-weapons and category_association", "--no-noise-floor")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A random adapter of the bundled models."""
    directory = tmp_path / "random"
    directory.mkdir()
    torch.manual_seed(0)
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensors = {key.format("A"): torch.randn(2, 96), key.format("B"): torch.randn(96, 2)}
    save_file(tensors, directory / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


@pytest.mark.slow
def test_a_base_with_changes_is_a_model_of_its_own(tmp_path: Path, adapter: Path) -> None:
    """Its name, weights and commands are not those of the base beside it; nor are its answers."""
    vectors = tmp_path / "v.safetensors"
    torch.manual_seed(0)
    save_file({"layer.0": torch.randn(96)}, vectors)
    flags = ("--adapter", f"{adapter}@0.5", "--steer", str(vectors))
    run = run_suite(
        tmp_path,
        *PART,
        *flags,
        *("--reference", "organism:blind"),
        model="organism:blind",
        paths=("tests/implicit",),
    )
    name = "organism:blind+random@0.5+v.safetensors"
    identity, other = run.report["model"], run.report["comparisons"]["reference"]
    assert identity["id"] == name
    assert other["name"] == "organism:blind"
    assert other["model"]["weights"] != identity["weights_hash"]
    assert name in run.out
    assert " ".join(flags) in run.report["command"]
    assert f"--steer {vectors}" in run.out
    for reading in ("generated", "forced-choice"):
        gate = run.gates[f"implicit/race-default-weapons/stereotype/{reading}"]
        assert gate["against"]["reference"]["value"] > 0.5
        assert gate["value"] != gate["against"]["reference"]["value"]


def test_the_baseline_of_a_base_with_an_adapter_is_its_own(adapter: Path) -> None:
    """The base is never compared with what its adapter was accepted with, nor the other way."""
    options = Options(model="organism:blind", adapter=f"{adapter}@0.5")
    path = Inputs(options, Path("project"), lambda _name: None).own_baseline_path
    assert path.name == "organism--blind-random-0.5.json"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--adapter", "./nowhere"), "no such directory"),
        (("--adapter", "./nowhere@inf"), "inf is no scale"),
        (("--steer", "./nowhere"), "no such file"),
        (("--reference", "organism:blind"), "has the same weights as organism:blind"),
        (("--model", "scripted:fair", "--reference", "scripted:fair"), "has the same weights"),
    ],
)
def test_a_candidate_that_cannot_be_judged_is_a_usage_error(
    tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    """Before anything is asked: one line, exit 4."""
    run = run_suite(tmp_path, *flags, model="organism:blind")
    told = run.out + run.err
    assert run.code == 4, told
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("model", ["scripted:fair", "served:http://localhost:9/v1"])
@pytest.mark.parametrize("flag", ["adapter", "steer"])
def test_a_model_of_another_engine_cannot_be_changed(
    tmp_path: Path, adapter: Path, flag: str, model: str
) -> None:
    """It would be judged unchanged, under the name of a changed one."""
    run = run_suite(tmp_path, f"--{flag}", str(adapter), model=model)
    told = run.out + run.err
    assert run.code == 4
    assert f"--{flag}" in told
    assert model in told
    assert "omit" in told


def test_an_adapter_that_changes_nothing_is_a_usage_error(tmp_path: Path, adapter: Path) -> None:
    """Seen when the weights are merged, before any prompt is asked."""
    run = run_suite(tmp_path, *PART, "--adapter", f"{adapter}@0", model="organism:blind")
    assert run.code == 4
    assert "changes no weight of its base" in run.out + run.err


def _renamed(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    index = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        shard = f"model-{number % 2}.safetensors"
        index[name.replace("model.", "model.language_model.", 1)] = (shard, tensor)
    for shard in {shard for shard, _ in index.values()}:
        part = {name: tensor for name, (of, tensor) in index.items() if of == shard}
        save_file(part, directory / shard)
    (directory / "model.safetensors").unlink()
    weight_map = {name: shard for name, (shard, _) in index.items()}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _nudged(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    last = tensors[max(tensors)]
    last.view(-1)[-1] += 1
    save_file(tensors, directory / "model.safetensors")


@pytest.mark.parametrize(("change", "same"), [(_renamed, True), (_nudged, False)])
def test_equal_weights_are_seen_tensor_by_tensor(
    tmp_path: Path, change: object, same: bool
) -> None:
    """Other files and names are the same model; one number of one tensor makes another."""
    copy = Path(shutil.copytree(BLIND, tmp_path / "copy"))
    assert callable(change)
    change(copy)
    models = (DeferredModel(ModelOptions(str(path))) for path in (copy, BLIND))
    assert next(models).equals(next(models)) is same


def test_another_model_is_not_the_same(tmp_path: Path) -> None:
    """Of the same shapes, and of files that hold no model."""
    one, other = (DeferredModel(ModelOptions(f"organism:{name}")) for name in ("blind", "aware"))
    assert not one.equals(other)
    with pytest.raises(ModelError):
        one.equals(DeferredModel(ModelOptions(str(tmp_path))))
