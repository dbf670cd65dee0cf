"""Try in a child process what a user's file may make endless, before this process does it.

A chat template is a program, and a tokenizer's normalizer may expand a word into a book: neither
can be interrupted from within. A child process tries it once, with little time and memory.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Limits of a trial: a template renders in less than 0.01 s.
_SECONDS = 10
_MEMORY = 1024**3
#: The answer of a trial in bytes.
_ANSWER = 64 * 1024**2


class TrialError(Exception):
    """A trial took too long or too much memory; the message is a phrase."""


def tried(what: Callable[[], Any]) -> Any:
    """The result of a function called in a child process.

    Without fork (Windows) this process calls it.

    Args:
        what: returns a JSON value, and uses no threads or devices.

    Raises:
        TrialError: it exceeds its time or memory.
        ValueError: it raised an exception; the message is its type and message.
    """
    if not hasattr(os, "fork"):
        return what()
    reads, writes = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the child does not use
        child = os.fork()
    if child == 0:
        os.close(reads)
        _answer(what, writes)
    os.close(writes)
    try:
        raw = _read(reads, time.monotonic() + _SECONDS)
    finally:
        os.close(reads)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    try:
        kind, value = json.loads(raw)
    except ValueError:
        raise TrialError("it takes too much memory") from None
    if kind == "raised":
        raise ValueError(value)
    return value


def _read(reads: int, deadline: float) -> bytes:
    """The child's output."""
    found = bytearray()
    while True:
        ready, _, _ = select.select([reads], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TrialError("it does not finish")
        part = os.read(reads, 1 << 16)
        if not part:
            return bytes(found)
        found += part
        if len(found) > _ANSWER:
            raise TrialError("it produces too much text")


def _answer(what: Callable[[], Any], writes: int) -> None:
    """The child: call it, write the result, and exit without the parent's clean-up."""
    try:
        faulthandler.disable()  # it keeps a terminal of its own, and a library may abort
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        _limit()
        try:
            answer = ["gave", what()]
        except MemoryError:
            os._exit(1)
        except BaseException as error:  # the parent reports it
            answer = ["raised", str(error).strip() or type(error).__name__]
        with os.fdopen(writes, "wb") as file:
            file.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


def _limit() -> None:
    """Let the kernel end this process if nobody else is left to do it."""
    import resource

    used = 0
    with suppress(OSError, ValueError, IndexError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for limit, most in (
        (resource.RLIMIT_CPU, _SECONDS + 1),
        (resource.RLIMIT_AS, used + _MEMORY if used else resource.RLIM_INFINITY),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
