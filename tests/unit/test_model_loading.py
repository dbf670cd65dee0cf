"""Models are found, checked and identified; what cannot be used is one line with a remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models import (
    GenerationRequest,
    LanguageModel,
    ModelOptions,
    ScoreRequest,
    identify,
    load,
)
from blindspot.models.transformers import placement
from blindspot.models.transformers.digests import files_digest
from tests.unit import tiny_models
from tests.unit.tiny_models import Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def checkpoint(checkpoints: Checkpoints, tmp_path: Path) -> Path:
    """A checkpoint of the test's own, to be broken."""
    return Path(shutil.copytree(checkpoints(), tmp_path / "model"))


def refused(name: str | Path, **options: Any) -> str:
    """The message with which a model is refused: a single line."""
    with pytest.raises(ModelError) as raised:
        load(ModelOptions(str(name), **options))
    message = str(raised.value)
    assert "\n" not in message
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return message


def rewrite(path: Path, **entries: Any) -> None:
    """Change entries of a JSON file; None removes one."""
    data = {**json.loads(path.read_text("utf-8")), **entries}
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}), "utf-8")


def test_a_model_fulfils_the_protocol(checkpoint: Path) -> None:
    """And its identity says what it is."""
    model = load(ModelOptions(str(checkpoint)))
    assert isinstance(model, LanguageModel)
    identity = model.identity
    assert identity.name == str(checkpoint)
    assert identity.dtype == "float32"
    assert identity.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert identity.architecture == "LlamaForCausalLM"
    assert identity.parameters == sum(p.numel() for p in model.model.parameters())
    assert identity.revision == ""
    assert identity.backend.startswith("transformers engine-")
    assert set(identity.versions) == {"torch", "transformers", "tokenizers"}
    assert re.fullmatch("[0-9a-f]{64}", identity.weights)
    assert re.fullmatch("[0-9a-f]{64}", identity.tokenizer)


def test_identity_needs_no_weights(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same without loading them."""
    expected = load(ModelOptions(str(checkpoint))).identity
    monkeypatch.setattr("blindspot.models.transformers.loader._from_pretrained", None)
    assert identify(ModelOptions(str(checkpoint))) == expected


def test_loading_writes_nothing_to_stdout(
    checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor notes and bars to stderr."""
    model = load(ModelOptions(str(checkpoint)))
    model.generate([GenerationRequest("Be quick", lambda _: False, 2)])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_path_may_be_relative_or_begin_at_home(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is written, it is the same model."""
    expected = identify(ModelOptions(str(checkpoint))).fingerprint()
    monkeypatch.chdir(checkpoint.parent)
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    for name in ("model", "./model", "model/", "~/model"):
        assert identify(ModelOptions(name)).fingerprint() == expected


@pytest.mark.parametrize("name", ["./none", "/none/such", "~/none", "a/b/c", "none/", "a b", "..x"])
def test_missing_path(name: str) -> None:
    """What can only be a path is not looked for on the hub."""
    assert refused(name) == f"{name}: no such directory; check the path"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("organims:blind", "did you mean organism:blind?"), ("https://hub/org/name", "a hub id")],
)
def test_a_name_that_is_nearly_right(name: str, remedy: str) -> None:
    """A misspelled bundled model, and the address of a page of the hub."""
    assert remedy in refused(name)


def test_file_instead_of_a_directory(checkpoint: Path) -> None:
    """The file of the weights is not the model."""
    assert "is a file; name the directory" in refused(checkpoint / "model.safetensors")


def test_unknown_organism() -> None:
    """Those that exist are named."""
    message = refused("organism:no-such-one")
    assert message.startswith("organism:no-such-one: no such bundled model; available: ")


def test_revision_of_a_directory(checkpoint: Path) -> None:
    """Only a hub id has revisions."""
    assert "--revision main needs a hub id" in refused(checkpoint, revision="main")


def break_config_missing(model: Path) -> None:
    (model / "config.json").unlink()


def break_config_text(model: Path) -> None:
    (model / "config.json").write_text("{", "utf-8")


def break_config_list(model: Path) -> None:
    (model / "config.json").write_text("[]", "utf-8")


def break_config_value(model: Path) -> None:
    rewrite(model / "config.json", num_attention_heads="many")


def break_config_depth(model: Path) -> None:
    (model / "config.json").write_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "utf-8")


def break_architectures(model: Path) -> None:
    rewrite(model / "config.json", architectures={"LlamaForCausalLM": 1})


def break_activation(model: Path) -> None:
    rewrite(model / "config.json", hidden_act="quux")


def break_empty(model: Path) -> None:
    for path in model.iterdir():
        path.unlink()


def break_adapter(model: Path) -> None:
    (model / "config.json").rename(model / "adapter_config.json")


def break_gguf(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model.gguf")


def break_model_type(model: Path) -> None:
    rewrite(model / "config.json", model_type="quux")


def break_no_model_type(model: Path) -> None:
    rewrite(model / "config.json", model_type=None)


def break_own_code(model: Path) -> None:
    rewrite(model / "config.json", model_type="quux", auto_map={"AutoModelForCausalLM": "a.B"})


def break_encoder_decoder(model: Path) -> None:
    rewrite(
        model / "config.json",
        model_type="t5",
        is_encoder_decoder=True,
        architectures=["T5ForConditionalGeneration"],
    )


def break_encoder(model: Path) -> None:
    rewrite(model / "config.json", model_type="bert", architectures=["BertForMaskedLM"])


def break_not_text(model: Path) -> None:
    rewrite(model / "config.json", model_type="vit", architectures=None)


def break_weights_missing(model: Path) -> None:
    (model / "model.safetensors").unlink()


def break_pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def break_other_name(model: Path) -> None:
    (model / "model.safetensors").rename(model / "consolidated.safetensors")


def break_truncated(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def break_header(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\xff" * 64)


def break_no_bytes(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"")


def break_pointer(model: Path) -> None:
    (model / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\n", "utf-8"
    )


def break_index_text(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model.safetensors.index.json")


def break_index_map(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text("{}", "utf-8")


def break_shard(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    (model / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def break_lost_weight(model: Path) -> None:
    change_weights(model, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))


def break_shape(model: Path) -> None:
    change_weights(
        model,
        lambda weights: weights.update({"model.norm.weight": torch.ones(7)}),
    )


def break_nan(model: Path) -> None:
    change_weights(model, lambda weights: weights["model.norm.weight"].fill_(float("nan")))


def break_tokenizer_missing(model: Path) -> None:
    for path in model.glob("*token*"):
        path.unlink()


def break_tokenizer_text(model: Path) -> None:
    (model / "tokenizer.json").write_text("{", "utf-8")


def break_generation_config(model: Path) -> None:
    (model / "generation_config.json").write_text("nothing", "utf-8")


def change_weights(model: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    change(weights)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


BROKEN = {
    break_config_missing: "has no config.json; name the directory of a transformers model",
    break_config_text: "config.json cannot be read .*; export it again",
    break_config_list: "config.json is not a JSON object",
    break_config_value: (
        "has a config.json that cannot be used: Validation error for field 'num_attention_heads': "
    ),
    break_empty: "is an empty directory",
    break_adapter: "is an adapter; merge it into its base model",
    break_gguf: "model.gguf is not a GGUF file; download it again",
    break_model_type: "has model type 'quux', which transformers .* does not know; upgrade it",
    break_no_model_type: "a config.json without model_type",
    break_own_code: "brings its own code; .* --trust-remote-code",
    break_encoder_decoder: r"is an encoder-decoder \(T5ForConditionalGeneration\)",
    break_encoder: "is a BertForMaskedLM, not a causal language model",
    break_not_text: "is a vit, not a causal model",
    break_weights_missing: "has no weights: no model.safetensors and no",
    break_pickled: r"has only pickled weights \(pytorch_model.bin\).* convert it",
    break_other_name: "has no weights: .*, only consolidated.safetensors",
    break_truncated: "model.safetensors is corrupt or cut short .* again",
    break_header: "model.safetensors is corrupt or cut short",
    break_no_bytes: "model.safetensors is corrupt or cut short",
    break_pointer: "model.safetensors is a Git LFS pointer; run git lfs pull",
    break_index_text: "model.safetensors.index.json cannot be read",
    break_index_map: "model.safetensors.index.json has no weight_map",
    break_shard: "1 of 2 weight files missing, first model-00002-of-00002.safetensors; copy",
    break_config_depth: "config.json cannot be read .*export it again",
    break_architectures: "architectures in config.json are not names; export it again",
    break_activation: "cannot be loaded: 'quux' is missing or not known; check its files",
    break_lost_weight: "missing .*: 1, first model.layers.1.mlp.up_proj.weight",
    break_shape: "wrong shape: 1, first model.norm.weight",
    break_nan: "produces non-finite numbers",
    break_tokenizer_missing: "has no tokenizer .*: copy the tokenizer files",
    break_tokenizer_text: "has a tokenizer that cannot be read",
    break_generation_config: "generation_config.json cannot be read",
}


@pytest.mark.parametrize(
    ("broken", "said"),
    BROKEN.items(),
    ids=[broken.__name__.removeprefix("break_").replace("_", "-") for broken in BROKEN],
)
def test_broken_checkpoint(broken: Callable[[Path], None], said: str, checkpoint: Path) -> None:
    """Each way in which a directory cannot be used is told in one line that names it."""
    broken(checkpoint)
    message = refused(checkpoint)
    assert message.startswith(str(checkpoint))
    assert re.search(said, message), message


def test_tokenizer_of_a_larger_model(checkpoint: Path) -> None:
    """A vocabulary that the model does not have is told when it is loaded."""
    tiny_models.model(vocabulary=200).save_pretrained(checkpoint)
    assert re.search("its tokenizer has 400 tokens, the model 200; use", refused(checkpoint))


def test_token_that_the_model_does_not_have(checkpoint: Path) -> None:
    """An added token without a weight is harmless until it is used."""
    added = tiny_models.tokenizer()
    added.add_tokens(["<|new|>"])
    added.save_pretrained(checkpoint)
    model = load(ModelOptions(str(checkpoint)))
    model.score([ScoreRequest("Be quick", ("white",))])
    with pytest.raises(
        ModelError, match="its tokenizer produces token 400, but the model knows 400 tokens"
    ):
        model.score([ScoreRequest("Be quick <|new|>", ("white",))])
    with pytest.raises(ModelError, match="its tokenizer produces token 400"):
        model.score([ScoreRequest("Be quick", ("white <|new|>",))])


def test_prompt_longer_than_the_context(checkpoint: Path) -> None:
    """It is an error; an answer that would leave the context ends there."""
    model = load(ModelOptions(str(checkpoint)))
    with pytest.raises(ModelError, match=r"a prompt of \d+ tokens does not fit in its context"):
        model.generate([GenerationRequest("white " * 200, lambda _: False)])
    with pytest.raises(ModelError, match="does not fit in its context of 160"):
        model.score([ScoreRequest("white", ("white " * 200,))])
    nearly = "white" + " white" * 150
    length = len(model.prompts.encode([nearly])[0])
    assert 140 < length < 160
    answer = model.generate([GenerationRequest(nearly, lambda _: False)])[0]
    assert answer.tokens <= 160 - length


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "int3"}, "--dtype int3: use auto, float32, bfloat16 or float16"),
        ({"device": "toaster"}, "--device toaster: unknown; use cpu, cuda, cuda:1 or mps"),
        ({"device": "cuda:7"}, "(--device cuda:7: torch .* sees none|cannot be loaded)"),
        ({"batch_size": "0"}, "--batch-size 0"),
        ({"model_args": {"no_such_argument": 1}}, "cannot be loaded: .*no_such_argument"),
        ({"model_args": {"attn_implementation": "x"}}, "cannot be loaded: "),
        ({"model_args": {"dtype": "float16"}}, "--model-args: dtype"),
        ({"device": "cpu", "model_args": {"device_map": "auto"}}, "exclude each other"),
    ],
    ids=["dtype", "device", "no-gpu", "batch", "argument", "attention", "flag", "two-places"],
)
def test_wrong_options(options: dict[str, Any], said: str, checkpoint: Path) -> None:
    """The message names the option."""
    assert re.search(said, refused(checkpoint, **options))


def test_device_map(checkpoint: Path) -> None:
    """Placed by accelerate, the model answers the same."""
    pytest.importorskip("accelerate")
    request = ScoreRequest("Be quick", ("white", "black"))
    placed = load(ModelOptions(str(checkpoint), model_args={"device_map": "auto"}))
    alone = load(ModelOptions(str(checkpoint)))
    assert placed.score([request])[0] == pytest.approx(alone.score([request])[0], abs=1e-4)
    assert placed.identity.device == "auto"
    assert placed.identity.fingerprint() != alone.identity.fingerprint()  # laid out otherwise


def test_own_code_runs_when_it_is_allowed(checkpoint: Path) -> None:
    """With --trust-remote-code a model may bring its classes; changed ones are another model."""
    rewrite(
        checkpoint / "config.json",
        model_type="quux",
        architectures=["QuuxForCausalLM"],
        auto_map={
            "AutoConfig": "quux.QuuxConfig",
            "AutoModelForCausalLM": "quux.QuuxForCausalLM",
        },
    )
    (checkpoint / "quux.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class QuuxConfig(LlamaConfig):\n    model_type = 'quux'\n"
        "class QuuxForCausalLM(LlamaForCausalLM):\n    config_class = QuuxConfig\n",
        "utf-8",
    )
    model = load(ModelOptions(str(checkpoint), trust_remote_code=True))
    assert model.identity.architecture == "QuuxForCausalLM"
    assert len(model.score([ScoreRequest("Be quick", ("white", "black"))])[0]) == 2
    before = fingerprint(checkpoint, trust_remote_code=True)
    with (checkpoint / "quux.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert fingerprint(checkpoint, trust_remote_code=True) != before


def cached(checkpoint: Path, root: Path, commit: str) -> None:
    """Lay a checkpoint down as the hub's cache does."""
    storage = root / "models--org--name"
    (storage / "refs").mkdir(parents=True)
    (storage / "refs" / "main").write_text(commit, "utf-8")
    shutil.copytree(checkpoint, storage / "snapshots" / commit)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, and a hub cache of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_hub_model_from_the_cache(checkpoint: Path, offline: Path) -> None:
    """Without a network a model that was fetched before is found, with its commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached(checkpoint, offline, commit)
    model = load(ModelOptions("org/name"))
    local = identify(ModelOptions(str(checkpoint)))
    assert model.identity.name == "org/name"
    assert model.identity.revision == commit
    assert model.identity.fingerprint() == local.fingerprint()
    assert identify(ModelOptions("org/name", revision=commit)) == model.identity


def test_hub_model_without_network(offline: Path) -> None:
    """A model that is not in the cache is told with both ways out."""
    message = refused("org/never-seen")
    assert message.startswith("org/never-seen: no such directory here, not in the hub cache")
    assert refused("org/never-seen", revision="v1").startswith("org/never-seen@v1: ")


def hub_error(kind: str) -> Exception:
    from huggingface_hub import errors

    response = SimpleNamespace(headers={}, request=None, status_code=403)
    made = getattr(errors, kind)
    try:
        error: Exception = made("first line\nsecond line", response=response)
    except TypeError:
        error = made("first line\nsecond line")
    return error


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "GatedRepoError",
            "org/name is gated: accept its terms on its page of the hub",
        ),
        ("RepositoryNotFoundError", "neither a directory here nor a public model on the hub"),
        ("RevisionNotFoundError", "org/name has no revision None; check --revision"),
        ("LocalEntryNotFoundError", "the hub cannot be reached"),
        ("OfflineModeIsEnabled", "the hub cannot be reached"),
        ("HFValidationError", "nor a valid hub id"),
        ("HfHubHTTPError", r"fetching it from the hub failed \(first line\); try again"),
    ],
)
def test_hub_refuses(kind: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the hub answers is one line."""

    def fail(*_: Any, **__: Any) -> None:
        raise hub_error(kind)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    assert re.search(said, refused("org/name"))


def test_pickles_are_never_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only safetensors, configuration and tokenizer files are asked for; code if it may run."""
    from huggingface_hub.utils import filter_repo_objects

    from blindspot.models.transformers.location import locate

    files = ["config.json", "model.safetensors", "model-00001-of-00002.safetensors"]
    files += [
        "model.safetensors.index.json",
        "tokenizer.model",
        "chat_template.jinja",
        "merges.txt",
    ]
    unwanted = ["pytorch_model.bin", "consolidated.safetensors", "original/params.json"]
    unwanted += ["onnx/model.onnx", "training_args.bin", "model.gguf", "README.md"]
    asked: list[list[str]] = []

    def download(name: str, **how: Any) -> str:
        patterns = {key: how[key] for key in ("allow_patterns", "ignore_patterns")}
        asked.append(list(filter_repo_objects([*files, *unwanted, "code.py"], **patterns)))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    locate("org/name")
    locate("org/name", code=True)
    assert asked == [files, [*files, "code.py"]]


def fingerprint(checkpoint: Path, **options: Any) -> str:
    return identify(ModelOptions(str(checkpoint), **options)).fingerprint()


def test_fingerprint_follows_what_decides_the_answers(checkpoint: Path, tmp_path: Path) -> None:
    """Weights, tokenizer, template, type, configuration, ends and arguments; nothing else."""
    seen = {fingerprint(checkpoint)}

    def differs(**options: Any) -> None:
        found = fingerprint(checkpoint, **options)
        assert found not in seen
        seen.add(found)

    differs(dtype="bfloat16")
    differs(apply_chat_template=True)
    differs(model_args={"attn_implementation": "eager"})
    assert fingerprint(Path(shutil.copytree(checkpoint, tmp_path / "moved"))) in seen
    assert fingerprint(checkpoint, batch_size=3, seed=4) in seen
    rewrite(checkpoint / "config.json", _name_or_path="elsewhere", transformers_version="0")
    assert fingerprint(checkpoint) in seen
    change_weights(checkpoint, lambda weights: weights["model.norm.weight"].mul_(1.01))
    differs()
    rewrite(checkpoint / "config.json", rms_norm_eps=1e-3)
    differs()
    rewrite(checkpoint / "generation_config.json", eos_token_id=[2, 9])
    differs()
    changed = tiny_models.tokenizer()
    changed.add_tokens(["white"])
    changed.save_pretrained(checkpoint)
    differs()


def test_digests_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file that has not changed is read once; a broken memory is no memory."""
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    monkeypatch.setattr("blindspot.models.transformers.digests._SETTLED_NS", -1)
    read: list[str] = []
    digest = files_digest([file], root=file.parent)
    real = Path.open

    def counted(self: Path, *arguments: Any, **options: Any) -> Any:
        read.append(self.name)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", counted)
    assert files_digest([file], root=file.parent) == digest
    assert "weights" not in read
    (memory,) = tmp_path.glob("cache/**/digests.json")
    for broken in ("{", "[]", json.dumps({str(file): "x"}), json.dumps({str(file): [[1], 5]})):
        memory.write_text(broken, "utf-8")
        assert files_digest([file], root=file.parent) == digest
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("not a directory", "utf-8")
    assert files_digest([file], root=file.parent) == digest


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings for threads hold while torch is imported, those of the user always."""
    seen: list[dict[str, str | None]] = []
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")

    class Finder:
        def find_spec(self, name: str, *_rest: Any) -> None:
            if name == "torch":
                seen.append({name: os.environ.get(name) for name in names})

    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setattr(sys, "meta_path", [Finder()])
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(ModuleNotFoundError):
        placement.import_torch()
    assert seen == [{"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "1000"}]
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "GOMP_SPINCOUNT" not in os.environ
