"""Accepting a model: what syrupy was given by the tests becomes the baseline, all of it or nothing.

Every process of a run leaves the entries of its tests in the run's scratch directory. When all have
ended, one process merges them into what the baseline holds and replaces the file as a whole. The
scores of the prompts are written first, under a name made of their content, so that the file always
names scores that belong to it, whenever a run is interrupted.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock
from syrupy.data import SnapshotCollection, SnapshotCollections
from syrupy.extensions.base import AbstractSyrupyExtension

from blindspot import files
from blindspot.baselines.file import DIGITS, SCHEMA_VERSION, Baseline, load_baseline
from blindspot.baselines.scores import Scores, read_scores

#: Entries that a process of the run accepted, in the run's scratch directory.
_PENDING = "accepted-*.json"


class BaselineExtension(AbstractSyrupyExtension):
    """Takes accepted entries from the tests of one process; subclasses name file and run.

    syrupy never prunes: what a run did not measure stays accepted, unless no test asks it any more.
    """

    file_extension = "json"
    path: ClassVar[Path]
    pending: ClassVar[Path]
    provenance: ClassVar[dict[str, str]]
    accepted: ClassVar[Baseline | None]

    def serialize(self, data: Any, **_: Any) -> str:
        """An entry as the text that is compared and stored."""
        entry = {
            "level": data.level,
            "n": int(data.n),
            "prompts": data.prompts,
            "standard_error": round(float(data.standard_error), DIGITS),
            "value": round(float(data.value), DIGITS),
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
        same = self.provenance.items() <= accepted.provenance.items() and accepted.scores_path
        # An equal value of other weights or conditions is written too: so are its conditions.
        return self.serialize(entry) if same else f"{self.serialize(entry)} otherwise"

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """Nothing: only asked for to find unused entries, and none is ever unused."""
        return SnapshotCollection(location=snapshot_location)

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: Any = None
    ) -> None:
        """Leave the entries of this process for `commit`."""
        entries = {
            cls._gate(snapshot.name): json.loads(str(snapshot.data))
            for snapshot in snapshot_collection
        }
        name = _PENDING.replace("*", f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
        (cls.pending / name).write_text(json.dumps(entries), "utf-8")

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Nothing: `commit` removes what no test of the whole suite asks."""

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """Both entries as text."""
        yield f"accepted: {snapshot_data or 'nothing'}"
        yield f"measured: {serialized_data}"


def extension_for(
    path: Path, pending: Path, provenance: Mapping[str, str], accepted: Baseline | None
) -> type[BaselineExtension]:
    """The syrupy extension of a run; ``accepted``: what the model's file holds so far."""
    attributes = {
        "path": path,
        "pending": pending,
        "provenance": dict(provenance),
        "accepted": accepted,
    }
    return type("ModelBaseline", (BaselineExtension,), attributes)


def pending_entries(directory: Path) -> dict[str, dict[str, Any]]:
    """What the processes of a run have accepted, by gate."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.glob(_PENDING)):
        entries |= json.loads(path.read_text("utf-8"))
    return entries


def commit(
    path: Path,
    model: str,
    provenance: Mapping[str, str],
    entries: Mapping[str, Mapping[str, Any]],
    scores: Scores,
    *,
    reason: str = "",
    removed: Collection[str] = (),
) -> None:
    """Merge accepted entries and scores into a baseline; the old one stays whole until the end.

    Args:
        path: the model's file.
        model: its name.
        provenance: conditions of the run.
        entries: what was accepted, by gate.
        scores: of the prompts that were asked.
        reason: why it was accepted.
        removed: gates that no test asks any more.

    Raises:
        BaselineError: the file that is there cannot be read.
        OSError: nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_of(path)):
        gates: dict[str, Any] = {}
        old = load_baseline(path) if path.is_file() else None
        if old is not None:
            gates = json.loads(path.read_text("utf-8"))["gates"]
            if old.scores_path is not None:
                scores = read_scores(old.scores_path).merged(scores)
        gates = {gate: gates[gate] for gate in gates.keys() - set(removed)}
        gates |= entries
        packed = scores.packed()
        beside = f"{path.stem}-{files.digest(packed)[:8]}.npz"
        content = {
            "schema_version": SCHEMA_VERSION,
            "model": model,
            "provenance": {
                **provenance,
                "prompt_set": _prompt_set(gates),
                "date": datetime.now(UTC).date().isoformat(),
                "accept_reason": reason,
            },
            "scores": beside,
            "gates": gates,
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        files.replace(path.with_name(beside), packed)
        files.replace(path, text)
        if old is not None and old.scores_path is not None and old.scores != beside:
            old.scores_path.unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    """A lock that runs on the same file share, outside of the directory that is under review."""
    name = files.digest(os.fsencode(path.resolve()))
    return Path(tempfile.gettempdir()) / f"blindspot-{name[:16]}.lock"


def _prompt_set(gates: Mapping[str, Mapping[str, Any]]) -> str:
    """Digest of the prompts of all gates."""
    return files.digest(
        *(part for gate in sorted(gates) for part in (gate, gates[gate]["prompts"]))
    )
