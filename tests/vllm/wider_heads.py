"""The bundled models with wider heads: vLLM's attention on a CPU knows no heads of 24."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

#: Width of a head that vLLM has.
WIDTH = 32


def widen(checkpoint: Path, target: Path) -> Path:
    """Write a llama checkpoint that computes the same with heads of `WIDTH`.

    New rows of queries, keys and values are 0. Queries make up for the square root of the width by
    which their products are divided. A larger base leaves the angles of the old rows as they were.
    """
    shutil.copytree(checkpoint, target)
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    width = config["head_dim"]
    rope = config["rope_parameters"]
    rope["rope_theta"] = round(rope["rope_theta"] ** (WIDTH / width), 6)
    (target / "config.json").write_text(json.dumps(config | {"head_dim": WIDTH}))
    tensors = load_file(checkpoint / "model.safetensors")
    for name, weight in tensors.items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            scale = (WIDTH / width) ** 0.5 if "q_proj" in name else 1.0
            tensors[name] = _rows(weight * np.float32(scale), width, halves=2)
        elif name.endswith("v_proj.weight"):
            tensors[name] = _rows(weight, width, halves=1)
        elif name.endswith("o_proj.weight"):
            tensors[name] = np.ascontiguousarray(_rows(weight.T, width, halves=1).T)
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    return target


def _rows(weight: Any, width: int, *, halves: int) -> Any:
    """(head * width, column) as (head * WIDTH, column), each half of a head by itself."""
    heads = weight.reshape(-1, halves, width // halves, weight.shape[-1])
    found = np.pad(heads, ((0, 0), (0, 0), (0, (WIDTH - width) // halves), (0, 0)))
    return np.ascontiguousarray(found.reshape(-1, weight.shape[-1]))
