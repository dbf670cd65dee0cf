"""What transformers told of a checkpoint is remembered, and never of another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blindspot.models import ModelOptions, load
from blindspot.models.transformers import facts as facts_module
from blindspot.models.transformers import loader as module
from blindspot.models.transformers import placement
from blindspot.models.transformers.accelerators import possible
from blindspot.models.transformers.loader import identify
from tests.unit import tiny_models

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of the test's own."""
    return tiny_models.save(tmp_path / "model")


@pytest.fixture(name="told")
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models whose facts were asked of transformers."""
    asked: list[str] = []
    real = module._tokenizer

    def noted(checkpoint: Any, options: ModelOptions) -> Any:
        asked.append(checkpoint.name)
        return real(checkpoint, options)

    monkeypatch.setattr(module, "_tokenizer", noted)
    return asked


def rewrite(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_identity_is_the_same_asked_and_remembered(
    checkpoint: Path, told: list[str], chat: bool
) -> None:
    """To the last digest, and that of the loaded model; asked once."""
    options = ModelOptions(str(checkpoint), apply_chat_template=chat)
    first = identify(options)
    assert told == [str(checkpoint)]
    assert identify(options) == first
    assert told == [str(checkpoint)]
    assert load(options).identity == first
    assert bool(first.template) is chat


def test_plain_and_chat_are_told_apart(checkpoint: Path, told: list[str]) -> None:
    """Facts of the one are not those of the other."""
    for chat in (False, True):
        identify(ModelOptions(str(checkpoint), apply_chat_template=chat))
    assert len(told) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda path: rewrite(path / "generation_config.json", eos_token_id=7),
        lambda path: rewrite(path / "config.json", eos_token_id=7),
        lambda path: rewrite(path / "tokenizer_config.json", eos_token="<s>"),
        lambda path: (path / "chat_template.jinja").write_text("{{ messages[0]['content'] }}"),
    ],
    ids=["generation-config", "config", "tokenizer", "template"],
)
def test_changed_files_are_asked_of_again(checkpoint: Path, told: list[str], change: Any) -> None:
    """Whatever decides where a text ends or how a prompt is sent, also overwritten in place."""
    options = ModelOptions(str(checkpoint), apply_chat_template=True)
    before = identify(options)
    change(checkpoint)
    after = identify(options)
    assert len(told) == 2
    assert after.fingerprint() != before.fingerprint()
    assert load(options).identity == after


def test_changed_libraries_are_asked_again(
    checkpoint: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may say something else."""
    identify(ModelOptions(str(checkpoint)))
    monkeypatch.setattr(facts_module, "version", lambda _: "99")
    identify(ModelOptions(str(checkpoint)))
    assert len(told) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"%s": [["2"], "", ""]}', '{"%s": [[true], 1]}'])
def test_broken_memory_is_no_memory(
    checkpoint: Path, told: list[str], tmp_path: Path, content: str
) -> None:
    """It is asked again, and remembered again."""
    options = ModelOptions(str(checkpoint))
    first = identify(options)
    (memory,) = tmp_path.glob("cache/**/facts.json")
    (key,) = json.loads(memory.read_text())
    memory.write_text(content.replace("%s", key))
    assert identify(options) == first
    assert identify(options) == first
    assert len(told) == 2


def test_files_that_change_while_they_are_read_are_not_remembered(
    checkpoint: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told of the old ones must not pass for that of the new."""
    changed: list[Path] = []

    def check(*_: Any, **__: Any) -> None:
        if not changed:
            changed.append(checkpoint / "generation_config.json")
            rewrite(changed[0], eos_token_id=9)

    monkeypatch.setattr(module, "check_architecture", check)
    identify(ModelOptions(str(checkpoint)))
    identify(ModelOptions(str(checkpoint)))
    assert len(told) == 2


def test_own_code_is_always_run(checkpoint: Path, told: list[str]) -> None:
    """What the code of a model does does not follow from its files."""
    for _ in range(2):
        identify(ModelOptions(str(checkpoint), trust_remote_code=True))
    assert len(told) == 2


@pytest.mark.parametrize(
    ("files", "may"),
    [
        ([], False),
        (["null", "nvme0"], False),
        (["nvidia0"], True),
        (["kfd"], True),
        (["dxg"], True),
    ],
    ids=["none", "others", "nvidia", "amd", "windows"],
)
def test_torch_is_asked_where_there_may_be_an_accelerator(
    files: list[str], may: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without any device file of a GPU nobody needs to; elsewhere it decides."""
    for file in files:
        (tmp_path / file).write_text("")
    monkeypatch.setattr("blindspot.models.transformers.accelerators._DEVICES", tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    assert possible() is may
    asked = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: asked.append("cuda") or False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert placement.device(ModelOptions("x")) == "cpu"
    assert bool(asked) is may


def test_other_systems_ask_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where device files say nothing."""
    monkeypatch.setattr("sys.platform", "darwin")
    assert possible()
