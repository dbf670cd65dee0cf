"""What a workload cannot do without: operations, and the memory that it takes.

Operations of a Llama, two for each multiplication with addition; d wide, n keys, P places:

    projection of a token    q: 2 d (heads x head width), k and v: 2 d (groups x head width) each
    attention of a token     4 (heads x head width) keys, then 2 d (heads x head width)
    gated layer of a token   6 d (inner width)
    answer of a token        2 d (vocabulary)

A patch at layer l and token p of a question of T tokens needs, beside the question itself, which is
run once: nothing of the blocks up to l, and nothing of the tokens before p; in block l + 1 only the
written token's projections (the others' are known), in the last block only keys and values of the
tokens and the rest of the last one; one answer. At the last layer with p < T - 1 it needs nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from residual_work import Job, Work
from torch.utils._python_dispatch import TorchDispatchMode


class Operations:
    """Counts what a Llama needs."""

    def __init__(self, config: Any) -> None:
        width, heads = config.hidden_size, config.num_attention_heads
        head = config.head_dim or width // heads
        self.layers: int = config.num_hidden_layers
        self._query = 2 * width * heads * head
        self._keys = 4 * width * config.num_key_value_heads * head
        self._key = 4 * heads * head
        self._rest = 2 * width * heads * head + 6 * width * config.intermediate_size
        self._answer = 2 * width * config.vocab_size

    def plain(self, work: Work) -> int:
        """Of (a): every token of every prompt through everything, for each generated token."""
        return sum(
            self._span(0, len(job.tokens) + step) * self.layers
            + (len(job.tokens) + step) * self._answer
            for job in work.jobs
            for step in range(max(1, work.new))
        )

    def needed(self, work: Work) -> int:
        """The least that gives the same numbers, prompt by prompt and patch by patch."""
        prompts = {job.tokens for job in work.jobs}
        total = sum(self._span(0, len(prompt)) * self.layers for prompt in prompts)
        return total + sum(self._patch(job) + self._further(job, work.new) for job in work.jobs)

    def _patch(self, job: Job) -> int:
        length, layer = len(job.tokens), job.window[0]
        place = min(position for position, _ in job.places)
        tokens, blocks = length - place, self.layers - 1 - layer
        if blocks == 0:
            return self._answer if tokens == 1 else 0
        one = self._query + self._rest + self._key * length
        last = tokens * self._keys + one
        if blocks == 1:
            return len(job.places) * self._keys + one + self._answer
        known = (tokens - len(job.places)) * (self._query + self._keys)
        return self._span(place, length) * (blocks - 1) - known + last + self._answer

    def _further(self, job: Job, new: int) -> int:
        """Of the generated tokens after the first."""
        return sum(
            self._span(at, at + 1) * self.layers + self._answer
            for at in range(len(job.tokens), len(job.tokens) + new - 1)
        )

    def _span(self, first: int, stop: int) -> int:
        """One block over tokens of a sequence."""
        keys = sum(range(first + 1, stop + 1))
        return (stop - first) * (self._query + self._keys + self._rest) + keys * self._key


class _Counter(TorchDispatchMode):
    """Adds up matrix products and attentions.

    torch's own counter takes every call apart, which made generation 10 times as slow, and does not
    see the attention that inference mode calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, called: Any, types: Any, given: Sequence[Any] = (), named: Any = None
    ) -> Any:
        out = called(*given, **(named or {}))
        kind = called.overloadpacket
        if kind in _PRODUCTS:
            self.total += 2 * out.numel() * given[_PRODUCTS[kind]].shape[-1]
        elif kind is torch.ops.aten.scaled_dot_product_attention:
            query, keys, values = (tensor.shape for tensor in given[:3])
            self.total += 2 * prod(query[:-1]) * keys[-2] * (query[-1] + values[-1])
        return out


#: Calls that multiply matrices, and which of their arguments has the summed axis last.
_PRODUCTS = {
    torch.ops.aten.linear: 0,
    torch.ops.aten.matmul: 0,
    torch.ops.aten.mm: 0,
    torch.ops.aten.bmm: 0,
    torch.ops.aten.addmm: 1,
    torch.ops.aten.baddbmm: 1,
}


def counted(run: Callable[[], object]) -> int:
    """Operations of all matrix products and attentions that really ran, in inference mode."""
    with torch.inference_mode(), _Counter() as counter:
        run()
    return counter.total


def rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product, the best that the machine does right now."""
    size = 8192 if device.startswith("cuda") else 1024 if dtype == torch.float32 else 256
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(3):
        synchronize(device)
        begin = time.perf_counter()
        one @ other
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


def peak_of_child(arguments: list[str]) -> dict[str, int]:
    """What a process of its own reports of a sweep: bytes ``model``, ``before`` and ``peak``."""
    script = Path(__file__).with_name("residual.py")
    done = subprocess.run(
        [sys.executable, str(script), "--memory", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found
