"""Where answers are kept unless a run says otherwise."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_dir

#: Name of a store that keeps nothing beyond the run.
NO_STORE = "none"
#: Environment variable that stands for ``--store``.
VARIABLE = "BLINDSPOT_STORE"


def default_directory() -> Path:
    """The user's cache directory."""
    return Path(user_cache_dir("blindspot"))
