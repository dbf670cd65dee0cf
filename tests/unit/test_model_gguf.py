"""A GGUF file is the model that it was converted from, or one line says why it is not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, identify, load
from blindspot.models.transformers import gguf_model
from blindspot.models.transformers.gguf_header import open_gguf
from tests.unit import gguf_files
from tests.unit.tiny_models import SENTENCES, Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")

QUESTION = ScoreRequest("Words: wallet, revolver. Answer:", ("wallet - white", "wallet - black"))


@pytest.fixture(scope="module")
def original(checkpoints: Checkpoints) -> Path:
    """The checkpoint that is converted."""
    return checkpoints()


@pytest.fixture
def write(original: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write the checkpoint as a file of the test's own."""
    (tmp_path / "model").mkdir()
    return lambda name="tiny.gguf", **how: gguf_files.write(
        tmp_path / "model" / name, original, **how
    )


def refused(model: Path, **options: Any) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelError) as raised:
        load(ModelOptions(str(model), **options))
    message = str(raised.value)
    assert message.isprintable()
    assert str(model) in message
    return message


# --- it is the same model


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_a_converted_model_answers_as_before(
    write: Callable[..., Path], original: Path, chat: bool
) -> None:
    """Tokens, answers and scores; the template is in the file."""
    before, after = (
        load(ModelOptions(str(path), apply_chat_template=chat)) for path in (original, write())
    )
    prompts = [before.prompts.render(text) for text in SENTENCES]
    assert [after.prompts.render(text) for text in SENTENCES] == prompts
    assert after.prompts.encode(prompts) == before.prompts.encode(prompts)
    assert after.score([QUESTION])[0] == pytest.approx(before.score([QUESTION])[0], abs=1e-4)
    request = GenerationRequest("Be quick", lambda _: False, 8)
    assert after.generate([request])[0].text == before.generate([request])[0].text
    assert after.identity.parameters == before.identity.parameters
    assert after.identity.dtype == "float32"
    assert after.notes == ()


def test_pre_tokenizer_that_transformers_does_not_know_is_noted(
    write: Callable[..., Path],
) -> None:
    """It splits text as for GPT-2; whoever reads the answers should know."""
    for named, said in (("smollm", ["pre-tokenizer smollm"]), ("llama-bpe", []), ("gpt-2", [])):
        notes = gguf_model.notes(open_gguf("tiny", write(values={"tokenizer.ggml.pre": named})))
        assert [text in note for text, note in zip(said, notes, strict=True)] == [True] * len(said)


def test_identity_is_that_of_the_content(write: Callable[..., Path], tmp_path: Path) -> None:
    """Not of its name or place, nor of what lies beside it; another content is another model."""
    file = write()
    found = identify(ModelOptions(str(file)))
    assert identify(ModelOptions(str(file.parent))).fingerprint() == found.fingerprint()
    (file.parent / "tokenizer.json").write_text("{}", "utf-8")
    (file.parent / "config.json").write_text("{}", "utf-8")
    (file.parent / "beside.py").write_text("", "utf-8")
    for code in (False, True):
        beside = identify(ModelOptions(str(file.parent), trust_remote_code=code))
        assert beside.fingerprint() == found.fingerprint()
    moved = shutil.copy(file, tmp_path / "other.gguf")
    assert identify(ModelOptions(str(moved))).fingerprint() == found.fingerprint()
    assert load(ModelOptions(str(moved))).identity.fingerprint() == found.fingerprint()
    other = identify(ModelOptions(str(write("b.gguf", kind="Q8_0"))))
    assert other.fingerprint() != found.fingerprint()
    assert other.tokenizer == found.tokenizer
    assert found.versions["gguf"]


@pytest.mark.parametrize(
    ("kind", "stated", "named"),
    [
        ("Q4_1", 3, "q4_1/float32"),
        ("Q8_0", 0, "q8_0/float32"),
        ("F16", 1, "float32"),
        ("Q4_0", 7, "q4_0/float32"),
    ],
    ids=["as-stated", "not-as-stated", "plain", "of-another-kind"],
)
def test_quantisation_is_named(
    write: Callable[..., Path], kind: str, stated: int, named: str
) -> None:
    """By the file's own word where its weights agree."""
    file = write(kind=kind, values={"general.file_type": stated})
    assert identify(ModelOptions(str(file))).dtype == named
    assert load(ModelOptions(str(file))).score([QUESTION])


def test_factors_of_rotary_positions_are_applied(write: Callable[..., Path]) -> None:
    """Transformers leaves them out, and would judge another model."""
    factors = np.array([1, 2, 4, 8], np.float32)
    plain, scaled = (
        load(ModelOptions(str(path)))
        for path in (write(), write("scaled.gguf", tensors={"rope_freqs.weight": factors}))
    )
    before = plain.model.model.rotary_emb.inv_freq
    assert (
        scaled.model.model.rotary_emb.inv_freq.tolist()
        == (before / torch.from_numpy(factors)).tolist()
    )
    assert scaled.score([QUESTION]) != plain.score([QUESTION])


def test_ends_of_a_turn_are_read(write: Callable[..., Path]) -> None:
    """Beside the end of a text."""
    header = open_gguf("x", write(values={"tokenizer.ggml.eot_token_id": 5}))
    assert header.ends == [2, 5]


# --- what is refused


def test_several_files_and_parts(write: Callable[..., Path]) -> None:
    """Which is meant is the user's to say; parts are joined first."""
    file = write("a.gguf")
    shutil.copy(file, file.parent / "b.gguf")
    assert "holds 2 GGUF files (a.gguf, ...): name the one" in refused(file.parent)
    (file.parent / "b.gguf").unlink()
    part = file.rename(file.parent / "m-00001-of-00003.gguf")
    for model in (part, file.parent):
        assert "is one of 3 parts; join them with llama-gguf-split --merge" in refused(model)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"values": {"split.count": 3}}, "is one of 3 parts"),
        ({"values": {"split.count": "3"}}, "its split.count is not of type int"),
        ({"values": {"general.type": [1, 2]}}, "its general.type is not of type str"),
        ({"values": {"general.type": "adapter"}}, "is of kind adapter"),
        ({"architecture": "clip"}, "is of kind clip"),
        ({"architecture": "quux"}, "reads no GGUF file of a quux model"),
        ({"values": {"tokenizer.ggml.model": "rwkv"}}, "rebuild a vocabulary of kind rwkv"),
        ({"values": {"llama.rope.scaling.factor": 8.0}}, "sets llama.rope.scaling.factor to 8.0"),
        ({"values": {"llama.attention.sliding_window": 64}}, "sets llama.attention.sliding_window"),
        ({"values": {"llama.attention.key_length": 4}}, "sets llama.attention.key_length to 4"),
        ({"tensors": {"blk.0.ffn_up.lora_a": np.ones(2, np.float32)}}, "blk.0.ffn_up.lora_a"),
        ({"tensors": {"v.patches": np.ones(5000, np.float32)}}, "first v.patches"),
        ({"kind": "Q8_1"}, "is quantised (q8_1), which the gguf package cannot compute"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value.split()[-1],
)
def test_what_transformers_would_leave_out(
    write: Callable[..., Path], how: dict[str, Any], said: str
) -> None:
    """Settings, tensors and kinds that it does not read: another model would be judged."""
    assert said in refused(write(**how))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-100], "100 bytes are missing"),
        (lambda data: data[: len(data) // 50], "is corrupt or cut short"),
        (lambda data: data[:10], "is corrupt or cut short"),
        (lambda data: b"", "is not a GGUF file"),
        (lambda data: b"\x89PNG" + data[4:], "is not a GGUF file"),
        (lambda data: data[:4] + b"\x07" + data[5:], "version 7 of the format"),
        (lambda data: data[:8] + b"\xff" * 8 + data[16:], "is corrupt or cut short"),
        (lambda data: data[:24] + b"\xff" * 8 + data[32:], "is corrupt or cut short"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
    ids=["tail", "header", "start", "empty", "other", "version", "count", "length", "pointer"],
)
def test_a_broken_file(
    write: Callable[..., Path], change: Callable[[bytes], bytes], said: str
) -> None:
    """One line, before torch is needed."""
    file = write()
    file.write_bytes(change(file.read_bytes()))
    assert said in refused(file)


def test_a_missing_file_is_no_hub_id() -> None:
    """Whatever its name looks like."""
    assert "none.gguf: no such file; check the path" in refused(Path("none.gguf"))


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_missing_package_is_named(
    write: Callable[..., Path], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    file = write()
    monkeypatch.setitem(sys.modules, package, None)
    assert f"takes the {package} package to read: pip install 'pytest-blindspot[gguf]'" in refused(
        file
    )
