"""How the tests of the project run: in which order, and how many examples property tests try."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Few examples in the quick tests, many in the slow ones.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("quick")

#: What a file uses whose tests run the whole suite, or a process.
_LONG = ("run_suite", "StartedSuite", "run_here", "subprocess", "load", "python")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of long tests first: of workers that take whole files, none then ends alone."""
    items.sort(
        key=lambda item: not any(hasattr(getattr(item, "module", None), name) for name in _LONG)
    )
