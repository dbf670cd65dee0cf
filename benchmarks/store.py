"""What the answer store and the fingerprints of checkpoints cost.

    python -m benchmarks.store [--gigabytes 2] [--models 12]

One row each: digesting a large file with one thread and with all, putting and reading the answers
of a whole run, opening, closing without and with eviction. Files lie in the temporary directory and
are removed. Rates are by elapsed time: run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blindspot.models.transformers.digests import content_digest
from blindspot.store import Store, key_of
from blindspot.store.place import LIMIT_VARIABLE, size_text

PROMPTS = 56_000  # all prompts of a model
UNIT = 1024


@contextmanager
def timed(what: str, size: float = 0, unit: str = "") -> Iterator[None]:
    """Print a row: what, seconds, seconds of all threads, and how much of it a second."""
    began, worked = time.perf_counter(), time.process_time()
    yield
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    rate = f"{size / seconds:12,.2f} {unit}/s" if size else ""
    print(f"{what:44}{seconds:9.3f} s {worked:9.3f} s of CPU{rate}", flush=True)


def digest_rows(directory: Path, gigabytes: float) -> None:
    """Digest one large file."""
    file = directory / "weights"
    block = os.urandom(2**24)
    with file.open("wb") as opened:
        for _ in range(max(1, int(gigabytes * 1e9 / len(block)))):
            opened.write(block)
    size = file.stat().st_size / 1e9
    for threads in sorted({1, 2, 4, min(os.cpu_count() or 1, 8)}):
        with timed(f"digest {size:.1f} GB, {threads} threads", size, "GB"):
            content_digest(file, threads)
    file.unlink()


def fill(directory: Path, model: str) -> None:
    """The answers of a whole run, unit by unit."""
    store = Store(directory)
    for first in range(0, PROMPTS, UNIT):
        store.of(model, model).put(
            {
                key_of(number): [f" wallet - white, {number}", True, 1.5, [-0.1234567, -6.5]]
                for number in range(first, min(PROMPTS, first + UNIT))
            }
        )
    store.close()


def store_rows(directory: Path, models: int) -> None:
    """Fill, read and evict."""
    os.environ[LIMIT_VARIABLE] = "none"
    with timed(f"put {PROMPTS:,} answers", PROMPTS, "answers"):
        fill(directory, "model 0")
    keys = [key_of(number) for number in range(PROMPTS)]
    with timed("open and close a known store"):
        store = Store(directory)
        store.of("model 0", "model 0")
        store.close()
    store = Store(directory)
    with timed(f"get {PROMPTS:,} answers", PROMPTS, "answers"):
        assert len(store.of("model 0", "model 0").get(keys)) == PROMPTS
    store.close()
    for number in range(1, models):
        fill(directory, f"model {number}")
    full = Store(directory).size()
    os.environ[LIMIT_VARIABLE] = str(full // 2)
    store = Store(directory)
    store.of("last", "last").put({key_of(1): ["x"]})
    with timed(f"evict half of {size_text(full)} ({models} models)", full / 2e6, "MB"):
        store.close()
    left = Store(directory).size()
    print(f"left: {size_text(left)}, limit {size_text(full // 2)}")
    store = Store(directory)
    store.of("last", "last").put({key_of(2): ["x"]})
    with timed("close after writing, nothing to evict"):
        store.close()


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the file to digest")
    parser.add_argument("--models", type=int, default=12, help="models in the store to evict from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        digest_rows(Path(name), arguments.gigabytes)
        store_rows(Path(name) / "store", arguments.models)


if __name__ == "__main__":
    main()
