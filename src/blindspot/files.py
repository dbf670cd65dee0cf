"""Files: written whole or not at all, read within limits, and digests of their content.

A path from the user is opened only if it is a regular file: a pipe would block, and a device may
never end.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from blindspot.errors import BlindspotError, line

__all__ = [
    "append",
    "content",
    "digest",
    "is_directory",
    "is_file",
    "line",
    "parse_json",
    "read",
    "read_json",
    "replace",
    "writer",
]

#: Digits of an integer in JSON: those of 64 bits, and a sign.
_DIGITS = 20


@contextmanager
def writer(path: Path) -> Iterator[BinaryIO]:
    """A file to write into; it replaces ``path`` when the block ends without an error.

    It is created beside ``path`` under a random name and follows no link. It takes over the
    permissions of the file it replaces, otherwise those of the process.

    Raises:
        OSError: nothing can be written there. ``path`` is unchanged, and no file is left beside it.
    """
    temporary = path.with_name(f".blindspot-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(mode := path.lstat().st_mode):
                    os.fchmod(handle, stat.S_IMODE(mode))
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes | str) -> Path:
    """Write a file; an older one stays whole until the new one is complete.

    Lone surrogates, which UTF-8 cannot encode, are escaped.

    Raises:
        OSError: nothing can be written there.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with writer(path) as file:
        file.write(content)
    return path


def append(path: Path, text: str) -> None:
    """Append to a regular file, created if it is missing.

    Raises:
        OSError: nothing can be written there, or it is a pipe or a device.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        file.write(text.encode("utf-8", "backslashreplace"))


def digest(*parts: str | bytes) -> str:
    """Sha256 of the parts, each behind its length, hexadecimal: no two lists share a digest."""
    found = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(raw).to_bytes(8, "big"))
        found.update(raw)
    return found.hexdigest()


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False if the path cannot be examined."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_directory(path: Path) -> bool:
    """Whether there is a directory; False if the path cannot be examined."""
    try:
        return path.is_dir()
    except OSError:
        return False


def content(path: Path, limit: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read, is not a regular file or is larger than ``limit`` bytes;
            ``strerror`` says which.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a path with a NUL
        raise OSError(errno.EINVAL, "not a valid path on this system") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):  # replaced meanwhile
            raise OSError(errno.EINVAL, "not a regular file")
        found = b"" if status.st_size > limit else file.read(limit + 1)
    if status.st_size > limit or len(found) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit / 2**20:,.0f} MiB")
    return found


def parse_json(raw: bytes, *, unique: bool = False) -> Any:
    """JSON in UTF-8, with finite numbers, integers within 64 bits and bounded depth.

    Raises:
        ValueError: it is not; the message is one line.
    """
    try:
        return json.loads(
            raw.decode("utf-8-sig"),
            parse_constant=_not_a_number,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_unique if unique else None,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not valid JSON, perhaps truncated: {error.msg} (line {error.lineno}, "
            f"column {error.colno})"
        ) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{line(text, 40)} is too large for a number")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"holds {line(key, 60)!a} twice")
        found[key] = value
    return found


def read(
    path: Path,
    limit: int,
    what: str,
    *,
    error: type[BlindspotError] = BlindspotError,
    remedy: str = "check the path",
) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        limit: bytes that it may hold.
        what: it is, such as "a baseline".
        error: what is raised.
        remedy: what the user can do.

    Raises:
        BlindspotError: one line with the file, the reason and the remedy.
    """
    found: bytes = _parsed(path, limit, what, error, remedy, bytes)
    return found


def read_json(
    path: Path,
    limit: int,
    what: str,
    *,
    error: type[BlindspotError] = BlindspotError,
    remedy: str = "check the path",
) -> Any:
    """The JSON in a regular file; as `read`."""
    return _parsed(path, limit, what, error, remedy, parse_json)


def _parsed(
    path: Path,
    limit: int,
    what: str,
    error: type[BlindspotError],
    remedy: str,
    parse: Callable[[bytes], Any],
) -> Any:
    try:
        return parse(content(path, limit))
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        if fault.errno == errno.EFBIG:
            reason += f", too large for {what}"
    except ValueError as fault:
        reason = line(fault, 200)
    raise error(f"{line(path)}: cannot be read ({reason}); {remedy}")
