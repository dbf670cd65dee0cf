"""Files of a baseline: what is in them is a value or one line; only its own are removed."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from blindspot.baselines import acceptance, load_baseline
from blindspot.baselines.acceptance import commit
from blindspot.baselines.comparison import check_replaceable, mismatches, vanished
from blindspot.baselines.file import SCHEMA_VERSION, Baseline, Entry
from blindspot.baselines.scores import Scores
from blindspot.errors import BaselineError
from blindspot.paths import BASELINES

GATE = "implicit/race-default-weapons/stereotype/generated"
ENTRY: dict[str, Any] = {
    "level": "category",
    "n": 12,
    "prompts": "0" * 16,
    "standard_error": 0.1,
    "value": 0.25,
}
CONDITIONS = {"weights": "a" * 64, "dtype": "float32"}


def written(path: Path, **changes: Any) -> Path:
    """A baseline file with changes."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "model": "org/name",
        "provenance": CONDITIONS,
        "scores": "",
        "gates": {GATE: ENTRY},
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_baselines_of_the_checkout_can_be_read() -> None:
    """Whatever was accepted there is of the version that is written today."""
    for path in sorted(BASELINES.glob("*.json")):
        assert load_baseline(path).gates, path


def test_what_is_accepted_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "org--name.json"
    commit(path, "org/name", CONDITIONS, {GATE: ENTRY}, Scores(), reason="why")
    found = load_baseline(path)
    assert found.gates == {GATE: Entry(**ENTRY)}
    assert found.provenance["accept_reason"] == "why"
    assert found.scores_path is not None
    assert {one.name for one in tmp_path.iterdir()} == {path.name, found.scores}


def entry(**changes: Any) -> dict[str, Any]:
    return {"gates": {GATE: ENTRY | changes}}


ODD = {
    "infinite count": entry(n="@1e999@"),
    "part of a count": entry(n=1.5),
    "large count": entry(n=10**300),
    "long value": entry(value=10**400),
    "large value": entry(value=1e300),
    "true": entry(value=True),
    "no number": entry(value=float("nan")),
    "negative": entry(standard_error=-1),
    "number for text": entry(prompts=3),
    "gate without a name": {"gates": {"": ENTRY}},
    "gate of a slash": {"gates": {"/": ENTRY}},
    "short gate": {"gates": {"a/b": ENTRY}},
    "list of gates": {"gates": [ENTRY]},
    "long scores": {"scores": "n" * 5000},
    "scores elsewhere": {"scores": "../other.npz"},
    "scores above": {"scores": ".."},
    "scores of a number": {"scores": 3},
    "no model": {"model": None},
    "odd condition": {"provenance": {"dtype": 1}},
    "odd version": {"schema_version": "2\n::error::x"},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_odd_values_are_one_line(changes: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "odd.json", **changes)
    path.write_text(path.read_text().replace('"@1e999@"', "1e999"))
    with pytest.raises(BaselineError, match="--snapshot-update") as caught:
        load_baseline(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_conditions_are_told_on_one_line() -> None:
    ((kind, how),) = mismatches({"dtype": "x\n::error title=a::b"}, {"dtype": "float32"})
    assert kind == "dtype"
    assert how.isprintable()


def test_only_the_own_scores_are_removed(tmp_path: Path) -> None:
    """A baseline that began as a copy of another names the other's scores."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    commit(first, "first", CONDITIONS, {GATE: ENTRY}, Scores())
    second.write_text(first.read_text())
    scores = load_baseline(first).scores
    commit(second, "second", CONDITIONS, {GATE: ENTRY}, Scores(), reason="copied")
    assert load_baseline(first).scores_path == tmp_path / scores
    assert load_baseline(second).scores != scores


def test_removed_gates_leave_the_file(tmp_path: Path) -> None:
    """Accepting a part keeps the rest; only what is named as removed goes."""
    path = tmp_path / "model.json"
    commit(path, "model", CONDITIONS, {GATE: ENTRY, f"{GATE}-2": ENTRY}, Scores())
    commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores())
    assert load_baseline(path).gates.keys() == {GATE, f"{GATE}-2"}
    commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores(), removed=[f"{GATE}-2"])
    assert load_baseline(path).gates.keys() == {GATE}


def test_a_run_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "PATIENCE_S", 0.2)
    path = tmp_path / "model.json"
    lock = tmp_path / ".model.json.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BaselineError, match="another run"):
            commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores())
    assert not path.exists()
    commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores())  # nobody holds what was left
    assert not lock.exists()


def test_links_in_the_directory_are_not_followed(tmp_path: Path) -> None:
    """Neither the lock nor a temporary file writes where a committed link points to."""
    target = tmp_path / "target"
    target.write_text("mine")
    directory = tmp_path / "baselines"
    directory.mkdir()
    path = directory / "model.json"
    for name in (".model.json.tmp", "model.json"):
        (directory / name).symlink_to(target)
    (directory / ".model.json.lock").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores())
    (directory / ".model.json.lock").unlink()
    (directory / "model.json").unlink()
    commit(path, "model", CONDITIONS, {GATE: ENTRY}, Scores())
    assert target.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_another_user_left_is_no_obstacle(tmp_path: Path) -> None:
    lock = tmp_path / ".model.json.lock"
    lock.touch(0o444)
    commit(tmp_path / "model.json", "model", CONDITIONS, {GATE: ENTRY}, Scores())
    assert not lock.exists()


def test_a_part_is_accepted_under_the_same_conditions_only(tmp_path: Path) -> None:
    gates = {GATE: Entry(**ENTRY), f"{GATE}-2": Entry(**ENTRY)}
    held = Baseline(tmp_path / "model.json", "model", CONDITIONS, gates)
    check_replaceable(held, "model", CONDITIONS, gates)
    with pytest.raises(BaselineError, match="dtype was float32, is bfloat16"):
        check_replaceable(held, "model", CONDITIONS | {"dtype": "bfloat16"}, [GATE])
    with pytest.raises(BaselineError, match="the same file name"):
        check_replaceable(held, "other", CONDITIONS, gates)


def test_gates_that_no_test_asks_have_vanished(tmp_path: Path) -> None:
    other = "implicit/race-names-weapons/stereotype/generated"
    gap = "gap/race-default-weapons/gap/generated"
    gates = {gate: Entry(**ENTRY) for gate in (GATE, other, gap)}
    held = Baseline(tmp_path / "model.json", "model", CONDITIONS, gates)
    assert vanished(held.gates, {GATE: "category"}, whole=False) == [other]
    assert vanished(held.gates, {GATE: "category"}, whole=True) == [gap, other]
