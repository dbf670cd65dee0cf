"""A store that is damaged, replaced, locked or not writable: one line, never wrong answers."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from blindspot.errors import StoreError
from blindspot.run import ask
from blindspot.run.source import FixturePrompts
from blindspot.stimuli import Selection, load_stimuli
from blindspot.store import Answers, Store, key_of
from blindspot.store import answers as module
from blindspot.store.answers import BROKEN, LOCK, SUFFIX
from blindspot.store.directory import FOLDER
from tests.unit.scripted import ScriptedModel

KEYS = [key_of(number) for number in range(3000)]
ANSWERS = {key: [f"answer {number} " * 5, True, 0.5, [-1.0]] for number, key in enumerate(KEYS)}


def opened(directory, told=lambda _: None):
    """The answers of the model in a store."""
    return Store(directory, told=told).of("m", "model")


@pytest.fixture(name="path")
def filled(tmp_path):
    """A file of some hundred pages."""
    answers = opened(tmp_path)
    answers.put(ANSWERS)
    answers.close()
    return answers.path


@pytest.fixture(name="empty")
def place(tmp_path):
    """Where the file of the model will be."""
    path = opened(tmp_path / "other").path
    (tmp_path / FOLDER).mkdir()
    return tmp_path / FOLDER / path.name


def test_sound_store_is_not_set_aside(tmp_path, path):
    """What the tests below damage is sound before."""
    lines = []
    assert opened(tmp_path, lines.append).get(KEYS) == ANSWERS
    assert lines == []
    assert not list(path.parent.glob(f"*{BROKEN}"))


@pytest.mark.parametrize(
    "content",
    [
        b"not a database at all, but long enough to look like one" * 40,
        b"SQLite format 3\0" + b"\xff" * 5000,
    ],
    ids=["text", "only a head"],
)
def test_file_that_is_no_database_is_set_aside(tmp_path, empty, content):
    """It is kept under another name, reported in one line, and a new one begun."""
    empty.write_bytes(content)
    lines = []
    answers = opened(tmp_path, lines.append)
    aside = empty.with_suffix(BROKEN)
    assert aside.read_bytes() == content
    assert lines == [f"the answer store was damaged; the file was moved to {aside}"]
    answers.put(ANSWERS)
    answers.close()
    assert opened(tmp_path).get(KEYS) == ANSWERS


def test_one_damaged_file_is_kept(tmp_path, empty):
    """The last one, whatever model it was of."""
    empty.write_bytes(b"no database " * 1000)
    opened(tmp_path).close()
    other = empty.with_name(f"other{SUFFIX}")
    other.write_bytes(b"no database either " * 1000)
    Answers(other, "other", print).close()
    assert list(empty.parent.glob(f"*{BROKEN}")) == [other.with_suffix(BROKEN)]


@pytest.mark.parametrize("pages", [0.25, 1, 1.5, 3, 40, 40.5], ids=str)
def test_truncated_file_is_set_aside(tmp_path, path, pages):
    """Cut off anywhere, at the border of a page and within one."""
    os.truncate(path, int(pages * 4096))
    lines = []
    answers = opened(tmp_path, lines.append)
    assert answers.get(KEYS) == {}
    answers.put(ANSWERS)
    assert answers.get(KEYS) == ANSWERS
    assert len(lines) == 1


@pytest.mark.parametrize("size", [0, 1], ids=["zero", "one"])
def test_empty_file_is_a_new_store(tmp_path, path, size):
    """A file of no length holds nothing to keep: it is filled without a word."""
    os.truncate(path, size)
    lines = []
    answers = opened(tmp_path, lines.append)
    assert answers.get(KEYS) == {}
    answers.put(ANSWERS)
    answers.close()
    assert opened(tmp_path).get(KEYS) == ANSWERS
    assert lines == []


@pytest.mark.parametrize("garbage", [b"\xa5", b"\0"], ids=["noise", "zeros"])
@pytest.mark.parametrize(
    "page",
    [pytest.param(n, marks=() if n % 3 == 2 else pytest.mark.slow) for n in range(1, 60, 7)],
    ids="page-{}".format,
)
def test_garbage_in_the_middle_gives_no_wrong_answer(tmp_path, path, garbage, page):
    """A damaged page is found when it is read: every answer is right or asked again."""
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(garbage * 4096)
    lines = []
    answers = opened(tmp_path, lines.append)
    assert answers.get(KEYS).items() <= ANSWERS.items()
    answers.put(ANSWERS)
    assert answers.get(KEYS) == ANSWERS
    assert len(lines) <= 1


def test_every_flipped_byte_of_an_answer_is_noticed(tmp_path, path):
    """SQLite does not look at what rows hold; we do, and ask again what is damaged, no more."""
    content = path.read_bytes()
    place = content.index(b"answer 1234 answer 1234")
    for offset in (0, 7, 22):
        changed = bytearray(content)
        changed[place + offset] ^= 1
        path.write_bytes(changed)
        lines = []
        answers = opened(tmp_path, lines.append)
        assert ANSWERS.keys() - answers.get(KEYS).keys() == {KEYS[1234]}
        assert len(lines) == 1
        answers.put({KEYS[1234]: ANSWERS[KEYS[1234]]})
        assert answers.get(KEYS) == ANSWERS
        answers.close()


@pytest.mark.parametrize(
    "row",
    [
        "no JSON",
        "[" * 100_000,
        "7",
        "null",
        '["text", true, 0.5]',
        '["text", true, 0.5, [-1.0]]',
        '["text", true, 0.5, [-1.0, null]]',
        '["text", true, 0.5, [-1.0, NaN]]',
        '["text", true, 0.5, [-1.0, true]]',
        '["text", true, 0.5, "ab"]',
        '["text", true, "0.5", [-1.0, -2.0]]',
        '["text", 1, 0.5, [-1.0, -2.0]]',
        "[7, true, 0.5, [-1.0, -2.0]]",
        '{"a": 1, "b": 2, "c": 3, "d": 4}',
    ],
    ids=range(14),
)
def test_rows_of_another_shape_are_asked_again(tmp_path, row):
    """A right checksum does not make an answer of anything."""
    source = FixturePrompts(load_stimuli([]), Selection(limit=1))
    prompts = list(source.prompts(source.slices("implicit")[0]))
    model = ScriptedModel("scripted:fair", [prompts])
    expected = ask.ask(model, prompts, Store(tmp_path))
    (path,) = (tmp_path / FOLDER).glob("*.sqlite3")
    key, content = ask.answer_key(prompts[3]), row.encode()
    with closing(sqlite3.connect(path)) as file:
        values = (content, zlib.crc32(content, zlib.crc32(key)), key)
        assert file.execute("UPDATE answers SET answer=?, checksum=? WHERE key=?", values).rowcount
        file.commit()
    lines = []
    for asked in (1, 0):
        model = ScriptedModel("scripted:fair", [prompts])
        assert ask.ask(model, prompts, Store(tmp_path, told=lines.append)) == expected
        assert model.asked == asked
    assert len(lines) == 1


def test_damage_during_a_run_loses_no_answers(tmp_path):
    """A file that is damaged while a model is asked: the answers of this run and the next hold."""
    source = FixturePrompts(load_stimuli([]), Selection(limit=1))
    part = source.slices("implicit")[0]
    prompts = list(source.prompts(part))

    class Damaging(ScriptedModel):
        def score(self, requests, *, progress=None):
            (path,) = (tmp_path / FOLDER).glob("*.sqlite3")
            os.truncate(path, 5000)
            return super().score(requests, progress=progress)

    expected = ask.ask(ScriptedModel("scripted:fair", [prompts]), prompts, Store(None))
    lines = []
    store = Store(tmp_path, told=lines.append)
    model = Damaging("scripted:fair", [prompts])
    store.of(model.identity.fingerprint(), "model").put(ANSWERS)
    store.close()
    store = Store(tmp_path, told=lines.append)
    assert ask.ask(model, prompts, store) == expected
    assert model.asked == len(prompts)
    store.close()
    again = ScriptedModel("scripted:fair", [prompts])
    assert ask.ask(again, prompts, Store(tmp_path)) == expected
    assert again.asked in (0, len(prompts))
    last = ScriptedModel("scripted:fair", [prompts])
    assert ask.ask(last, prompts, Store(tmp_path)) == expected
    assert last.asked == 0


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE answers (something TEXT)",
        "CREATE TABLE other (something TEXT)",
        "CREATE VIEW answers AS SELECT 1 AS key, 2 AS answer, 3 AS checksum",
        "CREATE TABLE other (something TEXT); PRAGMA user_version = 3",
    ],
    ids=["answers", "other", "view", "version"],
)
def test_database_of_another_shape_is_set_aside(tmp_path, empty, statement):
    """A database that is not ours is not written to."""
    with closing(sqlite3.connect(empty)) as connection:
        connection.executescript(statement)
    answers = opened(tmp_path)
    answers.put(ANSWERS)
    assert empty.with_suffix(BROKEN).exists()
    assert answers.get(KEYS) == ANSWERS


@pytest.mark.parametrize("how", ["set aside", "removed", "directory removed"])
def test_open_store_follows_a_replaced_file(tmp_path, path, how):
    """A process whose file another one replaces goes on with the new one; nothing is torn."""
    answers = opened(tmp_path)
    assert len(answers.get(KEYS)) == len(KEYS)
    if how == "set aside":
        path.replace(path.with_name("elsewhere"))
        other = opened(tmp_path)
        other.put({KEYS[0]: ["new"]})
        assert answers.get(KEYS) == {KEYS[0]: ["new"]}
        other.close()
    elif how == "removed":
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
    else:
        shutil.rmtree(path.parent)
    mine = {key: ["mine"] for key in KEYS[1:]}
    answers.put(mine)
    answers.close()
    assert opened(tmp_path).get(KEYS).items() >= mine.items()


def test_file_that_another_process_mended_is_not_set_aside_again(tmp_path, path):
    """Of two that find the same damage the second takes up what the first has begun."""
    answers = Answers(path, "model", pytest.fail)
    found = []

    def damaged(connection):
        if not found:
            path.replace(path.with_name("mended"))
            other = opened(tmp_path)
            other.put({KEYS[0]: ["new"]})
            other.close()
            found.append("damage")
            error = sqlite3.DatabaseError("as if")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return connection.execute("SELECT key FROM answers").fetchall()

    assert answers._do(damaged) == [(KEYS[0],)]
    answers.close()
    assert opened(tmp_path).get(KEYS) == {KEYS[0]: ["new"]}


def test_processes_mend_one_store_together(tmp_path):
    """While others write, one damages the file again and again: each ends with right answers."""
    script = textwrap.dedent(
        f"""
        import os, random, sqlite3, sys
        from contextlib import closing, suppress
        from pathlib import Path
        from filelock import FileLock
        from blindspot.store import Store, key_of
        number, held = int(sys.argv[1]), []
        answers, chance = Store(Path({str(tmp_path)!r})).of("m", "model"), random.Random(number)
        for round in range(60):
            keys = [key_of(chance.randrange(50), n) for n in range(20)]
            found = answers.get(keys)
            assert all(found[key] == [key.hex()] for key in found), found
            answers.put({{key: [key.hex()] for key in keys}})
            if number == 0 and round % 6 == 0:
                with FileLock(answers.path.with_name({LOCK!r})):
                    with closing(sqlite3.connect(answers.path, timeout=60)) as connection:
                        with suppress(sqlite3.DatabaseError):  # of the damage before
                            connection.execute("UPDATE answers SET answer = x'00'")
                            connection.commit()
                    # closing a file would release the locks that SQLite has on it in this process
                    held.append(answers.path.open("r+b", buffering=0))
                    held[-1].seek(4096 * chance.randrange(1, 12))
                    held[-1].write(os.urandom(4096))
        answers.close()
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
    keys = [key_of(a, n) for a in range(50) for n in range(20)]
    assert all(answer == [key.hex()] for key, answer in opened(tmp_path).get(keys).items())


@pytest.mark.parametrize("place", ["file", "gone", "directory in its place"])
def test_unusable_directory_is_named(tmp_path, place):
    """A directory that cannot be made is one line with the remedy."""
    blocker = tmp_path / "blocker"
    target = blocker
    if place == "directory in its place":
        path = opened(blocker).path
        for each in path.parent.iterdir():
            each.unlink()
        path.mkdir()
    else:
        blocker.write_text("")
        target = blocker if place == "file" else blocker / "below"
    with pytest.raises(StoreError, match="--store") as caught:
        opened(target)
    assert "blocker" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_answers_are_kept_otherwise_where_the_store_cannot_be(tmp_path):
    """The default directory is done without: one line, and the run keeps its own answers."""
    (tmp_path / "file").write_text("")
    lines = []
    store = Store(tmp_path / "file", told=lines.append, otherwise=Store(tmp_path / "run"))
    store.of("m", "model").put(ANSWERS)
    assert store.of("m", "model").get(KEYS) == ANSWERS
    store.close()
    assert opened(tmp_path / "run").get(KEYS) == ANSWERS
    assert len(lines) == 1
    assert lines[0].startswith("answers are stored for this run only: answer store ")


def test_locked_store_is_told(tmp_path, path, monkeypatch):
    """A process that keeps the database locked is waited for, and then reported."""
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    answers = opened(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert answers.get(KEYS) == ANSWERS, "reading waits for nobody"
        with pytest.raises(StoreError, match="another process has locked it"):
            answers.put({KEYS[0]: ["x"]})
        with pytest.raises(StoreError, match="another process has locked it"):
            opened(tmp_path)
        other.execute("ROLLBACK")
    answers.put({KEYS[0]: ["x"]})
    assert not list(path.parent.glob(f"*{BROKEN}"))


@pytest.fixture
def unprivileged(monkeypatch):
    """A directory, and a user for whom permissions count: root may write everything."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        answers = opened(directory)  # imports all that is needed: a user may not see the library
        answers.put(ANSWERS)
        answers.close()
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
    folder = unprivileged / FOLDER
    (path,) = folder.glob("*.sqlite3")
    if what == "empty directory":
        path.unlink()
    elif what == "file":
        path.chmod(0o444)
    if what != "file":
        folder.chmod(0o555)
    before = contents(folder)
    with pytest.raises(StoreError, match="--store") as caught:
        opened(unprivileged)
    assert str(unprivileged) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before


def contents(directory):
    """What is in a directory, beside the notes that SQLite makes of who reads."""
    return {
        path.name: path.read_bytes()
        for path in directory.iterdir()
        if not path.name.endswith(("-shm", "-wal"))
    }
