"""An adapter is merged as peft would, or refused in one line; what it changes is its identity."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, identify, load
from blindspot.models.options import Scaled
from blindspot.models.transformers import adapters
from blindspot.models.transformers.adapters import CONFIG, WEIGHTS, merge, open_adapter
from blindspot.models.transformers.deferred import DeferredModel
from tests.unit import tiny_models
from tests.unit.tiny_models import Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")

LORA: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["q_proj", "v_proj"],
    "init_lora_weights": True,
    "bias": "none",
}
QUERY = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"


def write(directory: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """An adapter of the query projections of a tiny llama."""
    torch.manual_seed(3)
    if tensors is None:
        tensors = {
            QUERY.format(layer, part): torch.randn(shape)
            for layer in range(2)
            for part, shape in (("A", (4, 32)), ("B", (32, 4)))
        }
    directory.mkdir(parents=True)
    save_file(tensors, directory / WEIGHTS)
    (directory / CONFIG).write_text(json.dumps(LORA | config))
    return directory


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.arange(3, 30)[None]).logits
    return found


def test_plain_lora_is_the_product_of_its_factors(tmp_path: Path) -> None:
    """W + scale * alpha / r * B A, to the rounding of float32; other weights stay as they are."""
    model = tiny_models.model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    directory = write(tmp_path / "a")
    merge(model, open_adapter(Scaled(directory, 0.5)))
    factors = load_file(directory / WEIGHTS)
    for name, tensor in model.state_dict().items():
        wanted = before[name]
        if name.endswith("q_proj.weight"):
            layer = int(name.split(".")[2])
            product = factors[QUERY.format(layer, "B")] @ factors[QUERY.format(layer, "A")]
            wanted = wanted + product  # 0.5 * 8 / 4
        torch.testing.assert_close(tensor, wanted)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "patterns": {
        "target_modules": ["q_proj", "down_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "down_proj": 3},
        "alpha_pattern": {"^model.layers.0.mlp.down_proj": 16},
    },
    "rslora": {"target_modules": "all-linear", "use_rslora": True},
    "modules-to-save": {"modules_to_save": ["lm_head"]},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "dora": {"use_dora": True},
}


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [*((kind, "llama") for kind in KINDS), *((kind, "gpt2") for kind in ("plain", "embedding"))],
)
def test_a_merged_adapter_answers_as_peft_does(
    tmp_path: Path, kind: str, architecture: str
) -> None:
    """Of every kind that peft saves: patterns, rslora, whole modules, tied embeddings, DoRA."""
    peft = pytest.importorskip("peft")
    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], **KINDS[kind]}
    if architecture == "gpt2":
        names = {"q_proj": "c_attn", "v_proj": "c_proj", "embed_tokens": "wte"}
        settings["target_modules"] = [names[name] for name in settings["target_modules"]]
    tied = {"tie_word_embeddings": True}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tied and transposed weights
        wrapped = peft.get_peft_model(
            tiny_models.model(architecture, **tied),
            peft.LoraConfig(task_type="CAUSAL_LM", **settings),
        ).eval()
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.data += 0.2 * torch.randn_like(parameter)
        wrapped.save_pretrained(tmp_path / "a")
        adapter = open_adapter(Scaled(tmp_path / "a"))
        model = merge(tiny_models.model(architecture, **tied), adapter)
    torch.testing.assert_close(logits(model), logits(wrapped), atol=2e-4, rtol=1e-4)
    assert not torch.allclose(logits(model), logits(tiny_models.model(architecture, **tied)))


def test_plain_lora_never_needs_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even looked for: with and without it the same is merged."""
    monkeypatch.setattr(adapters, "find_spec", lambda name: pytest.fail(f"looks for {name}"))
    monkeypatch.setitem(sys.modules, "peft", None)
    adapter = open_adapter(Scaled(write(tmp_path / "a", use_rslora=True)))
    assert not torch.equal(logits(merge(tiny_models.model(), adapter)), logits(tiny_models.model()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_dora", True),
        ("peft_type", "IA3"),
        ("bias", "all"),
        ("init_lora_weights", "pissa"),
        ("trainable_token_indices", [1]),
        ("target_parameters", ["experts"]),
        ("layer_replication", [[0, 2]]),
        ("a_field_of_tomorrow", 1),
    ],
)
def test_more_than_plain_lora_is_refused_by_its_field_without_peft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: Any
) -> None:
    """Merged as if it were plain it would be another model."""
    monkeypatch.setattr(adapters, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match=f"{field}.*install peft"):
        open_adapter(Scaled(write(tmp_path / "a", **{field: value})))


def test_only_plain_lora_can_be_scaled(tmp_path: Path) -> None:
    """What peft merges is merged as it was trained."""
    pytest.importorskip("peft")
    directory = write(tmp_path / "a", use_dora=True)
    with pytest.raises(ModelError, match="only plain LoRA can be scaled"):
        open_adapter(Scaled(directory, 0.5))


def _tensors(**changed: Any) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        tensors = load_file(directory / WEIGHTS)
        names = {"a": QUERY.format(0, "A"), "b": QUERY.format(0, "B")}
        for name, tensor in changed.items():
            tensors.pop(names.get(name, name), None)
            if tensor is not None:
                tensors[names.get(name, name)] = tensor
        save_file(tensors, directory / WEIGHTS)

    return damage


def _config(**changed: Any) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        content = json.loads((directory / CONFIG).read_text()) | changed
        (directory / CONFIG).write_text(json.dumps(content))

    return damage


def _pickled(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "adapter_model.bin")


def _looped(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    (directory / WEIGHTS).symlink_to(directory / WEIGHTS)


def _piped(directory: Path) -> None:
    (directory / CONFIG).unlink()
    os.mkfifo(directory / CONFIG)


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nowhere": (shutil.rmtree, "no such directory"),
    "no-config": (lambda path: (path / CONFIG).unlink(), f"has no {CONFIG}"),
    "no-weights": (lambda path: (path / WEIGHTS).unlink(), f"has no {WEIGHTS}"),
    "pickled": (_pickled, "adapter_model.bin, which can run code"),
    "loop-of-links": (_looped, f"{WEIGHTS}"),
    "pipe": (_piped, f"has no {CONFIG}"),
    "cut-short": (lambda path: os.truncate(path / WEIGHTS, 300), "corrupt or cut short"),
    "not-json": (lambda path: (path / CONFIG).write_text("{"), "cannot be read"),
    "a-list": (lambda path: (path / CONFIG).write_text("[]"), "not a JSON object"),
    "no-tensors": (lambda path: save_file({}, path / WEIGHTS), "has no tensors"),
    "factor-alone": (_tensors(b=None), "only one of lora_A and lora_B"),
    "do-not-fit": (_tensors(b=torch.zeros(32, 5)), "do not fit"),
    "other-rank": (_config(r=8), f"has rank 4, {CONFIG} says 8"),
    "rank-of-text": (_config(r="four"), "r of .* is no number"),
    "rank-zero": (_config(r=0), "out of range"),
    "broken-pattern": (_config(rank_pattern={"(": 3}), r"rank_pattern in .* has \("),
    "broken-choice": (_config(rank_pattern={"[z-a]": 3}), r"rank_pattern in .* has \[z-a\]"),
    "endless-pattern": (_config(rank_pattern={r"(([\w.])*)*x": 3}), "one repetition"),
    "endless-choices": (_config(alpha_pattern={r"(\w|\w|.)" * 60 + "x": 3}), "write their names"),
    "patterns-in-a-list": (_config(alpha_pattern=[3]), "alpha_pattern .* is no table"),
    "stray-tensor": (_tensors(stray=torch.zeros(3)), "belongs to no LoRA"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_adapter_that_cannot_be_used_is_one_line(tmp_path: Path, hostile: str) -> None:
    """Found in the files, before torch is needed; the line names the adapter and the fault."""
    damage, said = HOSTILE[hostile]
    directory = write(tmp_path / "a")
    damage(directory)
    with pytest.raises(ModelError, match=said) as raised:
        open_adapter(Scaled(directory))
    assert str(raised.value).startswith(f"--adapter {directory}")
    assert str(raised.value).isprintable()


UNFIT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nan": (_tensors(a=torch.full((4, 32), torch.nan)), "NaN or infinity"),
    "infinite": (_tensors(b=torch.full((32, 4), torch.inf)), "NaN or infinity"),
    "overflow": (_tensors(b=torch.full((32, 4), 3e38)), "overflows"),
    "wide": (_tensors(a=torch.zeros(4, 48)), "made for another model"),
    "other-modules": (
        _tensors(**{"x.layers.9.lora_A.weight": torch.zeros(4, 32),
                    "x.layers.9.lora_B.weight": torch.zeros(32, 4)}),
        "the model has no x.layers.9",
    ),
    "other-vocabulary": (
        _tensors(**{"base_model.model.lm_head.weight": torch.zeros(401, 32)}),
        "another vocabulary",
    ),
}  # fmt: skip


@pytest.mark.parametrize("unfit", UNFIT)
def test_an_adapter_that_does_not_fit_its_base_is_one_line(tmp_path: Path, unfit: str) -> None:
    """Shapes and names are those of the model, and every number is finite."""
    damage, said = UNFIT[unfit]
    directory = write(tmp_path / "a")
    damage(directory)
    with pytest.raises(ModelError, match=said) as raised:
        merge(tiny_models.model(), open_adapter(Scaled(directory)))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("kind", ["untrained", "scale-zero"])
def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path, kind: str) -> None:
    """Judged, it would be its base, and its comparison with it a clean pass."""
    zero = {QUERY.format(0, "A"): torch.ones(4, 32), QUERY.format(0, "B"): torch.zeros(32, 4)}
    directory = write(tmp_path / "a", zero if kind == "untrained" else None)
    with pytest.raises(ModelError, match="changes no weight of its base"):
        merge(tiny_models.model(), open_adapter(Scaled(directory, float(kind == "untrained"))))


def test_links_to_files_are_followed(tmp_path: Path, checkpoints: Checkpoints) -> None:
    """A snapshot of the hub's cache consists of links; the content decides the identity."""
    directory = write(tmp_path / "a")
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in directory.iterdir():
        (linked / path.name).symlink_to(path)
    base = str(checkpoints())
    one, other = (
        identify(ModelOptions(base, adapter=Scaled(each))).fingerprint()
        for each in (directory, linked)
    )
    assert one == other


def test_the_identity_is_that_of_base_files_and_scale(
    tmp_path: Path, checkpoints: Checkpoints
) -> None:
    """Whatever changes the answers changes the key under which they are stored; the path not."""
    base, directory = str(checkpoints()), write(tmp_path / "a")
    options = ModelOptions(base, adapter=Scaled(directory))
    seen = {
        "base": identify(ModelOptions(base)).fingerprint(),
        "adapter": identify(options).fingerprint(),
        "scaled": identify(ModelOptions(base, adapter=Scaled(directory, 0.5))).fingerprint(),
    }
    moved = shutil.copytree(directory, tmp_path / "moved")
    assert identify(ModelOptions(base, adapter=Scaled(moved))).fingerprint() == seen["adapter"]
    _config(lora_alpha=16)(directory)
    seen["alpha"] = identify(options).fingerprint()
    assert len(set(seen.values())) == 4
    assert identify(options).name == f"{base}+a"
    assert load(options).identity == identify(options)


def test_generated_and_compared_answers_are_those_of_the_adapter(
    tmp_path: Path, checkpoints: Checkpoints
) -> None:
    """Both readings change, on a base that was saved; the base itself does not."""
    base, directory = str(checkpoints()), write(tmp_path / "a")
    asked = GenerationRequest("Words: wallet, revolver.", lambda _text: False, 8)
    scored = ScoreRequest("Words: wallet, revolver.", ("white", "black"))
    plain, changed = load(ModelOptions(base)), load(ModelOptions(base, adapter=Scaled(directory)))
    assert plain.generate([asked])[0].text != changed.generate([asked])[0].text
    assert plain.score([scored])[0] != changed.score([scored])[0]


def test_an_adapter_of_another_base_is_noted(tmp_path: Path, checkpoints: Checkpoints) -> None:
    """It may be the same base by another name: that is for the reader to judge."""
    base = str(checkpoints())
    directory = write(tmp_path / "a", base_model_name_or_path="org/other")
    [note] = load(ModelOptions(base, adapter=Scaled(directory))).notes
    assert "says that it was made for org/other" in note
    named = write(tmp_path / "b", base_model_name_or_path=f"org/{Path(base).name.upper()}")
    assert load(ModelOptions(base, adapter=Scaled(named))).notes == ()


def test_a_model_divided_among_processes_takes_no_adapter(
    tmp_path: Path, checkpoints: Checkpoints
) -> None:
    """Its weights lie in pieces."""
    model = DeferredModel(
        ModelOptions(
            str(checkpoints()),
            adapter=Scaled(write(tmp_path / "a")),
            model_args={"tp_plan": "auto"},
        )
    )
    with pytest.raises(ModelError, match="only a whole model is changed"):
        model.check_files()


@pytest.mark.parametrize(
    ("written", "path", "scale"),
    [
        ("a/b", "a/b", 1.0),
        ("a/b@0.5", "a/b", 0.5),
        ("a@b@-1e-1", "a@b", -0.1),
        ("a/b@half", "a/b@half", 1.0),
        ("@2", "@2", 1.0),
    ],
)
def test_a_scale_is_written_behind_its_path(written: str, path: str, scale: float) -> None:
    """What is no number belongs to the path."""
    assert Scaled.of(written) == Scaled(Path(path), scale)


def test_a_path_that_exists_has_no_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory may be called run@3."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run@3").mkdir()
    assert Scaled.of("run@3") == Scaled(Path("run@3"))
    with pytest.raises(ModelError, match="nan is no scale"):
        Scaled.of("run@nan")
