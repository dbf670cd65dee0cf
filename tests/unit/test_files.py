"""Files: whole or not at all, within limits, and one safe line for whatever is wrong."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from blindspot import files
from blindspot.errors import BaselineError, BlindspotError, StimulusError
from blindspot.files import digest, line, read, read_json, replace, writer
from blindspot.toml import read_toml


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    replace(path, "new \ud800")
    assert path.read_text() == "new \\ud800"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_the_process(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        replace(tmp_path / "file", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fill() -> None:
        with writer(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        replace(tmp_path / "directory", "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["directory", "file"]


def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_text("mine")
    path.symlink_to(target)
    replace(path, "new")
    assert target.read_text() == "mine"
    assert not path.is_symlink()
    assert path.read_text() == "new"


def test_texts_that_join_alike_have_digests_of_their_own() -> None:
    lists = [("a\nb",), ("a", "b"), ("ab",), ("a", "", "b"), ("a\n", "b")]
    assert len({digest(*texts) for texts in lists}) == len(lists)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _socket], ids=["pipe", "folder", "socket"])
def test_only_regular_files_are_read(make, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path("odd.toml")
    make(path)
    with pytest.raises(BaselineError, match=r"cannot be read \(not a regular file\); fix"):
        read(path, 100, "a baseline", error=BaselineError, remedy="fix it")
    with pytest.raises(StimulusError, match="not a regular file"):
        read_toml(path)


def test_a_device_is_not_read() -> None:
    with pytest.raises(BlindspotError, match="not a regular file"):
        read(Path("/dev/zero"), 100, "a report")


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "missing"])
def test_a_path_that_leads_nowhere_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(BlindspotError) as caught:
        read(tmp_path / name, 100, "a report")
    assert str(caught.value).isprintable()


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2**20 + 1))
    assert len(files.content(path, 2**20 + 1)) == 2**20 + 1
    with pytest.raises(BlindspotError, match="larger than 1 MiB, too large for a report"):
        read(path, 2**20, "a report")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON, perhaps truncated"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[1e999]", "too large for a number"),
        (b"[" + b"9" * 5000 + b"]", "a number has 5000 digits"),
    ],
)
def test_json_that_cannot_be_used_is_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(BlindspotError, match=reason) as caught:
        read_json(path, 2**20, "a report")
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "9" * 5000,
        "a = 0x" + "f" * 5000,
        "a = 9223372036854775808",
        "a = " + "[" * 100_000,
        "a." * 20_000 + "a = 1",
        ' "a" . ' * 20_000 + "a = 1",
        "[" + "a." * 20_000 + "a]",
        "a = 1\na = 2",
        "a = '",
        "\ufeff\ufeffa = 1",
    ],
    ids=str,
)
def test_toml_that_cannot_be_used_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text(content)
    with pytest.raises(StimulusError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_dots_in_texts_are_no_long_key(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text(f'a = "{"word, word. " * 100}"\nb = "{"." * 100}"\nc.d = "{"e " * 100}."\n')
    assert set(read_toml(path)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer, 漢字, a\u00a0b", "plain, größer, 漢字, a\u00a0b"),
        ("a\nb\r\t\x1b[31m\u202e\ud800", r"a\nb\r\t\x1b[31m\u202e\ud800"),
        ("::error title=x::y", r"\x3a:error title=x::y"),
        ("a ::error::y", r"a \x3a:error::y"),
        ("tests/a.py::test", "tests/a.py::test"),
        ("a ##[error]b", r"a ##\x5berror]b"),
    ],
)
def test_a_line_is_safe_to_print(text: str, shown: str) -> None:
    assert line(text) == shown
    assert str(BlindspotError(text)) == shown


def test_a_line_is_cut() -> None:
    assert line("abcdef", 4) == "abc…"
    assert line("abcd", 4) == "abcd"
