"""Where a model runs and in which numbers."""

from __future__ import annotations

import os
import sys

from blindspot.errors import ModelError
from blindspot.models.options import ModelOptions
from blindspot.models.transformers import accelerators
from blindspot.models.transformers.checkpoint import Checkpoint

_DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "half": "float16",
}
#: Read by OpenMP when torch is first imported. By default waiting threads spin, and on busy cores
#: they spin in each other's way: scoring 1,024 prompts on two busy cores took 20 CPU seconds with
#: two threads, 3 with two that sleep, 2.2 with one. A thread that sleeps at once is late for the
#: next of many short steps: on two idle cores 320 prompts took 1.3 s, and 0.9 s where it looks
#: 1,000 times first; on busy ones as long either way.
_OPENMP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def import_torch() -> None:
    """Import torch with threads that soon sleep; restores the environment afterwards."""
    added = (
        {} if "torch" in sys.modules else {k: v for k, v in _OPENMP.items() if k not in os.environ}
    )
    os.environ.update(added)
    try:
        import torch  # noqa: F401
    finally:
        for name in added:
            del os.environ[name]


def device(options: ModelOptions) -> str:
    """The device that runs the model: the one asked for, or the best there is.

    Raises:
        ModelError: it is unknown or absent, or named twice.
    """
    wanted = options.device
    if "device_map" in options.model_args and wanted != "auto":
        raise ModelError(
            f"--device {wanted} and device_map exclude each other; use only one of them"
        )
    if wanted == "cpu" or (wanted == "auto" and not accelerators.possible()):
        return "cpu"
    import_torch()
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(wanted).type
    except RuntimeError:
        raise ModelError(f"--device {wanted}: unknown; use cpu, cuda, cuda:1 or mps") from None
    seen = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not seen.get(kind, True):
        raise ModelError(f"--device {wanted}: torch {torch.__version__} sees none; use cpu")
    return wanted


def dtype(options: ModelOptions, checkpoint: Checkpoint, device: str) -> str:
    """The numbers it computes in, by torch's name: float32 on a CPU, else those of its files.

    Raises:
        ModelError: ``--dtype`` names none.
    """
    if options.dtype != "auto":
        if options.dtype not in _DTYPES:
            raise ModelError(f"--dtype {options.dtype}: use auto, float32, bfloat16 or float16")
        return _DTYPES[options.dtype]
    if device == "cpu":
        return "float32"
    config = checkpoint.config
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        stated = place.get("dtype") or place.get("torch_dtype")
        if stated in _DTYPES.values():
            return str(stated)
    return checkpoint.dtype
