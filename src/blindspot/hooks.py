"""Hooks that a suite's conftest or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blindspot.models.base import LanguageModel


@pytest.hookspec(firstresult=True)
def pytest_blindspot_model(name: str, config: pytest.Config) -> LanguageModel | None:
    """Give the model that ``--model name`` means, or None to leave it to others.

    For models behind another engine, and for scripted ones in tests. The first result wins; when
    there is none, ``name`` is a local directory, a hub id or an embedded model.
    """
