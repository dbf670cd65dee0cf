"""What the commands of the benchmarks share: options, targets, child processes, the JSON file."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark; ``description``: the module's docstring."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--quick", action="store_true", help="under 5 minutes on two cores")
    made.add_argument("--smoke", action="store_true", help="tiny model, seconds: does it run?")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    made.add_argument("--threads", type=int, default=0, help="of torch; default: its own")
    made.add_argument("--device", default="cpu", help="cpu, or cuda for a Llama-3-8B shape")
    made.add_argument("--dtype", choices=DTYPES, help="of the random models")
    return made


def dtype_of(options: argparse.Namespace) -> torch.dtype:
    """Type of the random models' weights; sets torch's threads."""
    if options.threads:
        torch.set_num_threads(options.threads)
    cuda = options.device.startswith("cuda")
    return DTYPES[options.dtype or ("bfloat16" if cuda else "float32")]


def print_machine(options: argparse.Namespace, dtype: torch.dtype) -> None:
    """Print what computes."""
    cuda = options.device.startswith("cuda")
    machine = torch.cuda.get_device_name() if cuda else f"{platform.processor()} CPU"
    print(f"torch {torch.__version__} on {machine}, {torch.get_num_threads()} threads, {dtype}")


def target(what: str, found: float, wanted: float) -> dict[str, Any]:
    """How many times faster (or smaller) it is, at least how many it should be, and the verdict."""
    return {"what": what, "is": found, "wanted": wanted, "reached": found >= wanted}


def print_targets(reached: Sequence[dict[str, Any]], name: str) -> None:
    """Print which targets were reached on a model."""
    print(f"\ntargets, on {name}")
    for one in reached:
        said = "reached" if one["reached"] else "MISSED"
        print(f"  {one['what']:80} {one['is']:7.2f}   wanted {one['wanted']:3.0f}   {said}")


def child(module: str, *arguments: str) -> Any:
    """The JSON value in the last line that a benchmark prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def write(file: Path | None, found: dict[str, Any]) -> None:
    """Write all numbers, where ``--json`` asks for it."""
    if file is not None:
        found |= {"threads": torch.get_num_threads()}
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
