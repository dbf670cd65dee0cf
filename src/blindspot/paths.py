"""Where the project's own data is: beside the sources of a checkout, or inside a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _suite() -> Path:
    """The folder that holds ``tests/`` and ``fixtures/``."""
    checkout = _PACKAGE.parent.parent
    if (checkout / "fixtures" / "axes").is_dir():
        return checkout
    return _PACKAGE / "suite"


#: Folder of ``tests/`` and ``fixtures/``: the checkout, or ``blindspot/suite`` of a wheel.
SUITE: Path = _suite()
FIXTURES: Path = SUITE / "fixtures"
#: Whether the suite is that of a wheel.
INSTALLED: bool = SUITE == _PACKAGE / "suite"
#: Accepted baselines: in a checkout beside the fixtures; of an installed wheel below pytest's root
#: directory, because the user's files do not belong in site-packages.
BASELINES: Path = Path("blindspot-baselines") if INSTALLED else FIXTURES / "baselines"
#: Cases that the search found and a user keeps; in the same place for the same reason.
PROMOTED: Path = Path("blindspot-promoted") if INSTALLED else FIXTURES / "promoted"
#: Folder of the search; its tests are collected only on request.
SEARCH_TESTS: Path = SUITE / "tests" / "search"
ORGANISMS: Path = FIXTURES / "organisms"

#: ``--model organism:NAME`` names a bundled model.
ORGANISM_PREFIX = "organism:"
#: Beginning of the name of a model that the replicas of a Ray cluster compute.
RAY_PREFIX = "ray:"


def organism_names() -> list[str]:
    """Names of the bundled models, sorted."""
    if not ORGANISMS.is_dir():
        return []
    return sorted(p.name for p in ORGANISMS.iterdir() if (p / "config.json").is_file())


def organism_directory(name: str) -> Path:
    """Directory of the bundled model ``name`` (without ``organism:``); may not exist."""
    return ORGANISMS / name
