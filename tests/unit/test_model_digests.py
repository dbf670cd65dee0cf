"""Weights are told apart by what is in them, and read once."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from blindspot.errors import ModelError
from blindspot.models.options import ModelOptions
from blindspot.models.transformers import loader as loading
from blindspot.models.transformers.digests import content_digest, files_digest, stamps
from blindspot.paths import organism_directory

MODULE = "blindspot.models.transformers.digests"
PIECE = 1000


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Files of a kilobyte are large, and any file may be remembered at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(f"{MODULE}.PIECE", PIECE)
    monkeypatch.setattr(f"{MODULE}._SETTLED_NS", -1)


@pytest.fixture(name="reads")
def counted(monkeypatch):
    """Names of the files whose content was read."""
    read = []

    def digest(path):
        read.append(path.name)
        return content_digest(path)

    monkeypatch.setattr(f"{MODULE}.content_digest", digest)
    return read


@pytest.mark.parametrize("size", [0, 1, 999, 1000], ids="{}-bytes".format)
def test_small_file_has_its_sha256(tmp_path, size):
    """What any tool prints for it."""
    file = tmp_path / "weights"
    file.write_bytes(b"w" * size)
    assert content_digest(file) == hashlib.sha256(b"w" * size).hexdigest()


@pytest.mark.parametrize("size", [1001, 1999, 2000, 2001, 12_345], ids="{}-bytes".format)
def test_large_file_has_one_digest(tmp_path, size):
    """However many threads read its pieces; every byte and the size count."""
    file = tmp_path / "weights"
    content = bytearray(os.urandom(size))
    file.write_bytes(content)
    digest = content_digest(file)
    assert len(digest) == 64
    assert {content_digest(file, threads) for threads in (1, 2, 5, 30)} == {digest}
    others = {digest}
    for place in (0, PIECE - 1, PIECE, size - 1):
        content[place] ^= 1
        file.write_bytes(content)
        others.add(content_digest(file))
        content[place] ^= 1
    file.write_bytes(content + b"\0")
    others.add(content_digest(file))
    file.write_bytes(content[:PIECE] + content[PIECE:][::-1])
    others.add(content_digest(file))
    assert len(others) == 7 - (size == 1001) * 2  # there the last two bytes are those before them


@pytest.mark.parametrize("size", [100, 5000], ids=["small", "large"])
@pytest.mark.parametrize("how", ["in place", "replaced", "memory mapped"])
def test_overwritten_file_is_read_again(tmp_path, reads, size, how):
    """Also when the writer keeps the size and sets the old times: ctime and inode tell."""
    file = tmp_path / "weights"
    file.write_bytes(b"a" * size)
    os.utime(file, ns=(10**18, 10**18))
    first = files_digest([file], root=file.parent)
    assert files_digest([file], root=file.parent) == first
    assert reads == ["weights"]
    before = file.stat()
    time.sleep(0.02)  # the clock of ctime goes in steps of up to 10 ms
    if how == "in place":
        with file.open("r+b") as opened:
            opened.write(b"b")
    elif how == "replaced":
        (tmp_path / "new").write_bytes(b"b" + b"a" * (size - 1))
        (tmp_path / "new").replace(file)
    else:
        import mmap

        with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
            mapped[0] = ord("b")
            mapped.flush()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert files_digest([file], root=file.parent) != first
    assert reads == ["weights", "weights"]


def test_file_of_the_last_seconds_is_not_remembered(tmp_path, reads, monkeypatch):
    """Within a tick of the file system's clock it could change unseen."""
    monkeypatch.setattr(f"{MODULE}._SETTLED_NS", 3_000_000_000)
    file = tmp_path / "weights"
    file.write_bytes(b"a" * 5000)
    files_digest([file], root=file.parent)
    files_digest([file], root=file.parent)
    assert len(reads) == 2


def test_age_counts_from_when_reading_began(tmp_path, monkeypatch):
    """A file that was young then is not settled because reading it took long."""
    monkeypatch.setattr(f"{MODULE}._SETTLED_NS", 50_000_000)
    read = []

    def slow(path):
        read.append(path.name)
        time.sleep(0.1)
        return content_digest(path)

    monkeypatch.setattr(f"{MODULE}.content_digest", slow)
    file = tmp_path / "weights"
    file.write_bytes(b"a")
    files_digest([file], root=file.parent)
    files_digest([file], root=file.parent)
    files_digest([file], root=file.parent)
    assert len(read) == 2


def test_file_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch):
    """A checkpoint that is still being written has no digest."""
    file = tmp_path / "weights"
    file.write_bytes(b"a" * 5000)

    def written_meanwhile(path):
        digest = content_digest(path)
        with path.open("ab") as opened:
            opened.write(b"more")
        return digest

    monkeypatch.setattr(f"{MODULE}.content_digest", written_meanwhile)
    with pytest.raises(ModelError, match="weights changed while it was being read; run again"):
        files_digest([file], root=file.parent)
    monkeypatch.setattr(f"{MODULE}.content_digest", content_digest)
    assert files_digest([file], root=file.parent)


def test_digest_of_another_way_is_not_taken(tmp_path, reads):
    """What an earlier version remembered of a file is not what this one would find."""
    file = tmp_path / "weights"
    file.write_bytes(b"a" * 5000)
    digest = files_digest([file], root=file.parent)
    (memory,) = tmp_path.glob("cache/**/digests.json")
    stamp, _, known = json.loads(memory.read_text())[str(file)]
    for entry in ([stamp, "0" * 64], [stamp, PIECE + 1, "0" * 64], [stamp, PIECE, known, 1]):
        memory.write_text(json.dumps({str(file): entry}))
        assert files_digest([file], root=file.parent) == digest
    assert len(reads) == 4


def test_processes_read_a_large_file_once(tmp_path):
    """The workers of a run start together; one reads, the others wait for what it found."""
    file = tmp_path / "weights"
    file.write_bytes(b"a" * 5000)
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from blindspot.models.transformers import digests
        real = digests.content_digest
        def slow(path):
            print("read", flush=True)
            time.sleep(0.5)
            return real(path)
        digests.content_digest, digests.PIECE, digests._SETTLED_NS = slow, {PIECE}, -1
        digests.files_digest([Path({str(file)!r})], root=Path({str(tmp_path)!r}))
        """
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        )
        for _ in range(3)
    ]
    assert "".join(process.communicate()[0] for process in processes) == "read\n"


def test_weights_overwritten_while_they_are_loaded_are_told(tmp_path, monkeypatch):
    """The model in memory is the one whose digest was taken, or there is none."""
    monkeypatch.setattr(f"{MODULE}.PIECE", 2**26)
    path = tmp_path / "model"
    path.mkdir()
    for file in organism_directory("aware").iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    real = loading._from_pretrained

    def overwriting(prepared, options):
        model = real(prepared, options)
        weights = path / "model.safetensors"
        before = weights.stat()
        time.sleep(0.02)
        weights.write_bytes(weights.read_bytes())
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
        return model

    monkeypatch.setattr(loading, "_from_pretrained", overwriting)
    with pytest.raises(ModelError, match="overwritten while being read; run again"):
        loading.load(ModelOptions(str(path)))


def test_stamp_is_of_the_file_behind_a_link(tmp_path):
    """A hub snapshot links to its weights: what is linked to counts."""
    (tmp_path / "blob").write_bytes(b"a")
    (tmp_path / "link").symlink_to(tmp_path / "blob")
    assert stamps([tmp_path / "link"]) == stamps([tmp_path / "blob"])
