"""Accepted measurements of a model: one reviewable JSON file per model, and the scores behind it.

``fixtures/baselines/<org>--<name>.json`` holds what was measured when the model was accepted, gate
by gate, and under what conditions; the npz file that it names holds the score of every prompt, for
paired comparison with a later run. A run is compared with a baseline only under the same
conditions; messages name the differences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindspot import files
from blindspot.errors import BaselineError, line

SCHEMA_VERSION = 2
#: A gate takes 200 bytes, and a model has thousands.
LARGEST = 32 * 2**20
ANEW = "remove it and accept the whole suite again with --snapshot-update"
"""The remedy for an unreadable file: a run may measure only a part of it."""
REMEDY = f"restore it from version control, or {ANEW}"
#: Differences despite which a comparison can be allowed.
MISMATCHES = (
    *("weights", "tokenizer", "template", "dtype", "device", "backend", "versions"),
    *("prompts", "scores"),
)
#: Digits after the decimal point in a file.
DIGITS = 6
#: No measurement comes near it, and its square is finite.
MOST = 1e9
#: Name of the scores: a file beside the baseline.
_SCORES = re.compile(r"[^/\\\0]{1,200}\.npz")


@dataclass(frozen=True, slots=True)
class Entry:
    """The accepted value of one gate.

    ``prompts``: digest of the prompts that it was measured on; ``level``: what it covers.
    """

    value: float
    standard_error: float
    n: int
    prompts: str
    level: str = "category"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted measurements of one model.

    ``scores``: name of the file beside it with the score of every prompt; "" if it has none.
    """

    path: Path
    model: str
    provenance: dict[str, str]
    gates: dict[str, Entry]
    scores: str = ""

    @property
    def scores_path(self) -> Path | None:
        """Path of the scores of every prompt; None if that file is missing."""
        path = self.path.with_name(self.scores) if self.scores else None
        return path if path is not None and files.is_file(path) else None


def slug(model: str) -> str:
    """File name of a model's baseline: ``org--name``; of a local directory, its last part."""
    path = Path(model)
    if files.is_directory(path) and not model.startswith("organism:"):
        model = path.resolve().name
    return (
        re.sub(r"[^\w.-]+", "-", model.replace("/", "--").replace(":", "--")).strip("-.") or "model"
    )


def locate(named: str | None, model: str, directory: Path) -> Path:
    """Path of the baseline to compare with: a named file, or the model's in ``directory``."""
    if named and (named.endswith(".json") or files.is_file(Path(named))):
        return Path(named)
    return directory / f"{slug(named or model)}.json"


def load_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        BaselineError: it cannot be read or is of another shape; names the file and the remedy.
    """
    data = files.read_json(path, LARGEST, "a baseline", error=BaselineError, remedy=REMEDY)
    try:
        if data["schema_version"] != SCHEMA_VERSION:
            raise BaselineError(
                f"{path}: schema_version {line(repr(data['schema_version']), 40)}, this version of "
                f"blindspot reads {SCHEMA_VERSION}; {ANEW}"
            )
        gates = {_gate(name): _entry(entry) for name, entry in data["gates"].items()}
        provenance = {key: _text(value) for key, value in data["provenance"].items()}
        scores = _text(data["scores"])
        if scores and not _SCORES.fullmatch(scores):
            raise ValueError("its scores are not an npz file beside it")
        return Baseline(path, _text(data["model"]), provenance, gates, scores)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BaselineError):
            raise
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BaselineError(
            f"{path}: not a baseline of blindspot ({line(what, 200)}); {REMEDY}"
        ) from None


def _gate(name: str) -> str:
    if not all(name.split("/", 3)[3:]) or name.count("/") < 3:
        raise ValueError(f"{name!r} is not measurement/slice/statistic/reading")
    return name


def _entry(data: Mapping[str, Any]) -> Entry:
    n = data["n"]
    entry = Entry(
        _number(data["value"]),
        _number(data["standard_error"]),
        n,
        _text(data["prompts"]),
        _text(data["level"]),
    )
    if type(n) is not int or n < 1 or entry.standard_error < 0:
        raise ValueError("a standard error or count is below its range")
    return entry


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < MOST:
        raise ValueError("a value is not a number, or far beyond any measurement")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{line(repr(value), 60)} is not a string")
    return value
