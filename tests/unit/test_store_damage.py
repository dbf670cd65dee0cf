"""A store that is damaged, replaced, locked or not writable: one line, never wrong answers."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from blindspot.errors import StoreError
from blindspot.run import ask
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import load_stimuli
from blindspot.store import FILE_NAME, Store, key_of
from blindspot.store import file as module
from blindspot.store.file import BROKEN_NAME, AnswerFile, DamagedContent
from tests.unit.scripted import ScriptedModel

KEYS = [key_of("m", number) for number in range(3000)]
ANSWERS = {key: [f"answer {number} " * 5, True, 0.5, [-1.0]] for number, key in enumerate(KEYS)}


@pytest.fixture(name="directory")
def filled(tmp_path):
    """A store of some hundred pages."""
    store = Store(tmp_path)
    store.use("m", "model")
    store.put(ANSWERS)
    store.close()
    return tmp_path


def test_sound_store_is_not_set_aside(directory):
    """What the tests below damage is sound before."""
    lines = []
    store = Store(directory, told=lines.append)
    assert store.get(KEYS) == ANSWERS
    assert (store.set_aside, lines) == (None, [])


@pytest.mark.parametrize(
    "content",
    [
        b"not a database at all, but long enough to look like one" * 40,
        b"SQLite format 3\0" + b"\xff" * 5000,
    ],
    ids=["text", "only a head"],
)
def test_file_that_is_no_database_is_set_aside(tmp_path, content):
    """It is kept under another name, told in one line, and a new one begun."""
    (tmp_path / FILE_NAME).write_bytes(content)
    lines = []
    store = Store(tmp_path, told=lines.append)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    assert lines == [f"the answer store was damaged; it is kept as {store.set_aside}"]
    store.put(ANSWERS)
    store.close()
    assert Store(tmp_path).get(KEYS) == ANSWERS


@pytest.mark.parametrize("pages", [0.25, 1, 1.5, 3, 40, 40.5], ids=str)
def test_truncated_file_is_set_aside(directory, pages):
    """Cut off anywhere, at the border of a page and within one."""
    path = directory / FILE_NAME
    os.truncate(path, int(pages * 4096))
    lines = []
    store = Store(directory, told=lines.append)
    assert store.get(KEYS) == {}
    store.put(ANSWERS)
    assert store.get(KEYS) == ANSWERS
    assert len(lines) == 1


@pytest.mark.parametrize("size", [0, 1], ids=["zero", "one"])
def test_empty_file_is_a_new_store(directory, size):
    """A file of no length holds nothing to keep: it is filled without a word."""
    os.truncate(directory / FILE_NAME, size)
    lines = []
    store = Store(directory, told=lines.append)
    assert store.get(KEYS) == {}
    store.put(ANSWERS)
    store.close()
    assert Store(directory).get(KEYS) == ANSWERS
    assert lines == []


@pytest.mark.parametrize("garbage", [b"\xa5", b"\0"], ids=["noise", "zeros"])
@pytest.mark.parametrize("page", range(1, 60, 7), ids="page-{}".format)
def test_garbage_in_the_middle_gives_no_wrong_answer(directory, garbage, page):
    """A damaged page is found when it is read: every answer is right or asked anew."""
    with (directory / FILE_NAME).open("r+b") as file:
        file.seek(page * 4096)
        file.write(garbage * 4096)
    lines = []
    store = Store(directory, told=lines.append)
    found = store.get(KEYS)
    assert found.items() <= ANSWERS.items()
    store.put(ANSWERS)
    assert store.get(KEYS) == ANSWERS
    assert len(lines) <= 1


def test_every_flipped_byte_of_an_answer_is_noticed(directory):
    """SQLite does not look at what rows hold; we do."""
    content = (directory / FILE_NAME).read_bytes()
    place = content.index(b"answer 1234 answer 1234")
    for offset in (0, 7, 22):
        changed = bytearray(content)
        changed[place + offset] ^= 1
        (directory / FILE_NAME).write_bytes(changed)
        store = Store(directory)
        assert store.set_aside is None
        assert store.get(KEYS) == {}
        assert store.set_aside is not None
        store.close()


def test_damage_during_a_run_loses_no_answers(tmp_path):
    """A file that is damaged while a model is asked: what was lost is asked anew, once."""
    source = FixturePrompts(load_stimuli([]), 1)
    part = source.slices("implicit")[0]
    prompts = list(source.prompts(part))

    class Damaging(ScriptedModel):
        def score(self, requests, *, progress=None):
            os.truncate(tmp_path / FILE_NAME, 5000)
            return super().score(requests, progress=progress)

    expected = ask.ask(ScriptedModel("scripted:fair", [prompts]), prompts, Store(None))
    store = Store(tmp_path)
    ask.ask(ScriptedModel("scripted:fair@before", [prompts]), prompts, store)
    store.close()
    lines = []
    store = Store(tmp_path, told=lines.append)
    model = Damaging("scripted:fair", [prompts])
    assert ask.ask(model, prompts, store) == expected
    assert model.asked == len(prompts)
    store.close()
    again = ScriptedModel("scripted:fair", [prompts])
    assert ask.ask(again, prompts, Store(tmp_path)) == expected
    assert again.asked == 0
    assert len(lines) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE answers (something TEXT)",
        "CREATE TABLE models (something TEXT)",
        "CREATE VIEW answers AS SELECT 1 AS key, 2 AS answer, 3 AS checksum",
        "CREATE TABLE other (something TEXT); CREATE INDEX answers ON other (something)",
    ],
    ids=["answers", "models", "view", "index"],
)
def test_database_of_another_shape_is_set_aside(tmp_path, statement):
    """A database with another table of that name is not written to."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(statement)
    store = Store(tmp_path)
    assert store.set_aside is not None
    store.put(ANSWERS)
    assert store.get(KEYS) == ANSWERS


@pytest.mark.parametrize("how", ["set aside", "removed", "directory removed"])
def test_open_store_follows_a_replaced_file(directory, how):
    """A process whose file another one replaces goes on with the new one; nothing is torn."""
    store = Store(directory)
    store.use("m", "model")
    assert len(store.get(KEYS)) == len(KEYS)
    if how == "set aside":
        (directory / FILE_NAME).replace(directory / "elsewhere")
        other = Store(directory)
        other.put({KEYS[0]: ["new"]})
        assert store.get(KEYS) == {KEYS[0]: ["new"]}
        other.close()
    elif how == "removed":
        for path in directory.glob(f"{FILE_NAME}*"):
            path.unlink()
    else:
        shutil.rmtree(directory)
    mine = {key: ["mine"] for key in KEYS[1:]}
    store.put(mine)
    store.close()
    found = Store(directory).get(KEYS)
    assert found.items() >= mine.items()


def test_file_that_another_process_mended_is_not_set_aside_again(directory):
    """Of two that find the same damage the second takes up what the first has begun."""
    file = AnswerFile(directory / FILE_NAME, pytest.fail)
    answers = {KEYS[0]: ["new"]}
    found = []

    def damaged(connection):
        if not found:
            (directory / FILE_NAME).replace(directory / "mended")
            other = Store(directory)
            other.put(answers)
            other.close()
            found.append("damage")
            raise DamagedContent("as if")
        return connection.execute("SELECT key FROM answers").fetchall()

    assert file.read(damaged) == [(KEYS[0],)]
    file.close()
    assert Store(directory).get(KEYS) == answers


def test_processes_mend_one_store_together(tmp_path):
    """While others write, one damages the file again and again: each ends with right answers."""
    script = textwrap.dedent(
        f"""
        import os, random, sqlite3, sys
        from pathlib import Path
        from filelock import FileLock
        from blindspot.store import FILE_NAME, Store, key_of
        directory, number = Path({str(tmp_path)!r}), int(sys.argv[1])
        store, chance = Store(directory), random.Random(number)
        for round in range(60):
            keys = [key_of("m", chance.randrange(50), n) for n in range(20)]
            found = store.get(keys)
            assert all(found[key] == [key.hex()] for key in found), found
            store.put({{key: [key.hex()] for key in keys}})
            if number == 0 and round % 6 == 0:
                with FileLock(f"{{directory / FILE_NAME}}.lock"):
                    connection = sqlite3.connect(directory / FILE_NAME, timeout=60)
                    connection.execute("UPDATE answers SET answer = x'00'")
                    connection.commit()
                    connection.close()
                    with (directory / FILE_NAME).open("r+b") as file:
                        file.seek(4096 * chance.randrange(1, 12))
                        file.write(os.urandom(4096))
        store.close()
        """
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(number)],
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for number in range(4)
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    assert (tmp_path / BROKEN_NAME).exists()
    store = Store(tmp_path)
    keys = [key_of("m", a, n) for a in range(50) for n in range(20)]
    assert all(answer == [key.hex()] for key, answer in store.get(keys).items())


@pytest.mark.parametrize("place", ["file", "gone", "directory in its place"])
def test_unusable_directory_is_named(tmp_path, place):
    """A directory that cannot be made is one line with the remedy."""
    blocker = tmp_path / "blocker"
    target = blocker
    if place == "directory in its place":
        (blocker / FILE_NAME).mkdir(parents=True)
    else:
        blocker.write_text("")
        target = blocker if place == "file" else blocker / "below"
    with pytest.raises(StoreError, match="--store") as caught:
        Store(target)
    assert "blocker" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_locked_store_is_told(directory, monkeypatch):
    """A process that keeps the database locked is waited for, and then told of."""
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    store = Store(directory)
    with closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.get(KEYS) == ANSWERS, "reading waits for nobody"
        with pytest.raises(StoreError, match="another process has kept it locked"):
            store.put({KEYS[0]: ["x"]})
        with pytest.raises(StoreError, match="another process has kept it locked"):
            Store(directory)
        other.execute("ROLLBACK")
    store.put({KEYS[0]: ["x"]})
    assert (store.set_aside, list(directory.glob("*.broken"))) == (None, [])


@pytest.fixture
def unprivileged(monkeypatch):
    """A directory, and a user for whom permissions count: root may write everything."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        store = Store(directory)  # also imports all that is needed: a user may not see the library
        store.put(ANSWERS)
        store.close()
        if os.geteuid() != 0:
            yield directory
            directory.chmod(0o755)
            return
        for path in [directory, *directory.rglob("*")]:
            os.chown(path, 65534, -1)
        os.seteuid(65534)
        try:
            yield directory
        finally:
            os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("what", ["file", "directory", "empty directory"])
def test_read_only_store_is_told_before_anything_is_asked(unprivileged, what):
    """It is named when it is opened, and left as it is."""
    if what == "empty directory":
        for path in unprivileged.glob(f"{FILE_NAME}*"):
            path.unlink()
    elif what == "file":
        (unprivileged / FILE_NAME).chmod(0o444)
    if what != "file":
        unprivileged.chmod(0o555)
    before = contents(unprivileged)
    with pytest.raises(StoreError, match="--store") as caught:
        Store(unprivileged)
    assert str(unprivileged) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(unprivileged) == before


def contents(directory):
    """What is in a directory, beside the notes that SQLite makes of who reads."""
    files = (path for path in directory.iterdir() if path.is_file())
    return {
        path.name: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))
    }
