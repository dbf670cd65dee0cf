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
from pathlib import Path

from tests.unit.suite_runs import ROOT

PYTHON = ROOT / ".vllm" / "bin" / "python"
#: Seconds until it listens; importing vLLM takes most of them.
_START_S = 600


@contextmanager
def vllm_server(model: Path, adapter: Path, log_file: Path) -> Iterator[str]:
    """The address of a server of a model as ``m``, and as ``adapted`` with an adapter.

    Raises:
        RuntimeError: it did not start; the end of its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(model), "--served-model-name", "m", "--dtype", "float32"),
        *("--max-model-len", "256", "--max-num-seqs", "8", "--block-size", "32"),
        *("--enforce-eager", "--no-enable-prefix-caching", "--generation-config", "vllm"),
        *("--enable-lora", "--max-lora-rank", "8", "--lora-modules", f"adapted={adapter}"),
    ]
    alone = {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | alone,
            cwd=log_file.parent,  # where no directory is called vllm
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log_file)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM did not start: {log_file.read_text('utf-8')[-4000:]}")
