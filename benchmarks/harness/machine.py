"""What the machine does right now: how fast it multiplies, and how much memory a process takes."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

import torch


def rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product, the best that the machine does right now."""
    size = 8192 if device.startswith("cuda") else 1024 if dtype == torch.float32 else 256
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(6):
        synchronize(device)
        begin = time.perf_counter()
        torch.nn.functional.linear(one, other)
        synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - begin))
    return best


def synchronize(device: str) -> None:
    """Wait for what an accelerator still has to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def resident() -> int:
    """Bytes of memory that this process takes now."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return most_resident()


def most_resident() -> int:
    """Bytes of memory that this process has taken at most."""
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss would be that of the parent's too: Linux hands it on to what is started.
        lines = status.read_text(encoding="ascii").splitlines()
        (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
        return int(peak) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_most_resident() -> None:
    """Count the most memory from now on, where the system can."""
    file = Path("/proc/self/clear_refs")
    if file.is_file():
        file.write_text("5", encoding="ascii")
