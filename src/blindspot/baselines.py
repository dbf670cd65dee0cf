"""Accepted measurements of a model: one reviewable JSON file a model, written through syrupy.

``fixtures/baselines/<org>--<name>.json`` holds what was measured when somebody accepted the model,
gate by gate, and under what conditions. A later run is compared with it only where the conditions
are the same; what differs is named.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from syrupy.data import SnapshotCollection, SnapshotCollections
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.utils import exclusive_file_lock, replace_atomic, snapshot_file_lock_enabled

from blindspot.errors import BaselineError

SCHEMA_VERSION = 1
#: What must be the same to compare two measurements; weights may differ, that is the point.
CONDITIONS = ("tokenizer", "template", "dtype")
_DIGITS = 6


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
    """The accepted measurements of one model."""

    path: Path
    model: str
    provenance: dict[str, str]
    gates: dict[str, Entry]

    def mismatches(self, provenance: Mapping[str, str]) -> dict[str, str]:
        """Conditions that differ from now, each with a sentence that says how."""
        return {
            name: f"{name} was {_short(then)}, is {_short(now)}"
            for name in CONDITIONS
            if (then := self.provenance.get(name, "")) != (now := provenance.get(name, ""))
        }


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
    remedy = "restore it from version control, or accept the model anew with --snapshot-update"
    data = _read(path, remedy)
    try:
        if data["schema_version"] != SCHEMA_VERSION:
            raise BaselineError(
                f"{path}: schema_version {data['schema_version']!r}, this version of blindspot "
                f"reads {SCHEMA_VERSION}; accept the model anew with --snapshot-update"
            )
        gates = {str(name): _entry(entry) for name, entry in data["gates"].items()}
        provenance = {str(key): str(value) for key, value in data["provenance"].items()}
        return Baseline(path, str(data["model"]), provenance, gates)
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


class BaselineExtension(AbstractSyrupyExtension):
    """Writes accepted entries into the one file of the model; subclasses name file and model.

    Entries are merged into what the file holds, under a lock when several workers write, and the
    file is replaced as a whole. Nothing is ever pruned: what a run did not measure stays accepted.
    """

    file_extension = "json"
    path: ClassVar[Path]
    model: ClassVar[str]
    provenance: ClassVar[dict[str, str]]
    accepted: ClassVar[Baseline | None]

    def serialize(self, data: Any, **_: Any) -> str:
        """An entry as the text that is compared and stored."""
        entry = {
            "level": data.level,
            "n": int(data.n),
            "prompts": data.prompts,
            "standard_error": round(float(data.standard_error), _DIGITS),
            "value": round(float(data.value), _DIGITS),
        }
        return json.dumps(entry, sort_keys=True)

    @classmethod
    def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
        """The gate's id, which the test passes as the name, behind the test's own name.

        syrupy warns of a name that does not begin with its test's; the file holds the id alone.
        """
        return f"{test_location.methodname} {index}"

    @staticmethod
    def _gate(snapshot_name: str) -> str:
        return snapshot_name.split(" ", 1)[1]

    @classmethod
    def get_location(cls, *, test_location: Any, index: Any) -> str:
        """The model's file, whichever test asks."""
        return str(cls.path)

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        """The folder of the model's file."""
        return str(cls.path.parent)

    @classmethod
    def matches_test_location(cls, *, test_location: Any, snapshot_location: str) -> bool:
        """One file serves all tests."""
        return True

    def is_snapshot_location(self, *, location: str) -> bool:
        """Whether ``location`` is the model's file."""
        return Path(location) == self.path

    def discover_snapshots(self, **_: Any) -> SnapshotCollections:
        """Nothing: syrupy must not prune what this run happened not to measure."""
        return SnapshotCollections()

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        """The stored text of one entry, None when there is none yet."""
        accepted = self.accepted
        entry = accepted.gates.get(self._gate(snapshot_name)) if accepted else None
        if accepted is None or entry is None:
            return None
        same = accepted.provenance == self.provenance
        # An equal value of other weights or conditions is written too: so are its conditions.
        return self.serialize(entry) if same else f"{self.serialize(entry)} otherwise"

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """Nothing: only asked for to find unused entries, and none is ever unused."""
        return SnapshotCollection(location=snapshot_location)

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: Any = None
    ) -> None:
        """Merge the entries of this process into the file and replace it as a whole."""
        path = Path(snapshot_collection.location)
        path.parent.mkdir(parents=True, exist_ok=True)
        guard = exclusive_file_lock(str(path)) if snapshot_file_lock_enabled() else nullcontext()
        with guard:
            gates: dict[str, Any] = {}
            if path.is_file():
                gates = _read(path, "remove it to begin anew")["gates"]
            gates |= {
                cls._gate(snapshot.name): json.loads(str(snapshot.data))
                for snapshot in snapshot_collection
            }
            content = {
                "schema_version": SCHEMA_VERSION,
                "model": cls.model,
                "provenance": cls.provenance,
                "gates": gates,
            }
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
            replace_atomic(str(temporary), str(path))

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Nothing: an entry is removed by hand, in a reviewed change."""

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """Both entries as text."""
        yield f"accepted: {snapshot_data or 'nothing'}"
        yield f"measured: {serialized_data}"


def extension_for(
    path: Path, model: str, provenance: Mapping[str, str], accepted: Baseline | None
) -> type[BaselineExtension]:
    """The syrupy extension that writes this model's file; ``accepted``: what it holds so far."""
    attributes = {
        "path": path,
        "model": model,
        "provenance": dict(provenance),
        "accepted": accepted,
    }
    return type("ModelBaseline", (BaselineExtension,), attributes)
