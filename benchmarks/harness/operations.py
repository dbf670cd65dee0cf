"""What a Llama cannot do without.

Operations of a Llama, two for each multiplication with addition; d wide, n keys, P places:

    projection of a token    q: 2 d (heads x head width), k and v: 2 d (groups x head width) each
    attention of a token     4 (heads x head width) keys, then 2 d (heads x head width)
    gated layer of a token   6 d (inner width)
    answer of a token        2 d (vocabulary)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Operations:
    """Counts what a Llama needs."""

    def __init__(self, config: Any) -> None:
        width, heads = config.hidden_size, config.num_attention_heads
        head = config.head_dim or width // heads
        self.layers: int = config.num_hidden_layers
        self.query = 2 * width * heads * head
        self.keys = 4 * width * config.num_key_value_heads * head
        self.key = 4 * heads * head
        self.rest = 2 * width * heads * head + 6 * width * config.intermediate_size
        self.answer = 2 * width * config.vocab_size

    def span(self, first: int, stop: int) -> int:
        """One block over tokens of a sequence."""
        keys = sum(range(first + 1, stop + 1))
        return (stop - first) * (self.query + self.keys + self.rest) + keys * self.key


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
