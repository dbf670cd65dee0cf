"""The answer store stays within its limit: what was used longest ago goes, what is in use stays."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from filelock import FileLock

from blindspot.errors import StoreError
from blindspot.store import Store, key_of, store_limit
from blindspot.store.answers import LOCK
from blindspot.store.directory import FOLDER
from blindspot.store.place import LIMIT_VARIABLE, parse_size, size_text

ROWS = 2000
KEYS = [key_of(number) for number in range(ROWS)]


def answered(directory, model, lines=None):
    """A run of a model: its answers take some 300 KiB."""
    store = Store(directory, told=(lines if lines is not None else []).append)
    store.of(model, f"org/{model}").put({key: ["x" * 80, True] for key in KEYS})
    store.close()


def aged(directory):
    """Make all files a minute older: the next run is later, whatever the clock's step."""
    for path in (directory / FOLDER).glob("*.sqlite3"):
        used = path.stat().st_mtime - 60
        os.utime(path, (used, used))


def names(directory):
    return [model.name for model in Store(directory).models() if model.answers]


def size(directory):
    return Store(directory).size()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("10B", 10),
        ("1k", 1024),
        ("500M", 500 * 1024**2),
        ("500MB", 500 * 1024**2),
        ("500 MiB", 500 * 1024**2),
        ("1.5g", 1536 * 1024**2),
        ("2T", 2 * 1024**4),
        (" 7 ", 7),
    ],
    ids=lambda value: str(value).strip().replace(" ", "-"),
)
def test_sizes_are_read(monkeypatch, text, size):
    """Bytes, or powers of 1024 by their usual names."""
    assert parse_size(text) == size
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert store_limit() == size


NO_SIZES = {
    "word": "much",
    "negative": "-1",
    "points": "1.5.0",
    "unknown unit": "2X",
    "only a unit": "G",
    "power": "1e9",
    "nan": "nan",
    "inf": "inf",
    "square": "²",
    "digit of another script": "٣",
    "hexadecimal": "0x10",
    "endless": "9" * 400,
    "spaces": "1 G B",
    "lines": "1\nG",
}


@pytest.mark.parametrize("text", NO_SIZES.values(), ids=NO_SIZES)
def test_what_is_no_size_is_one_line(monkeypatch, tmp_path, text):
    """It names the variable, what it holds and what it may hold, before anything is opened."""
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(StoreError, match=f"{LIMIT_VARIABLE}=.*500M") as caught:
        Store(tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_default_limit(monkeypatch):
    """2 GiB; no limit at all has to be said."""
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    assert store_limit() == 2 * 1024**3
    monkeypatch.setenv(LIMIT_VARIABLE, "")
    assert store_limit() == 2 * 1024**3
    monkeypatch.setenv(LIMIT_VARIABLE, "None")
    assert store_limit() is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1024**2 - 1, "1 MiB"),
        (22_334_455, "21.3 MiB"),
        (2 * 1024**3, "2 GiB"),
        (5 * 1024**5, "5120 TiB"),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_sizes_are_shown(size, text):
    """At most four digits, and never 1024 of a unit that has a next."""
    assert size_text(size) == text


def test_least_recently_used_model_goes_first(tmp_path, monkeypatch):
    """Used is used: also a run that only reads keeps a model."""
    monkeypatch.setenv(LIMIT_VARIABLE, "none")
    for model in ("one", "two", "three"):
        answered(tmp_path, model)
        aged(tmp_path)
    store = Store(tmp_path)
    assert len(store.of("one", "org/one").get(KEYS)) == ROWS
    store.close()
    aged(tmp_path)
    lines = []
    monkeypatch.setenv(LIMIT_VARIABLE, "1M")
    answered(tmp_path, "four", lines)
    assert names(tmp_path) == ["org/three", "org/one", "org/four"]
    assert lines == [
        f"the answer store reached its limit of 1 MiB ({LIMIT_VARIABLE}) and "
        "removed the answers of org/two"
    ]
    store = Store(tmp_path)
    assert not store.of("two", "org/two").get(KEYS)
    assert all(len(store.of(model, "").get(KEYS)) == ROWS for model in ("one", "three", "four"))


def test_space_is_given_back(tmp_path, monkeypatch):
    """The store shrinks below the limit, and no file of what was removed is left."""
    monkeypatch.setenv(LIMIT_VARIABLE, "none")
    for model in ("one", "two", "three", "four"):
        answered(tmp_path, model)
        aged(tmp_path)
    assert size(tmp_path) > 1_200_000
    monkeypatch.setenv(LIMIT_VARIABLE, "700K")
    answered(tmp_path, "five")
    assert size(tmp_path) <= 700 * 1024
    assert names(tmp_path) == ["org/four", "org/five"]
    files = sorted(path.suffix for path in (tmp_path / FOLDER).iterdir())
    assert files == ["", ".sqlite3", ".sqlite3"]


def test_present_run_is_never_evicted(tmp_path, monkeypatch):
    """Whatever the limit: all models of this run stay, the reference as well as the candidate."""
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    store = Store(tmp_path)
    store.of("reference", "org/reference").put({key: ["r"] for key in KEYS})
    store.of("candidate", "org/candidate").put({key: ["c"] for key in KEYS})
    store.close()
    assert sorted(names(tmp_path)) == ["org/candidate", "org/reference"]
    answered(tmp_path, "next")
    assert names(tmp_path) == ["org/next"]


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_model_in_use_by_another_process_stays(tmp_path, monkeypatch, end):
    """As long as it lives; a killed one holds nothing."""
    answered(tmp_path, "used")
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from blindspot.store import Store
        store = Store(Path({str(tmp_path)!r}))
        store.of("used", "org/used")
        print("using", flush=True)
        sys.stdin.readline()
        store.close()
        """
    )
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "using\n"
        answered(tmp_path, "other")
        assert sorted(names(tmp_path)) == ["org/other", "org/used"]
        if end == "killed":
            process.send_signal(signal.SIGKILL)
        else:
            process.communicate("\n")
    answered(tmp_path, "last")
    assert names(tmp_path) == ["org/last"]


def test_reading_evicts_nothing(tmp_path, monkeypatch):
    """A run that knew all answers does not look at the size."""
    answered(tmp_path, "one")
    answered(tmp_path, "two")
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    store = Store(tmp_path)
    store.of("one", "org/one").get(KEYS)
    store.close()
    assert sorted(names(tmp_path)) == ["org/one", "org/two"]


def test_failing_eviction_does_not_fail_the_run(tmp_path, monkeypatch):
    """The next run will do it; this one says why it did not."""
    answered(tmp_path, "one")
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    monkeypatch.setattr("blindspot.store.answers.WAIT_S", 0.1)
    lines = []
    store = Store(tmp_path, told=lines.append)
    store.of("two", "org/two").put({key_of(1): ["x"]})
    with FileLock(tmp_path / FOLDER / LOCK):
        store.close()
    (line,) = lines
    assert "another process has locked it" in line
    assert sorted(names(tmp_path)) == ["org/one", "org/two"]


def test_last_name_of_a_model_counts(tmp_path):
    """The same weights at another path are the same model, by their new name."""
    answered(tmp_path, "one")
    store = Store(tmp_path)
    store.of("one", "elsewhere/\udcff")
    store.close()
    assert names(tmp_path) == ["elsewhere/\\udcff"]
