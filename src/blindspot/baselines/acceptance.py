"""Accepting a model: the entries that tests gave syrupy become the baseline, all or nothing.

Every process of a run leaves the entries of its tests in the run's scratch directory. When all have
ended, one process merges them into the baseline and replaces the file as a whole. The scores of the
prompts are written first, under a name derived from their content: the file always names scores
that belong to it, even if a run is interrupted.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from syrupy.data import SnapshotCollection
from syrupy.extensions.base import AbstractSyrupyExtension

from blindspot import files
from blindspot.baselines.comparison import differences
from blindspot.baselines.file import DIGITS, SCHEMA_VERSION, Baseline, load_baseline
from blindspot.baselines.scores import Scores, read_scores
from blindspot.errors import BaselineError

#: Entries that a process of the run accepted, in the run's scratch directory.
_PENDING = "accepted-*.json"
#: Seconds to wait for another run to write the same file, which takes it one or two.
PATIENCE_S = 60


class BaselineExtension(AbstractSyrupyExtension):
    """Collects accepted entries from the tests of one process; subclasses name file and run.

    syrupy never prunes: gates that a run did not measure stay accepted, unless no test has them any
    more.
    """

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
        """The model's file, the same for every test."""
        return str(cls.path)

    @classmethod
    def matches_test_location(cls, *, test_location: Any, snapshot_location: str) -> bool:
        """One file serves all tests."""
        return True

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        """The stored text of one entry, None when there is none yet."""
        accepted = self.accepted
        entry = accepted.gates.get(self._gate(snapshot_name)) if accepted else None
        if accepted is None or entry is None:
            return None
        same = self.provenance.items() <= accepted.provenance.items() and accepted.scores_path
        # An equal value with other weights or conditions is also written, to update its conditions.
        return self.serialize(entry) if same else f"{self.serialize(entry)} otherwise"

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: Any = None
    ) -> None:
        """Write the entries of this process for `commit`."""
        entries = {
            cls._gate(snapshot.name): json.loads(str(snapshot.data))
            for snapshot in snapshot_collection
        }
        name = _PENDING.replace("*", f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
        files.replace(cls.pending / name, json.dumps(entries))

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """Nothing: syrupy finds no file of ours, so none of it is ever unused."""
        return SnapshotCollection(location=snapshot_location)

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Nothing: `commit` removes gates that no test of the whole suite has."""


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

    One of other weights or conditions, all of whose gates were measured again, is replaced.

    Args:
        path: the model's file.
        model: its name.
        provenance: conditions of the run.
        entries: what was accepted, by gate.
        scores: of the prompts that were asked.
        reason: why it was accepted.
        removed: gates that no test has any more.

    Raises:
        BaselineError: the file that is there cannot be read.
        OSError: nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        gates: dict[str, Any] = {}
        old = load_baseline(path) if path.is_file() else None
        if old is not None and not differences(old, provenance):
            assert old.scores_path is not None, "that would be a difference"
            gates = {gate: asdict(entry) for gate, entry in old.gates.items()}
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
        files.replace(path.with_name(beside), packed)
        files.replace(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
        # Another name belongs to another baseline, of which this one is a copy.
        own = re.compile(rf"{re.escape(path.stem)}-[0-9a-f]{{8}}\.npz")
        if old is not None and old.scores != beside and own.fullmatch(old.scores):
            path.with_name(old.scores).unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of this model's baseline, across all hosts that share the file system.

    Raises:
        BaselineError: another run does not finish.
        OSError: nothing can be written there.
    """
    lock = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + PATIENCE_S
    while (handle := _taken(lock)) is None:
        if time.monotonic() > deadline:
            raise BaselineError(
                f"another run has been accepting this model for {PATIENCE_S} s; try again"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        with suppress(OSError):  # in a directory where only its owner may remove it
            lock.unlink()
        os.close(handle)


def _taken(lock: Path) -> int | None:
    """The lock, open and held; None while another process holds it.

    A file left by a killed run of another user does not block: it is readable, and nobody holds it.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(lock, os.O_RDWR | flags, 0o666)  # on NFS only writers lock others out
    except PermissionError:
        handle = os.open(lock, os.O_RDONLY | flags, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(PermissionError):
            os.fchmod(handle, 0o666)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        pass
    os.close(handle)  # held, or removed by the run that held it
    return None


def _prompt_set(gates: Mapping[str, Mapping[str, Any]]) -> str:
    """Digest of the prompts of all gates."""
    return files.digest(
        *(part for gate in sorted(gates) for part in (gate, gates[gate]["prompts"]))
    )
