"""vLLM's own server on loopback, in the environment that `make test-vllm` installs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.unit.suite_runs import ROOT

PYTHON = ROOT / ".vllm" / "bin" / "python"
#: Seconds until it listens: it imports vLLM twice, on a busy machine for minutes.
_START_S = 900


@dataclass(frozen=True)
class VllmServer:
    """A server that was started, and may not listen yet."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @cached_property
    def address(self) -> str:
        """Where its endpoints are; waits until it listens.

        Raises:
            RuntimeError: it did not start; the end of its log.
        """
        end = time.monotonic() + _START_S
        while self.process.poll() is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return f"http://127.0.0.1:{self.port}/v1"
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise RuntimeError(f"vLLM did not start: {self.log.read_text('utf-8')[-4000:]}")


@contextmanager
def vllm_server(model: Path, log: Path, *arguments: str) -> Iterator[VllmServer]:
    """A server of a model as ``m``, in float32; ``arguments``: of vLLM beside those of all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(model), "--served-model-name", "m", "--dtype", "float32"),
        *("--max-model-len", "256", "--max-num-seqs", "8", "--block-size", "32"),
        *("--enforce-eager", "--no-enable-prefix-caching", "--generation-config", "vllm"),
        *arguments,
    ]
    alone = {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            env=os.environ | alone,
            cwd=log.parent,  # where no directory is called vllm
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield VllmServer(process, port, log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
