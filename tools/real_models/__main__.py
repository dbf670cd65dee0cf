"""``python -m tools.real_models [NAME ...]``: fetch small real models into ``.models/``.

Exit 1 if one could not be had.
"""

from __future__ import annotations

import argparse
import sys

from tools.real_models.fetch import MODELS, MissingError, fetch


def main(arguments: list[str] | None = None) -> int:
    """Fetch models; 1 if one could not be had."""
    parser = argparse.ArgumentParser(prog="python -m tools.real_models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}")
    names = parser.parse_args(arguments).names or list(MODELS)
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"no model {unknown[0]}; there are {', '.join(MODELS)}")
    missing = 0
    for name in names:
        try:
            print(f"{name}: {fetch(MODELS[name])} ({MODELS[name].licence})")
        except MissingError as error:
            missing += 1
            print(f"{name} could not be had: {error}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
