"""Valid inputs, damaged: bytes flipped, cut and doubled, values swapped for others of every kind.

Whatever reads one must end in a value or in one line that names the file, and soon.
"""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blindspot.errors import BlindspotError

#: What takes the place of a value, a key or a sign.
ODD = [
    *("1e999", "-1", "-0.0", "nan", "NaN", "inf", "-Infinity", "null", "true", "1e308", "1e-320"),
    *("0", "2", "0.5", "1.5", "9" * 25, "9" * 5000, "0x" + "f" * 2000, "18446744073709551616"),
    *('""', "[]", "{}", "[[]]", "[" * 3000, '{"a":' * 3000, "{a=" * 2000, "]", "}", ",", "=", '"'),
    *("'''", '"""', "[[gate]]", "a." * 200 + "a", '"\\ud800"', '"\\u0000"', '"\u202e"', "\ufeff"),
    *('"::error::x"', '"\\n::error::x"', '"\x1b[31m"', '"' + "n" * 5000 + '"', '"../x"', '"/"'),
    *("1979-05-27", "2999-12-31", "0001-01-01T00:00:00Z", '"{0.__class__}"', '"{first}"', '"{"'),
    *('"none"', '"*"', '"implicit"', '"generated"', '"default"', '" "', '"\u00a0"', '"İ"', '"ß"'),
]
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[^\w\s]')


def _swapped(text: str, rng: random.Random) -> str:
    """A text with one to three of its values, keys or signs replaced."""
    for _ in range(rng.randint(1, 3)):
        one, other = (_TOKEN.search(text, rng.randrange(len(text) + 1)) for _ in "12")
        if one and other:
            new = rng.choice((rng.choice(ODD), rng.choice(ODD), other[0], "", one[0] * 2))
            text = text[: one.start()] + new + text[one.end() :]
    return text


def _lines(text: str, rng: random.Random) -> str:
    """A text whose lines were doubled, dropped or moved."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 3)):
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one : one + rng.choice((0, 1))] = rng.choice(([], [lines[other]], [lines[one]] * 2))
        lines = lines or ["\n"]
    return "".join(lines)


def flipped(raw: bytes, rng: random.Random) -> bytes:
    """Bytes of which some were flipped, cut out or put in."""
    found = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[at : at + rng.choice((1, 10, 1000, 10**6))]
            case 2:
                found[at:at] = rng.randbytes(rng.choice((1, 8)))
            case _:
                found[at : at + 1] = bytes([(found[at] if at < len(found) else 0) ^ 0x20])
    return bytes(found)


def _encoded(raw: bytes, rng: random.Random) -> bytes:
    """A text as some editors save it."""
    match rng.randrange(4):
        case 0:
            return b"\xef\xbb\xbf" + raw
        case 1:
            return raw.replace(b"\n", rng.choice((b"\r\n", b"\r")))
        case _:
            return raw.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le")))


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """A valid text, damaged."""
    if rng.randrange(30) == 0:
        return _encoded(raw, rng)
    if rng.randrange(4) == 0:
        return flipped(raw, rng)
    change = rng.choice((_swapped, _swapped, _swapped, _lines))
    text = change(raw.decode("utf-8", "surrogateescape"), rng)
    return text.encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "surrogateescape")


def npz(raw: bytes, rng: random.Random) -> bytes:
    """Scores whose archive, head or columns were damaged."""
    if rng.random() < 0.5:
        return flipped(raw, rng)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.7:
        with np.load(io.BytesIO(raw)) as file:
            head = damaged(file["head"].tobytes(), rng)
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.frombuffer(head, np.uint8))
        members["head.npy"] = buffer.getvalue()
    else:
        name = rng.choice(list(members))
        members[name] = flipped(members[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def safetensors(raw: bytes, rng: random.Random) -> bytes:
    """Tensors of which the header, its length or the numbers were damaged."""
    size = int.from_bytes(raw[:8], "little")
    match rng.randrange(4):
        case 0:
            return flipped(raw, rng)
        case 1:
            return flipped(raw[: 8 + size], rng) + raw[8 + size :]
        case _:
            header = damaged(raw[8 : 8 + size], rng)
            return len(header).to_bytes(8, "little") + header + raw[8 + size :]


def gguf(raw: bytes, rng: random.Random) -> bytes:
    """A GGUF file of which the beginning or any byte was damaged."""
    found, at = bytearray(raw), rng.randrange(rng.choice((64, 1024, len(raw))))
    if rng.random() < 0.5:
        return (
            bytes(found[:at]) + flipped(bytes(found[at : at + 64]), rng) + bytes(found[at + 64 :])
        )
    number = rng.choice((0, 1, 2, 8, 9, 255, 2**31, 2**63, 2**64 - 1))
    size = rng.choice((1, 4, 8))
    found[at : at + size] = (number % 256**size).to_bytes(size, "little")
    return bytes(found)


@dataclass(frozen=True)
class Reader:
    """What is read, from which valid inputs, and how many damaged ones are tried in all.

    ``name``: of the file. ``beside``: a directory of which the other files lie beside it.
    """

    read: Callable[[Path], object]
    valid: Callable[[], list[bytes]]
    name: str
    tried: int
    damage: Callable[[bytes, random.Random], bytes] = damaged
    beside: Callable[[], Path] | None = None

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Where the file belongs; all else is there."""
        with tempfile.TemporaryDirectory() as directory:
            if self.beside is not None:
                shutil.copytree(self.beside(), directory, dirs_exist_ok=True)
            path = Path(directory) / self.name
            path.unlink(missing_ok=True)
            yield path

    def fault(self, path: Path) -> str:
        """The line that says what is wrong, "" if nothing is."""
        try:
            self.read(path)
        except BlindspotError as error:
            said = str(error)
            assert self.name in said or path.parent.name in said
            check_line(said)
            return said
        return ""

    def attempt(self, tried: int) -> None:
        """Read so many damaged inputs."""
        valid = self.valid()

        def one(rng: random.Random) -> None:
            with self.place() as path:
                path.write_bytes(self.damage(rng.choice(valid), rng))
                self.fault(path)

        each(tried, one)


#: Seconds of this process after which an input has hung; a busy machine does not count.
SECONDS = 20
#: Seconds after which it waits for something.
WAITS = 300


def each(tried: int, attempt: Callable[[random.Random], None]) -> None:
    """Make so many attempts; the message of one that fails or hangs names its seed."""

    def hang(*_: object) -> None:
        raise TimeoutError

    timers = ((signal.ITIMER_VIRTUAL, SECONDS), (signal.ITIMER_REAL, WAITS))
    before = [signal.signal(each, hang) for each in (signal.SIGVTALRM, signal.SIGALRM)]
    try:
        for seed in range(tried):
            for timer, seconds in timers:
                signal.setitimer(timer, seconds)
            try:
                attempt(random.Random(seed))
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise
    finally:
        for timer, _ in timers:
            signal.setitimer(timer, 0)
        for number, handler in zip((signal.SIGVTALRM, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def _directory(path: Path) -> None:
    path.mkdir()


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _empty(path: Path) -> None:
    path.touch()


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


#: What may lie where a file is expected.
OTHERS = (_directory, os.mkfifo, _endless, _circle, _nowhere, _empty, _huge)


def check_line(text: str) -> None:
    """One line, without what a terminal or GitHub would take for a command."""
    assert "\n" not in text
    assert "\x1b" not in text
    assert not text.startswith("::")
    assert text.isprintable() or re.search("[\u200c\u200d\\s]", text)
    assert len(text) < 3000
