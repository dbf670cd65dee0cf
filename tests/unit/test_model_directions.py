"""Vectors added to the residual stream steer every reading of a model, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blindspot.errors import ModelError
from blindspot.models import GenerationRequest, ModelOptions, ScoreRequest, identify, load
from blindspot.models.options import Scaled
from blindspot.models.residual import Source
from blindspot.models.transformers.directions import attach, open_directions
from tests.unit import tiny_models
from tests.unit.tiny_models import Checkpoints

pytest_plugins = ["tests.unit.tiny_models"]
pytestmark = pytest.mark.usefixtures("own_cache")

PROMPT = "Words: wallet, revolver."


def write(path: Path, coefficient: str | None = None, **tensors: Any) -> Path:
    torch.manual_seed(5)
    metadata = None if coefficient is None else {"coefficient": coefficient}
    save_file(tensors or {"layer.0": torch.randn(32)}, path, metadata)
    return path


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt_neox"])
def test_steered_models_answer_otherwise_in_both_readings(
    tmp_path: Path, checkpoints: Checkpoints, architecture: str
) -> None:
    """Greedy text and log-probabilities; a whole prompt and one from the cache agree."""
    base, path = str(checkpoints(architecture)), write(tmp_path / "v.safetensors", "3")
    plain = load(ModelOptions(base))
    steered = load(ModelOptions(base, steer=Scaled(path)))
    asked = [GenerationRequest(text, lambda _text: False, 6) for text in (PROMPT, PROMPT + " Be")]
    scored = [ScoreRequest(PROMPT, ("white", "black"))]
    assert plain.generate(asked) != steered.generate(asked)
    assert plain.score(scored) != steered.score(scored)
    assert [one.text for one in steered.generate(asked)] == [
        steered.generate([one])[0].text for one in asked
    ]


def test_the_vector_is_added_where_it_is_named(tmp_path: Path, checkpoints: Checkpoints) -> None:
    """The residual stream of that layer moves by coefficient times vector, earlier ones not."""
    base = str(checkpoints())
    vector = torch.randn(32)
    path = write(tmp_path / "v.safetensors", "2", **{"1": vector})
    source = [Source(PROMPT, ((7, 13),))]
    plain = load(ModelOptions(base)).residual.read(source)
    steered = load(ModelOptions(base, steer=Scaled(path, 0.25))).residual.read(source)
    np.testing.assert_allclose(steered[0, 0], plain[0, 0], atol=1e-5)
    np.testing.assert_allclose(steered[0, 1] - plain[0, 1], 0.5 * vector, atol=1e-4)


def test_a_steered_model_resumes_where_its_blocks_end(
    tmp_path: Path, checkpoints: Checkpoints
) -> None:
    """The fastest way to patch is exact for it: what is added belongs to the block."""
    path = write(tmp_path / "v.safetensors")
    residual: Any = load(ModelOptions(str(checkpoints()), steer=Scaled(path))).residual
    plain: Any = load(ModelOptions(str(checkpoints()))).residual
    assert residual.tier is plain.tier


def test_the_identity_is_that_of_base_file_and_coefficient(
    tmp_path: Path, checkpoints: Checkpoints
) -> None:
    """The name of the file says nothing of it."""
    base, path = str(checkpoints()), write(tmp_path / "v.safetensors")
    again = write(tmp_path / "w.safetensors")
    seen = [
        identify(ModelOptions(base, steer=steer)).fingerprint()
        for steer in (None, Scaled(path), Scaled(path, 2.0), Scaled(again))
    ]
    assert seen[1] == seen[3]
    assert len(set(seen)) == 3
    assert identify(ModelOptions(base, steer=Scaled(path, 2.0))).name == f"{base}+v.safetensors@2"


HOSTILE: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "other-names": ({"weights": torch.zeros(32)}, None, "no vector of a layer"),
    "matrix": ({"layer.0": torch.zeros(2, 32)}, None, "no vector of a layer"),
    "layer-twice": ({"layer.0": torch.ones(32), "0": torch.ones(32)}, None, "two vectors"),
    "beyond": ({"layer.2": torch.ones(32)}, None, "2 layers 32 wide"),
    "narrow": ({"layer.0": torch.ones(31)}, None, "has 31 numbers"),
    "nan": ({"layer.0": torch.full((32,), torch.nan)}, None, "NaN or infinity"),
    "zero": ({"layer.0": torch.zeros(32)}, None, "changes nothing"),
    "coefficient-zero": ({"layer.0": torch.ones(32)}, "0", "changes nothing"),
    "coefficient-of-text": ({"layer.0": torch.ones(32)}, "much", "no finite number"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_vectors_that_cannot_be_added_are_one_line(tmp_path: Path, hostile: str) -> None:
    """Each names the file and what is wrong with it."""
    tensors, coefficient, said = HOSTILE[hostile]
    path = write(tmp_path / "v.safetensors", coefficient, **tensors)
    with pytest.raises(ModelError, match=said) as raised:
        attach(tiny_models.model(), open_directions(Scaled(path)), "tiny")
    assert str(raised.value).startswith(f"--steer {path}")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 a pickle of torch"])
def test_a_file_that_is_no_safetensors_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, or saved by torch.save."""
    path = tmp_path / "v.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"no such file|corrupt or cut short"):
        open_directions(Scaled(path))
