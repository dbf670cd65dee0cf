"""Folders of the suite that a run collects only if its command line names them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from blindspot.paths import SUITE

if TYPE_CHECKING:
    from blindspot.session.session import Session

#: Folders below ``tests/``, each with a marker of its name.
SEARCH, MITIGATION = "search", "mitigation"
ON_REQUEST = (SEARCH, MITIGATION)


def is_requested(session: Session, name: str) -> bool:
    """Whether the command line names a folder, by ``-m`` or by its path."""
    config = session.config
    if session.worker is not None:  # which treats the paths of the configuration as arguments
        return name in session.worker["requested"]
    if re.search(rf"\b{name}\b", config.option.markexpr):
        return True
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    named = (str(argument).split("::", 1)[0] for argument in config.args)
    return any(
        Path(config.invocation_params.dir, one).resolve().is_relative_to(SUITE / "tests" / name)
        or one.endswith(f".tests.{name}")
        or f".tests.{name}." in one
        for one in named
    )


def requested(session: Session) -> list[str]:
    """All that it names, for workers."""
    return [name for name in ON_REQUEST if is_requested(session, name)]


def is_left_out(session: Session, path: Path) -> bool:
    """Whether a path is in a folder of ours that nobody asked for."""
    folder = SUITE / "tests" / MITIGATION
    return path.is_relative_to(folder) and not is_requested(session, MITIGATION)
