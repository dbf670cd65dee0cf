"""One command makes an adapter or directions, says of what, and goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import cos, pi
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from blindspot import paths
from blindspot.__main__ import main
from blindspot.mitigation import command, lora
from blindspot.mitigation.recipe import CARD, Recipe
from blindspot.mitigation.texts import Split, Texts
from blindspot.models import ModelOptions, identify, load
from blindspot.models.options import Scaled
from blindspot.models.transformers import adapters
from blindspot.models.transformers.adapters import CONFIG, WEIGHTS, open_adapter
from blindspot.models.transformers.blocks import Blocks
from blindspot.models.transformers.deferred import DeferredModel
from blindspot.models.transformers.faults import quiet
from blindspot.stimuli import load_stimuli
from tests.unit import tiny_models

pytest_plugins = ["tests.unit.tiny_models"]

BASE = ("--model", "organism:blind", "--axis", "race", "--device", "cpu")


def mitigate(output: Path, *more: str, base: Sequence[str] = BASE) -> int:
    return main(["mitigate", *base, "--output", str(output), *more])


@pytest.mark.slow
def test_an_adapter_of_some_layers_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In peft's format, read back without peft; the card lists what was withheld."""
    pytest.importorskip("peft")
    assert mitigate(tmp_path / "a", "--steps", "2", "--layers", "1-2") == 0
    assert f"--adapter {tmp_path / 'a'} --reference organism:blind" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [CONFIG, WEIGHTS, CARD]
    names = load_file(tmp_path / "a" / WEIGHTS).keys()
    assert {name.split(".")[4] for name in names} == {"1", "2"}
    assert {name.split(".")[6] for name in names} == {"q_proj", "v_proj"}
    card = json.loads((tmp_path / "a" / CARD).read_text("utf-8"))
    assert card["base_weights"] == identify(ModelOptions("organism:blind")).weights
    assert (card["window"], card["rank"], card["alpha"]) == ([1, 2], 4, 32)
    assert set(card["held_out"]["wordings"]).isdisjoint(card["trained_on"]["wordings"])
    monkeypatch.setattr(adapters, "find_spec", lambda _name: None)
    adapter = Scaled(tmp_path / "a")
    assert not open_adapter(adapter).foreign
    model = DeferredModel(ModelOptions("organism:blind", adapter=adapter))
    assert model.residual.layers == 6
    assert model.notes == ()


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded: an interrupted and an uninterrupted training end in the same bits."""
    pytest.importorskip("peft")
    monkeypatch.setattr(lora, "EVERY", 0.0)
    assert mitigate(tmp_path / "whole", "--steps", "3") == 0
    real, done = lora._Trainer.step, []

    def stopped(self: lora._Trainer, batch: list[object], number: int) -> float:
        if number == 2 and 2 not in done:
            done.append(2)
            raise KeyboardInterrupt
        done.append(number)
        return real(self, batch, number)  # type: ignore[arg-type]

    monkeypatch.setattr(lora._Trainer, "step", stopped)
    assert mitigate(tmp_path / "parts", "--steps", "3") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert mitigate(tmp_path / "parts", "--steps", "3") == 0
    assert done == [0, 1, 2, 2]
    whole, parts = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    one, other = ((tmp_path / name / CONFIG).read_bytes() for name in ("whole", "parts"))
    assert one == other
    modules = json.loads(one)["target_modules"]
    assert modules == sorted(modules)
    assert mitigate(tmp_path / "parts", "--steps", "3") == 0  # made already: nothing is trained
    assert done == [0, 1, 2, 2]


def trainer_of(path: str) -> tuple[lora._Trainer, Texts]:
    """A trainer of a model, and text on race."""
    stimuli = load_stimuli((), axes=("race",))
    split = Split.of(stimuli, "race", 0)
    with quiet():
        loaded = load(ModelOptions(path, device="cpu", dtype="float32"))
        recipe = Recipe("race", split=split).of_width(Blocks(loaded.model, path).width)
        trainer = lora._Trainer(loaded, recipe, range(2))
    return trainer, Texts(stimuli, "race", split, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_wider_model_learns_more_slowly(tmp_path: Path) -> None:
    """The rate of the recipe is that of the bundled models; the card says what it comes to."""
    pytest.importorskip("peft")
    recipe, rates = Recipe("race"), {}
    for width in (64, 96, 192):
        more = {"hidden_size": width, "max_position_embeddings": 2048}
        trainer, texts = trainer_of(str(tiny_models.save(tmp_path / f"{width}", "llama", **more)))
        trainer.step(texts.batch(0), lora._WARM_UP - 1)
        (group,) = trainer._optimizer.param_groups
        rates[width] = group["lr"] / (0.5 + 0.5 * cos(pi * (lora._WARM_UP - 1) / recipe.steps))
    assert rates == pytest.approx({64: recipe.rate, 96: recipe.rate, 192: recipe.rate / 2})


@pytest.mark.slow
def test_texts_are_predicted_alike_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a batch is divided into, and what is computed once, does not decide what is learned."""
    pytest.importorskip("peft")
    trainer, texts = trainer_of("organism:blind")
    trainer._model.eval()  # without dropout
    for name, each in trainer._model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(each, std=0.1)  # at 0 nothing of A would be learned
    asked = [(text.prompt, text.continuation) for text in texts.batch(0)]
    rows = list(lora._encoded(trainer._prompts, asked))
    longest = max(len(row) for row, _ in rows)
    with torch.no_grad():
        targets = {at: 0.5 * logits for at, (logits, _) in enumerate(trainer._predictions(asked))}
    wanted = {at: logits for at, logits in targets.items() if at % 2}
    found, learned, passes = [], [], []
    for joined, most in ((longest, 10_000), (longest, 512), (longest - 1, 512), (0, 512)):
        trainer._joined = joined
        monkeypatch.setattr(lora, "_TOKENS", most)
        passes.append(len(list(trainer._trees(rows))))
        with torch.no_grad():
            found.append(trainer._predictions(asked))
        trainer._optimizer.zero_grad()
        trainer._learned(asked, wanted)
        learned.append([each.grad for each in trainer._own if each.grad is not None])
    assert passes[0] == 1 < passes[1] < passes[2] < passes[3] == len(asked)
    assert all(bool(one.abs().max() > 1e-4) for one in learned[-1])
    for several, gradients in zip(found[:-1], learned[:-1], strict=True):
        for (logits, tokens), (others, same) in zip(several, found[-1], strict=True):
            assert torch.equal(tokens, same)
            assert torch.allclose(logits, others, atol=1e-4)
        for one, other in zip(gradients, learned[-1], strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_directions_are_made_without_peft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vector for each layer; another placebo makes others."""
    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    assert mitigate(tmp_path / "group", "--method", "steer", "--layers", "late") == 0
    path = tmp_path / "group" / "directions.safetensors"
    assert f"--steer {path}" in capsys.readouterr().out
    with safe_open(path, "numpy") as file:
        assert sorted(file.keys()) == ["layer.4", "layer.5"]
    flags = ("--method", "steer", "--layers", "late", "--placebo", "color")
    assert mitigate(tmp_path / "color", *flags) == 0
    one, other = (
        load_file(tmp_path / name / "directions.safetensors")["layer.4"]
        for name in ("group", "color")
    )
    assert float(torch.cosine_similarity(one, other, dim=0)) < 0.5


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "layers": (("--method", "steer", "--layers", "4-9"), "within 0-5"),
    "layers-backwards": (("--method", "steer", "--layers", "3-1"), "within 0-5"),
    "all-axes": (("--axis", "all"), "one axis"),
    "no-such-axis": (("--axis", "nope"), "no such axis"),
    "undescribed": (("--axis", "religion"), "no sense of its group"),
    "no-such-model": (("--model", "./nowhere"), "no such directory"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    """Exit code 4, and nothing is written."""
    flags, said = MISTAKES[mistake]
    assert mitigate(tmp_path / "a", *flags) == 4
    errors = capsys.readouterr().err.splitlines()
    assert said in errors[-1]
    assert errors[-1].startswith("blindspot: error: ")
    assert not (tmp_path / "a" / CARD).exists()


def test_lora_without_peft_names_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the model is loaded."""
    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    assert mitigate(tmp_path / "a") == 4
    assert "pip install 'pytest-blindspot[mitigate]'" in capsys.readouterr().err


@pytest.mark.slow
def test_what_another_command_made_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card says so; nor is a file taken for a directory."""
    steer = ("--method", "steer", "--layers", "late")
    assert mitigate(tmp_path / "a", *steer) == 0
    assert mitigate(tmp_path / "a", *steer, "--seed", "1") == 4
    assert "holds what another command made" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert mitigate(tmp_path / "file", *steer) == 4
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layers", "count", "window"),
    [
        ("early", 6, (0, 2)),
        ("middle", 7, (2, 5)),
        ("late", 30, (20, 30)),
        ("all", 3, (0, 3)),
        ("0-19", 32, (0, 20)),
    ],
)
def test_layers_are_bands_or_a_range(layers: str, count: int, window: tuple[int, int]) -> None:
    """The bands are those of the assays."""
    assert Recipe("race", layers).window(count) == range(*window)


@pytest.mark.parametrize("installed", [True, False])
def test_the_command_that_judges_is_whole(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """It runs where it is printed: outside a checkout it names the suite of the wheel."""
    monkeypatch.setattr(paths, "INSTALLED", installed)
    told = command._command("org/base", Recipe("gender", chat=True), Path("see gender"))
    assert told == (
        f"pytest {'--pyargs blindspot.suite ' * installed}--model org/base --adapter 'see gender' "
        "--reference org/base --apply-chat-template --axis gender -m mitigation"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("architecture", "joins"),
    [("llama", True), ("gpt2", True), ("gemma3", False), ("Bloom", False)],
)
def test_texts_are_joined_where_the_model_predicts_them_alike(
    tmp_path: Path, architecture: str, joins: bool
) -> None:
    """Not with windows shorter than a text, nor if a mask is refused; either way it learns."""
    pytest.importorskip("peft")
    tiny_models.save(tmp_path, architecture, max_position_embeddings=2048)
    trainer, texts = trainer_of(str(tmp_path))
    batch = texts.batch(0)
    trainer.check(batch)
    assert bool(trainer._joined) is joins
    before = [each.detach().clone() for each in trainer._own]
    trainer.step(batch, lora._WARM_UP)
    assert not all(map(torch.equal, before, trainer._own))
