"""Which accelerators a process may use, without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
#: Device files of GPUs: NVIDIA's, those of its small boards, AMD's, and Windows' own below Linux.
_FILES = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")
_DEVICES = Path("/dev")
_PATIENCE_S = 30


def possible() -> bool:
    """Whether there may be an accelerator; if not, there is no need to ask torch."""
    if not sys.platform.startswith("linux"):
        return True
    return any(next(_DEVICES.glob(name), None) is not None for name in _FILES)


def visible_gpus() -> tuple[str, ...]:
    """The CUDA devices that this process may use, by the names that ``CUDA_VISIBLE_DEVICES`` takes.

    Read like CUDA does: in its order, up to the first that does not exist.
    """
    count = _count()
    given = os.environ.get(VISIBLE)
    if given is None:
        return tuple(map(str, range(count)))
    found: list[str] = []
    for name in filter(None, (name.strip() for name in given.split(","))):
        if name in found or (name.lstrip("-").isdecimal() and not 0 <= int(name) < count):
            break
        found.append(name)
    return tuple(found) if count else ()


def _count() -> int:
    """GPUs of this machine, including those that this process may not use."""
    if command := shutil.which("nvidia-smi"):
        try:
            done = subprocess.run(
                [command, "--list-gpus"],
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return _asked_of_torch()
        if done.returncode == 0:
            return sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    return _asked_of_torch() if possible() else 0


def _asked_of_torch() -> int:
    import torch

    return torch.cuda.device_count()
