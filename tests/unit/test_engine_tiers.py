"""Which way of computing a model was found to be right is told, and our mistakes are not hidden."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from blindspot.models.transformers.hook_points import Resumed, Tier
from blindspot.models.transformers.kv_cache import Pool
from blindspot.models.transformers.model import CausalModel
from tests.unit.plain_hooks import family

MISTAKES = {"attribute": lambda: None.kv_bytes, "type": lambda: len(3)}  # type: ignore
LOGGER = "blindspot.models.transformers"


def remade() -> CausalModel:
    """A model that is tried again."""
    made = family("llama")
    return CausalModel(made.model, made.prompts, made.identity, ends=frozenset({1}))


def test_the_way_of_computing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """At level INFO, by name."""
    with caplog.at_level(logging.INFO, LOGGER):
        remade().residual  # noqa: B018
    assert "prompts are rows of a prefix tree with a KV cache" in caplog.text
    assert "patches are run resumed" in caplog.text


def test_why_no_faster_way_was_taken_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model's code said, or what disagreed."""

    def unlike(*_arguments: Any, **_named: Any) -> Any:
        raise ValueError("no such cache")

    monkeypatch.setattr(Pool, "start", unlike)
    monkeypatch.setattr(Resumed, "logits", unlike)
    with caplog.at_level(logging.INFO, LOGGER):
        remade().residual  # noqa: B018
    assert "without a KV cache: it handles a cache differently" in caplog.text
    for tier in (Tier.RESUMED, Tier.SKIPPING):
        assert f"patches are not run {tier.value}: no such cache" in caplog.text
    assert "patches are run hooked" in caplog.text


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("place", [(Pool, "store"), (Resumed, "logits")], ids=["engine", "stream"])
def test_a_mistake_of_ours_is_a_traceback(
    place: tuple[type, str], mistake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for a model that is unlike others and silently computed in a slower way."""

    def wrong(*_arguments: Any, **_named: Any) -> Any:
        mistake()

    # As if it stood in our module.
    for function in (wrong, mistake):
        monkeypatch.setitem(function.__globals__, "__name__", place[0].__module__)
    monkeypatch.setattr(*place, wrong)
    with pytest.raises((AttributeError, TypeError)):
        remade().residual  # noqa: B018
