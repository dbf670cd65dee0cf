"""Real GGUF files load by name and by directory, and speak."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindspot.models import GenerationRequest, ModelOptions, identify, load
from tests.real.expectations import EXPECTED, Expectation
from tools.real_models.fetch import MODELS

pytestmark = pytest.mark.real


@pytest.fixture(params=EXPECTED)
def name(request: pytest.FixtureRequest) -> str:
    """A model whose file is here."""
    if not MODELS[request.param].is_here:
        pytest.skip(f"{request.param} is not here: python -m tools.real_models {request.param}")
    return str(request.param)


@pytest.fixture
def expected(name: str) -> Expectation:
    """What it is expected to be."""
    return EXPECTED[name]


def test_identity_is_that_of_the_file(name: str, expected: Expectation, tmp_path: Path) -> None:
    """By file, by directory and under another name."""
    path = MODELS[name].path
    found = identify(ModelOptions(str(path), apply_chat_template=expected.chat))
    assert (found.dtype, found.parameters) == (expected.dtype, expected.parameters)
    (tmp_path / "other.gguf").symlink_to(path)
    other = identify(ModelOptions(str(tmp_path), apply_chat_template=expected.chat))
    assert other.fingerprint() == found.fingerprint()


def test_it_knows_a_capital(name: str) -> None:
    """Weights, vocabulary and template are where they belong: a mistake makes it babble."""
    model = load(ModelOptions(str(MODELS[name].path)))
    assert [note for note in model.notes if "pre-tokenizer" not in note] == []
    request = GenerationRequest("The capital of Italy is the city of", lambda _: False, 8)
    assert "Rome" in model.generate([request])[0].text
    digits = {model.prompts.encode([f"a{n}"])[0][-1] for n in range(10)}
    assert len(digits) == 10
