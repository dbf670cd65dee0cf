"""llama.cpp's own server on loopback, with a bundled model as a GGUF file.

``python -m tests.unit.llama_server FILE`` serves a file as the model ``m`` until it is ended, and
prints its address.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.suite_runs import ROOT

ORGANISMS = ROOT / "fixtures" / "organisms"


def serve(path: Path) -> None:
    """Serve a file until the process is ended, in float32 throughout.

    Flash attention of the CPU moves these models' log-probabilities by up to 2e-3 nats.
    """
    import xllamacpp as llama

    wanted = llama.CommonParams()
    wanted.model.path, wanted.model_alias = str(path), {"m"}
    wanted.hostnames, wanted.port, wanted.n_threads_http = ["127.0.0.1"], 0, 4
    wanted.n_ctx, wanted.n_parallel = 1024, 4
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.cache_type_k = wanted.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    wanted.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = llama.Server(wanted)
    print(f"listening {server.listening_address}", flush=True)
    while True:
        time.sleep(60)


@contextmanager
def llama_server(directory: Path, name: str) -> Iterator[str]:
    """The address of a server of a bundled model."""
    from tests.unit.gguf_files import write

    path = write(directory / f"{name}.gguf", ORGANISMS / name)
    with serving(path, directory / f"{name}.log") as address:
        yield address


@contextmanager
def serving(path: Path, log_file: Path) -> Iterator[str]:
    """The address of a server of a file."""
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.llama_server", str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = next((line for line in process.stdout if line.startswith("listening ")), "")
            assert said, log_file.read_text("utf-8")
            yield f"{said.split()[1]}/v1"
        finally:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
