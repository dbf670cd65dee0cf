"""The answer store: whole transactions, shared, and never in the way."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from blindspot.errors import StoreError
from blindspot.plan.store import FILE_NAME, Store, key_of


def test_answers_come_back(tmp_path):
    """What was put is found by another process's store, whatever the text."""
    answers = {
        key_of("m", index): ["ü\n\ud800", True, 0.5, [-1.25, float("nan")]] for index in range(1200)
    }
    store = Store(tmp_path)
    store.put(answers)
    store.close()
    found = Store(tmp_path).get([*answers, key_of("other")])
    assert found.keys() == answers.keys()
    assert repr(found[key_of("m", 7)]) == repr(answers[key_of("m", 7)])


def test_keys_tell_parts_apart():
    """Parts do not run into each other, and every part counts."""
    keys = [key_of("ab", "c"), key_of("a", "bc"), key_of("a", ["b", "c"]), key_of("a", "b", "c")]
    assert len(set(keys)) == 4


def test_memory_store_leaves_nothing(tmp_path, monkeypatch):
    """Without a directory answers last as long as the store."""
    monkeypatch.chdir(tmp_path)
    store = Store(None)
    store.put({b"k": ["x", True, 0.0, []]})
    assert store.get([b"k"])
    store.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"not a database at all, but long enough to look like one" * 40,
        b"SQLite format 3\0" + b"\xff" * 5000,
    ],
    ids=["text", "damaged"],
)
def test_damaged_store_is_set_aside(tmp_path, content):
    """A broken file is kept under another name and a new one begun."""
    (tmp_path / FILE_NAME).write_bytes(content)
    store = Store(tmp_path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    store.put({b"k": ["x", True, 0.0, []]})
    assert store.get([b"k"])


def test_database_of_another_shape_is_set_aside(tmp_path):
    """A database with another table of that name is not written to."""
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("CREATE TABLE answers (something TEXT)")
    connection.commit()
    connection.close()
    store = Store(tmp_path)
    assert store.set_aside is not None
    store.put({b"k": ["x", True, 0.0, []]})


@pytest.mark.parametrize("place", ["file", "gone"])
def test_unusable_directory_is_named(tmp_path, place):
    """A directory that cannot be made is one line with the remedy."""
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    target = blocker if place == "file" else blocker / "below"
    with pytest.raises(StoreError, match="--store") as caught:
        Store(target)
    assert "blocker" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_killed_writer_leaves_whole_transactions(tmp_path):
    """A process killed while it writes leaves every transaction whole or absent."""
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from blindspot.plan.store import Store, key_of
        store = Store(Path({str(tmp_path)!r}))
        number = 0
        while True:
            store.put({{key_of(number, part): [str(number), True, 0.0, []] for part in range(50)}})
            print(number, flush=True)
            number += 1
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        told = -1
        for line in process.stdout:
            told = int(line)
            if told >= 5:
                break
        process.send_signal(signal.SIGKILL)
    store = Store(tmp_path)
    whole = [
        len(store.get(key_of(number, part) for part in range(50))) for number in range(told + 50)
    ]
    assert set(whole) <= {0, 50}
    assert all(count == 50 for count in whole[: told + 1])
