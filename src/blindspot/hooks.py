"""Hooks that a suite's conftest or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blindspot.models.base import LanguageModel


@pytest.hookspec(firstresult=True)
def pytest_blindspot_model(name: str, config: pytest.Config) -> LanguageModel | None:
    """Return the model for ``--model name``, or None to leave it to other implementations.

    For models behind another engine, and for scripted models in tests. The first result wins; if
    there is none, ``name`` is a local directory, a hub id or a bundled model.
    """
