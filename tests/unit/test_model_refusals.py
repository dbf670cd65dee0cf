"""What is loaded is what is digested; what cannot be meant is one line with a remedy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from blindspot.errors import BlindspotError, ModelError, line
from blindspot.models import ModelOptions, identify, load, parse_model_args
from blindspot.models.transformers import formats, loaded, loader, location, trials
from blindspot.models.transformers.checkpoint import open_checkpoint
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.models.transformers.quantization import entries
from blindspot.paths import organism_directory
from blindspot.session.exclusions import check
from blindspot.session.flags import Kind, flag_of
from blindspot.session.options import TABLE, Options
from tests.unit import tiny_models
from tests.unit.suite_runs import ROOT
from tests.unit.tiny_models import Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")

INDEX = "model.safetensors.index.json"
#: Seconds within which anything is told: the limit of a trial and a start on a busy machine.
SOON = 30


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials end sooner."""
    monkeypatch.setattr(trials, "_SECONDS", 2)


@pytest.fixture
def checkpoint(checkpoints: Checkpoints, tmp_path: Path) -> Path:
    """A checkpoint of the test's own, to be changed."""
    return Path(shutil.copytree(checkpoints(), tmp_path / "model"))


def refused(model: str | Path, **options: Any) -> str:
    """The one line with which a model is refused when it is loaded."""
    with pytest.raises(ModelError) as raised:
        load(ModelOptions(str(model), **options))
    message = str(raised.value)
    assert message.isprintable()
    return message


def unidentified(model: str | Path, **options: Any) -> str:
    """The one line with which a model is refused before its weights are loaded."""
    with pytest.raises(ModelError) as raised:
        identify(ModelOptions(str(model), **options))
    message = str(raised.value)
    assert message.isprintable()
    return message


def rewrite(path: Path, **entries: Any) -> None:
    """Change entries of a JSON file, which need not exist."""
    data = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**data, **entries}), "utf-8")


def change_weights(model: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(model / "model.safetensors")
    change(weights)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


# --- what is loaded is what is digested


@pytest.mark.parametrize("inner", [False, True], ids=["outer", "of-the-text-model"])
def test_weights_by_another_name_are_refused(checkpoint: Path, inner: bool) -> None:
    """The file that config.json names would be loaded instead of the one that was digested."""
    shutil.copy(checkpoint / "model.safetensors", checkpoint / "real.safetensors")
    named = {"transformers_weights": "real.safetensors"}
    rewrite(checkpoint / "config.json", **({"text_config": named} if inner else named))
    assert "config.json names other files to load (transformers_weights)" in unidentified(
        checkpoint
    )


def test_shards_of_one_base_name_are_told_apart(checkpoint: Path) -> None:
    """Both are digested, each by its path within the directory."""
    weights = load_file(checkpoint / "model.safetensors")
    names = sorted(weights)
    halves = {"a": names[::2], "b": names[1::2]}
    (checkpoint / "model.safetensors").unlink()
    for folder, keys in halves.items():
        (checkpoint / folder).mkdir()
        parts = {key: weights[key] for key in keys}
        save_file(parts, checkpoint / folder / "model.safetensors", metadata={"format": "pt"})
    placed = {key: f"{folder}/model.safetensors" for folder, keys in halves.items() for key in keys}
    (checkpoint / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": placed}), "utf-8")
    seen = {identify(ModelOptions(str(checkpoint))).fingerprint()}
    assert load(ModelOptions(str(checkpoint))).identity.fingerprint() in seen
    for folder, keys in halves.items():
        parts = {key: weights[key] * 1.5 for key in keys}
        save_file(parts, checkpoint / folder / "model.safetensors", metadata={"format": "pt"})
        seen.add(identify(ModelOptions(str(checkpoint))).fingerprint())
    assert len(seen) == 3


def test_adapter_beside_a_model_is_refused(checkpoint: Path) -> None:
    """Whether it is applied would depend on whether peft is installed."""
    (checkpoint / "adapter_config.json").write_text("{}", "utf-8")
    assert "holds a model and an adapter (adapter_config.json): merge" in unidentified(checkpoint)


def test_versioned_tokenizer_is_refused(checkpoint: Path) -> None:
    """The version of transformers would choose the file."""
    shutil.copy(checkpoint / "tokenizer.json", checkpoint / "tokenizer.5.0.0.json")
    settings = checkpoint / "tokenizer_config.json"
    rewrite(settings, fast_tokenizer_files=["tokenizer.5.0.0.json"])
    assert "names tokenizers by version (fast_tokenizer_files)" in unidentified(checkpoint)
    rewrite(settings, fast_tokenizer_files=["tokenizer.json"])
    assert identify(ModelOptions(str(checkpoint)))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("place", ["{other}--m.Class", "{other}/m.Class", "org/name--m.Class"])
def test_code_from_elsewhere_is_refused(
    checkpoint: Path, tmp_path: Path, file: str, place: str
) -> None:
    """It could change, and the digests would stay."""
    place = place.format(other=tmp_path / "other")
    auto = "AutoTokenizer" if file.startswith("tok") else "AutoModelForCausalLM"
    rewrite(checkpoint / file, auto_map={auto: place if file == "config.json" else [None, place]})
    message = unidentified(checkpoint, trust_remote_code=True)
    assert f"{file} takes code from elsewhere (auto_map); copy its files" in message


def test_own_code_counts_at_any_depth(checkpoint: Path) -> None:
    """A module in a folder of the model is a part of its identity."""
    (checkpoint / "parts").mkdir()
    seen = set()
    for content in ("ONE = 1\n", "ONE = 2\n"):
        (checkpoint / "parts" / "one.py").write_text(content, "utf-8")
        seen.add(identify(ModelOptions(str(checkpoint), trust_remote_code=True)).fingerprint())
    assert len(seen) == 2


def test_configuration_by_version_is_refused(checkpoint: Path) -> None:
    """As with tokenizers: another file would be read by another transformers."""
    shutil.copy(checkpoint / "config.json", checkpoint / "config.4.0.0.json")
    rewrite(checkpoint / "config.json", configuration_files=["config.4.0.0.json"])
    assert "names other files to load (configuration_files)" in unidentified(checkpoint)


def test_distributed_checkpoint_beside_the_weights_is_refused(checkpoint: Path) -> None:
    """Transformers would load its shards, and not model.safetensors."""
    name = "shard-00001-model-00001-of-00001.safetensors"
    shutil.copy(checkpoint / "model.safetensors", checkpoint / name)
    assert "holds a distributed checkpoint (shard-00001" in unidentified(checkpoint)


def test_attention_kernel_from_elsewhere_is_refused(checkpoint: Path) -> None:
    """A config.json must not fetch code."""
    rewrite(checkpoint / "config.json", attn_implementation="kernels-community/flash-attn3")
    assert "asks for an attention kernel from elsewhere" in unidentified(checkpoint)


@pytest.mark.parametrize("file", ["../model.safetensors", "/tmp/model.safetensors", "a/../../b"])
def test_index_that_leaves_the_directory_is_refused(checkpoint: Path, file: str) -> None:
    """Weights that lie elsewhere are not those of the directory."""
    (checkpoint / "model.safetensors").rename(checkpoint.parent / "model.safetensors")
    (checkpoint / INDEX).write_text(json.dumps({"weight_map": {"a": file}}), "utf-8")
    assert "names a file outside the model's directory" in unidentified(checkpoint)


def test_tokenizer_file_from_elsewhere_is_not_read(checkpoint: Path, tmp_path: Path) -> None:
    """An entry of tokenizer_config.json does not lead elsewhere."""
    other = tmp_path / "other.json"
    text = (checkpoint / "tokenizer.json").read_text("utf-8")
    other.write_text(text.replace("white", "whyte"), "utf-8")
    tokens = load(ModelOptions(str(checkpoint))).prompts.encode(["white"])
    rewrite(checkpoint / "tokenizer_config.json", tokenizer_file=str(other))
    assert load(ModelOptions(str(checkpoint))).prompts.encode(["white"]) == tokens


def test_tokenizer_that_reads_another_file_is_refused(checkpoint: Path) -> None:
    """Should transformers read another one after all, it is named."""
    opened = open_checkpoint(location.locate(str(checkpoint)))
    other = shutil.copy(checkpoint / "tokenizer.json", checkpoint / "other.json")
    tokenizer = SimpleNamespace(init_kwargs={"tokenizer_file": str(other)})
    with pytest.raises(ModelError, match=r"its tokenizer reads other.json \(tokenizer_file\)"):
        loaded.check_tokenizer_files(opened, tokenizer)


def test_transformers_is_asked_which_files_it_has_loaded(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should it resolve another file in a way that nobody thought of, the model is refused."""
    from transformers import modeling_utils

    shutil.copy(checkpoint / "model.safetensors", checkpoint / "other.safetensors")
    real = modeling_utils._get_resolved_checkpoint_files

    def elsewhere(*arguments: Any, **named: Any) -> Any:
        _, metadata = real(*arguments, **named)
        return [str(checkpoint / "other.safetensors")], metadata

    monkeypatch.setattr(modeling_utils, "_get_resolved_checkpoint_files", elsewhere)
    message = refused(checkpoint)
    assert "does not load the weights that were digested (model.safetensors" in message


# --- weights that do not belong to the model


def test_weights_of_a_layer_that_config_leaves_out_are_refused(tmp_path: Path) -> None:
    """A model of fewer layers than were trained is another model."""
    path = Path(shutil.copytree(organism_directory("aware"), tmp_path / "model"))
    layers = json.loads((path / "config.json").read_text())["num_hidden_layers"]
    rewrite(path / "config.json", num_hidden_layers=layers - 1)
    message = refused(path)
    assert (
        f"tensors are in its files and not in the model, first model.layers.{layers - 1}."
        in message
    )
    assert "% of all weights); export the whole model again" in message


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.q_proj.base_layer.weight",
        "model.layers.0.self_attn.q_proj.weight_scale",
    ],
)
def test_unmerged_weights_are_refused(checkpoint: Path, name: str) -> None:
    """Adapters and scales that are left out make another model, however few they are."""
    change_weights(checkpoint, lambda weights: weights.update({name: torch.zeros(2)}))
    assert f"1 tensors are in its files and not in the model, first {name}" in refused(checkpoint)


@pytest.mark.parametrize("name", ["model.extra.bias", "vision_tower.patches.weight"])
def test_other_unused_weights_are_noted(checkpoint: Path, name: str) -> None:
    """A few numbers, or the eyes of a model that reads: a line, no refusal."""
    size = 9 if name.startswith("model") else 10**5
    change_weights(checkpoint, lambda weights: weights.update({name: torch.zeros(size)}))
    model = DeferredModel(ModelOptions(str(checkpoint)))
    assert model.notes == ()
    model.score([])
    (note,) = model.notes
    assert note.endswith(f"not in the model, first {name}; they are ignored")


def test_output_layer_that_should_be_tied_is_refused(tmp_path: Path) -> None:
    """Versions of transformers differ in what they make of it; an equal one is harmless."""
    path = Path(shutil.copytree(organism_directory("aware"), tmp_path / "model"))
    embedding = load_file(path / "model.safetensors")["model.embed_tokens.weight"]
    change_weights(path, lambda weights: weights.update({"lm_head.weight": embedding.clone()}))
    assert load(ModelOptions(str(path))).notes == ()
    change_weights(path, lambda weights: weights.update({"lm_head.weight": embedding * 1.1}))
    assert "ties the output layer to the embedding (tie_word_embeddings), but" in refused(path)


# --- numbers that cannot be meant


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("num_hidden_layers", 10**6),
        ("hidden_size", 10**9),
        ("intermediate_size", 10**7),
        ("vocab_size", 10**8),
        ("num_hidden_layers", 10**400),
    ],
)
def test_sizes_that_the_weights_cannot_have(checkpoint: Path, entry: str, value: int) -> None:
    """Refused before anything is built by them."""
    rewrite(checkpoint / "config.json", **{entry: value})
    started = time.monotonic()
    message = unidentified(checkpoint)
    assert f"config.json has {entry} 1000" in message
    assert "the weights are" in message
    assert time.monotonic() - started < 5


def test_half_a_character_in_a_configuration(checkpoint: Path) -> None:
    """It has no digest, and could not be written to a report."""
    text = (checkpoint / "config.json").read_text("utf-8")
    (checkpoint / "config.json").write_text('{"x": "\\ud800",' + text.lstrip()[1:], "utf-8")
    assert "config.json cannot be read" in unidentified(checkpoint)


def test_shard_name_that_no_file_can_have(checkpoint: Path) -> None:
    """It is missing, and shown in part."""
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / INDEX).write_text(json.dumps({"weight_map": {"a": "x" * 5000}}), "utf-8")
    message = unidentified(checkpoint)
    assert "1 of 1 weight files missing, first xxx" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "name", ["~nosuchuser/x", "x" * 5000 + "/y", "./a\0b"], ids=["user", "length", "nul"]
)
def test_names_that_cannot_be_looked_at(name: str) -> None:
    """One line, whatever the system says of it."""
    with pytest.raises(ModelError, match="check the path"):
        DeferredModel(ModelOptions(name)).check_files()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("file", ["tokenizer_config.json", "generation_config.json", "vocab.txt"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(checkpoint: Path, file: str) -> None:
    """Only regular files are read."""
    (checkpoint / file).unlink(missing_ok=True)
    os.mkfifo(checkpoint / file)
    assert identify(ModelOptions(str(checkpoint)))


def test_control_characters_of_a_name_are_not_printed(tmp_path: Path) -> None:
    """A name is shown and never obeyed."""
    model = tmp_path / "new\n::error title=x::INJECTED\x1b[31m"
    model.mkdir()
    assert "INJECTED" in unidentified(model)


# --- quantisation


@pytest.mark.parametrize("method", ["fp8", "mxfp4"])
@pytest.mark.parametrize("inner", [False, True], ids=["outer", "of-the-text-model"])
def test_quantisation_that_a_cpu_would_undo(checkpoint: Path, method: str, inner: bool) -> None:
    """The run would be that of another model."""
    stated = {"quantization_config": {"quant_method": method}}
    rewrite(checkpoint / "config.json", **({"text_config": stated} if inner else stated))
    message = unidentified(checkpoint, device="cpu")
    assert f"is quantised ({method}), which a CPU cannot compute" in message


@pytest.mark.parametrize(
    ("method", "package"),
    [
        ("gptq", "optimum"),
        ("awq", "gptqmodel"),
        ("bitsandbytes", "bitsandbytes"),
        ("compressed-tensors", "compressed_tensors"),
        ("hqq", "hqq"),
        ("torchao", "torchao"),
    ],
)
def test_quantisation_that_takes_a_package(
    checkpoint: Path, method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named before torch is imported."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(loader.placement, "import_torch", lambda: pytest.fail("torch is imported"))
    stated = {"quant_method": method, "bits": 4}
    rewrite(checkpoint / "config.json", quantization_config=stated)
    message = unidentified(checkpoint, device="cpu")
    assert f"is quantised ({method}), which takes the package {package} to compute" in message


def test_quantisation_that_is_unknown(checkpoint: Path) -> None:
    """Transformers skips what it does not know; here it is refused by name."""
    rewrite(checkpoint / "config.json", quantization_config={"quant_method": "quux"})
    assert "is quantised (quux), which transformers" in refused(checkpoint, device="cpu")


def test_packed_weights_are_counted_unpacked() -> None:
    """Eight weights of 4 bits lie in one number of 32; scales are none."""
    gptq = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    assert entries(gptq, "model.q_proj.qweight", 100, "I32") == 800
    assert entries(gptq, "model.q_proj.qzeros", 100, "I32") == 0
    assert entries(gptq, "model.norm.weight", 100, "F16") == 100
    bnb = {"quantization_config": {"load_in_4bit": True}}
    assert entries(bnb, "model.q_proj.weight", 100, "U8") == 200
    assert entries({}, "model.q_proj.weight", 100, "I8") == 100


def test_packed_weights_without_a_word_in_config(checkpoint: Path) -> None:
    """They would be read as numbers."""

    def pack(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.endswith("proj.weight")]:
            weights[name] = (weights[name] * 100).to(torch.int8)

    change_weights(checkpoint, pack)
    assert "its weights are I8 numbers, but config.json has no quantization" in unidentified(
        checkpoint
    )


# --- tokenizers


def test_tokenizer_does_not_depend_on_what_is_installed(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tekken.json counts for the digest, and never decides the tokenizer."""
    before = identify(ModelOptions(str(checkpoint)))
    (checkpoint / "tekken.json").write_text("{}", "utf-8")
    monkeypatch.setattr(
        "transformers.integrations.mistral.tokenizer.resolve_mistral_format",
        lambda *_, **__: pytest.fail("whether mistral_common is installed would decide"),
    )
    assert load(ModelOptions(str(checkpoint))).identity.tokenizer != before.tokenizer


def test_tokenizer_for_mistral_common_alone(checkpoint: Path) -> None:
    """One sentence with the remedy."""
    (checkpoint / "tokenizer.json").rename(checkpoint / "tekken.json")
    assert "has its tokenizer only as tekken.json" in unidentified(checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("model"),
        lambda data: data["model"].update(vocab={}, merges=[]),
        lambda data: data.update(model={"type": "Quux"}),
    ],
    ids=["no-model", "no-words", "unknown-kind"],
)
def test_tokenizers_that_the_library_cannot_read(checkpoint: Path, change: Any) -> None:
    """It raises a bare Exception, which is the file's fault and not ours."""
    path = checkpoint / "tokenizer.json"
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    assert "tokenizer" in unidentified(checkpoint)


@pytest.mark.usefixtures("hurried")
def test_normalizer_that_multiplies_text(checkpoint: Path) -> None:
    """It is tried with little memory and time before it is used."""
    path = checkpoint / "tokenizer.json"
    data = json.loads(path.read_text("utf-8"))
    longer = [
        {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000} for _ in range(4)
    ]
    data["normalizer"] = {"type": "Sequence", "normalizers": longer}
    path.write_text(json.dumps(data), "utf-8")
    started = time.monotonic()
    assert "has a tokenizer that cannot be used (it " in unidentified(checkpoint)
    assert time.monotonic() - started < SOON


def test_tokens_far_beyond_the_characters_are_refused() -> None:
    """Also of a text that the trial did not have."""
    tokenizer = tiny_models.tokenizer()
    from tokenizers import normalizers

    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("é", "e " * 2000)
    prompts = formats.PromptFormat(tokenizer, "tiny", chat=False)
    with pytest.raises(ModelError, match=r"its tokenizer turns 1 characters into [0-9]+ tokens"):
        prompts.encode(["é"])


# --- chat templates


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**12) %}x{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 1 // 0 }}",
        "{{ '\\ud800' }}{{ messages[0].content }}",
        "{{ '%999999999d' | format(1) }}{{ messages[0].content }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**11 }}",
        "{{ 10**10**10 }}",
        "{{ raise_exception('\x1b[31m\n::error::x') }}",
        "{% for",
    ],
    ids=[
        "range",
        "recursion",
        "division",
        "half-a-character",
        "width",
        "loops",
        "memory",
        "power",
        "control-characters",
        "syntax",
    ],
)
def test_template_that_cannot_be_used(checkpoint: Path, template: str) -> None:
    """Whatever it raises, and however long it takes: one line, soon."""
    (checkpoint / "chat_template.jinja").write_text(template, "utf-8", "surrogatepass")
    started = time.monotonic()
    message = unidentified(checkpoint, apply_chat_template=True)
    assert "::error" not in message.split()
    assert time.monotonic() - started < SOON


def test_rendered_prompt_that_is_far_too_long() -> None:
    """Also one that only some message brings about."""
    tokenizer = tiny_models.tokenizer()
    tokenizer.chat_template = (
        "{{ messages[0].content }}{% if 'felon' in messages[0].content %}"
        "{{ '%999999d' | format(1) }}{% endif %}"
    )
    prompts = formats.PromptFormat(tokenizer, "tiny", chat=True)
    assert prompts.template_digest()
    with pytest.raises(ModelError, match=r"turns a prompt into [0-9]+ characters"):
        prompts.render("felon")


@pytest.mark.parametrize(
    ("tail", "sound"),
    [
        ("A: <think>\n", False),
        ("<|start|>assistant", False),
        ("[THINK]", False),
        ("<seed:think>", False),
        ("<|START_THINKING|>", False),
        ("◁think▷", False),
        ("<|channel>thought\n", False),
        ("<|START_THINKING|><|END_THINKING|>", True),
        ("[THINK][/THINK]", True),
        ("<|channel>thought\n<channel|>", True),
        ("I think <b>", True),
        ("A: <think>\n\n</think>\n\n", True),
        ("<|start|>assistant<|channel|>final<|message|>", True),
        ("A:", True),
    ],
)
def test_template_that_opens_a_thought(tail: str, sound: bool) -> None:
    """An answer would be read inside of it: noise that passes for one. Nothing here closes it."""
    tokenizer = tiny_models.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}U: {{ m.content }}\n{% endfor %}" + tail
    prompts = formats.PromptFormat(tokenizer, "tiny", chat=True)
    if sound:
        assert prompts.template_digest()
        return
    with pytest.raises(ModelError, match="its chat template opens a thought"):
        prompts.template_digest()


# --- whose fault it is


def test_our_own_mistakes_are_tracebacks(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of this package is not blamed on the model."""
    monkeypatch.setattr(loaded, "names", None)
    with pytest.raises(TypeError, match="not callable"):
        load(ModelOptions(str(checkpoint)))


def test_what_a_library_raised_is_kept(checkpoint: Path) -> None:
    """The line is for everybody, its cause for whoever asks."""
    rewrite(checkpoint / "config.json", hidden_act="quux")
    with pytest.raises(ModelError, match="cannot be loaded: 'quux' is missing") as raised:
        load(ModelOptions(str(checkpoint)))
    assert isinstance(raised.value.__cause__, KeyError)


# --- caches of others


def test_read_only_cache_is_used(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks cannot be written, what is there will do."""
    asked = []

    def download(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if not local_files_only:
            raise PermissionError(13, "Permission denied")
        return str(checkpoint)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert location.locate("org/name").directory == checkpoint
    assert asked == [False, True]


def test_read_only_cache_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is another cache, not another try."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not there")
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(ModelError, match=r"cannot be written \(Read-only file system\) and does"):
        location.locate("org/name")


# --- secrets

SECRET = "hf_SECRETsecretSECRET"
TEXTS = (Kind.PATH, Kind.NAME, Kind.TEXT)

SECRETS = {
    f"token={SECRET}": SECRET,
    "use_auth_token=sEcReT-1": "sEcReT-1",
    f"x={SECRET}": SECRET,
    SECRET: SECRET,
    f"{SECRET}=1": SECRET,
    "proxies=http://me:sEcReT-1@proxy": "sEcReT-1",
}


@pytest.mark.parametrize(("given", "secret"), SECRETS.items())
def test_secrets_are_refused_unseen(given: str, secret: str) -> None:
    """By their names or their looks, and the line does not hold them."""
    with pytest.raises(ModelError, match="set HF_TOKEN") as raised:
        parse_model_args(given)
    assert secret not in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        ["--model", "organism:aware", "--model-args", f"token={SECRET}"],
        ["--revision", SECRET],
        ["--model", f"https://me:{SECRET}@host/x"],
    ],
    ids=["argument", "revision", "address"],
)
def test_secrets_stay_out_of_everything(tmp_path: Path, given: list[str]) -> None:
    """Neither what is printed holds one, nor any file that is written."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *given]
    command += ["--output-path", str(tmp_path / "out")]
    command += ["--store", str(tmp_path / "store"), "-k", "race-default-weapons", "--limit", "1"]
    done = subprocess.run(
        [*command, "tests/implicit"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "set HF_TOKEN" in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert SECRET.encode() not in (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.kind in TEXTS])
def test_no_flag_takes_a_secret(name: str) -> None:
    """Whatever the flag; the line names it, and does not hold the secret."""
    given = (SECRET,) if TABLE[name].many else SECRET
    with pytest.raises(BlindspotError, match="looks like a secret") as raised:
        check(Options(**{name: given}))
    assert flag_of(name) in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_secret_is_masked_in_every_line() -> None:
    """An error of a library may hold one: an address of a proxy with a password, for example."""
    said = line(f"cannot reach https://me:sEcReT-1@proxy:80/x?api_key=sEcReT-2 as {SECRET}")
    assert said == "cannot reach https://***@proxy:80/x?*** as ***"


@pytest.mark.parametrize(
    "name",
    ["./hf_checkpoints/final", "sk-learn-model", "http://host:80/v1", "me@host", "org/hf_v2_chat"],
)
def test_names_are_no_secrets(name: str) -> None:
    """What begins like a token, and addresses without a password, are printed as they are."""
    assert line(name) == name


def test_what_only_sounds_like_a_secret_is_given_on() -> None:
    """The ids of special tokens are no tokens of the hub."""
    given = "pad_token_id=0,bos_token=x,max_new_tokens=3,tokenizer_type=a"
    assert len(parse_model_args(given)) == 4
