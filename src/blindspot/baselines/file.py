"""Accepted measurements of a model: one reviewable JSON file a model, and the scores behind it.

``fixtures/baselines/<org>--<name>.json`` holds what was measured when somebody accepted the model,
gate by gate, and under what conditions; the npz file that it names holds the score of every prompt,
with which a later run is paired. A run is compared with a baseline only where the conditions are
the same; what differs is named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindspot.errors import BaselineError

SCHEMA_VERSION = 2
#: What must be the same to compare two measurements; weights may differ, that is the point.
CONDITIONS = ("tokenizer", "template", "dtype", "device", "backend")
#: Libraries whose numerics answers rest on: named apart, allowed together as ``versions``.
LIBRARIES = ("torch", "transformers")
ANEW = "remove it and accept the whole suite anew with --snapshot-update"
"""What is left to do where a file cannot be read: a part of it may be all that a run measures."""
#: Significant digits after the point that a file keeps.
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """What was accepted for one gate.

    ``prompts``: digest of the prompts that it was measured on; ``level``: category or pair.
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
        """Where the score of every prompt is; None where that file is missing."""
        path = self.path.with_name(self.scores) if self.scores else None
        return path if path is not None and path.is_file() else None

    def mismatches(self, provenance: Mapping[str, str]) -> list[tuple[str, str]]:
        """What differs from now: what ``--allow-mismatch`` calls it, and a sentence on how."""
        found = []
        for name in (*CONDITIONS, *LIBRARIES):
            then, now = self.provenance.get(name, ""), provenance.get(name, "")
            if then != now:
                kind = "versions" if name in LIBRARIES else name
                found.append((kind, f"{name} was {_short(then)}, is {_short(now)}"))
        return found


def slug(model: str) -> str:
    """File name of a model's baseline: ``org--name``; of a local directory, its last part."""
    path = Path(model)
    if path.is_dir() and not model.startswith("organism:"):
        model = path.resolve().name
    return (
        re.sub(r"[^\w.-]+", "-", model.replace("/", "--").replace(":", "--")).strip("-.") or "model"
    )


def locate(named: str | None, model: str, directory: Path) -> Path:
    """Path of the baseline to compare with: a named file, or the model's in ``directory``."""
    if named and (named.endswith(".json") or Path(named).is_file()):
        return Path(named)
    return directory / f"{slug(named or model)}.json"


def load_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        BaselineError: it cannot be read or is of another shape; names the file and the remedy.
    """
    remedy = f"restore it from version control, or {ANEW}"
    data = _read(path, remedy)
    try:
        if data["schema_version"] != SCHEMA_VERSION:
            raise BaselineError(
                f"{path}: schema_version {data['schema_version']!r}, this version of blindspot "
                f"reads {SCHEMA_VERSION}; {ANEW}"
            )
        gates = {str(name): _entry(entry) for name, entry in data["gates"].items()}
        provenance = {str(key): str(value) for key, value in data["provenance"].items()}
        scores = str(data["scores"])
        if scores and Path(scores).name != scores:
            raise ValueError("its scores lie in another directory")
        return Baseline(path, str(data["model"]), provenance, gates, scores)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BaselineError):
            raise
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BaselineError(f"{path}: not a baseline of blindspot ({what}); {remedy}") from None


def _read(path: Path, remedy: str) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise BaselineError(f"{path}: cannot be read ({what}); {remedy}") from None


def _entry(data: Mapping[str, Any]) -> Entry:
    entry = Entry(
        float(data["value"]),
        float(data["standard_error"]),
        int(data["n"]),
        str(data["prompts"]),
        str(data["level"]),
    )
    if not (math.isfinite(entry.value) and math.isfinite(entry.standard_error)):
        raise ValueError("a value is not a finite number")
    if entry.standard_error < 0 or entry.n < 1:
        raise ValueError("a standard error or count is below its range")
    return entry


def _short(text: str) -> str:
    if not text:
        return "none"
    return text[:12] if re.fullmatch(r"[0-9a-f]{40,}", text) else text
