"""What a packed pass need not compute: most of the last block, and all logits at once.

Nothing looks at what the last block's feed-forward layer makes of a token after which no prediction
is read: a twelfth of the work on such tokens in a model of twelve blocks, of which it is two
thirds. What it has to compute is multiplied in the faster way. These shortcuts are tried, like
packing itself, before they are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from blindspot.models.transformers.products import quickened, quicker

#: What models call the feed-forward layer of a block.
_FEED_FORWARD = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(?:mlp|feed_forward|ffn)$")


class Shortcuts:
    """Parts of a model that packed passes spare it; empty where it has none that we know."""

    def __init__(self, model: Any) -> None:
        """Find the parts."""
        head = model.get_output_embeddings()
        plain = type(head) is torch.nn.Linear and head.weight.device.type == "cpu"
        #: The output layer, where we apply it.
        self.head: torch.nn.Linear | None = head if plain else None
        self._feed_forward: Any = _last_feed_forward(model)
        #: Layers that are multiplied in a faster way.
        self.quickened = [layer for layer in quickened(model) if layer is not head]

    def forget(self) -> None:
        """Take none of them."""
        self.head = self._feed_forward = None
        self.quickened = []

    @contextmanager
    def taken(self, reads: Tensor) -> Iterator[list[Tensor]]:
        """Take them in the pass within; what the output layer is given is put into the list.

        Args:
            reads: (reads,) int64 on the CPU, flat numbers of the tokens that are read.
        """
        given: list[Tensor] = []
        with ExitStack() as stack:
            stack.enter_context(quicker(self.quickened))
            if self.head is not None:
                hook = self.head.register_forward_pre_hook(_keeping(given))
                stack.callback(hook.remove)
            if self._feed_forward is not None and len(reads):
                spared = _Spared(reads)
                module = self._feed_forward
                stack.callback(module.register_forward_pre_hook(spared.before).remove)
                stack.callback(module.register_forward_hook(spared.after).remove)
            yield given


def _keeping(given: list[Tensor]) -> Any:
    """A hook that keeps what a layer is given, (1, reads, width), and has it compute nothing."""

    def keep(_module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given.append(arguments[0][0])
        return (arguments[0][:, :0], *arguments[1:])

    return keep


class _Spared:
    """Hooks around a layer that is to see only some tokens."""

    def __init__(self, reads: Tensor) -> None:
        self._reads = reads
        self._shape: torch.Size | None = None

    def before(self, _module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """From (lanes, width, hidden) to (1, reads, hidden)."""
        self._shape = arguments[0].shape
        self._reads = self._reads.to(arguments[0].device)
        return (arguments[0].flatten(0, 1)[self._reads][None], *arguments[1:])

    def after(self, _module: Any, _arguments: Any, output: Any) -> Any:
        """Back again, 0 for the others."""
        assert self._shape is not None
        whole = output.new_zeros(self._shape).flatten(0, 1)
        whole[self._reads] = output[0]
        return whole.view(self._shape)


def _last_feed_forward(model: Any) -> Any:
    found: dict[int, list[Any]] = {}
    for name, module in model.named_modules():
        if match := _FEED_FORWARD.search(name):
            found.setdefault(int(match[1]), []).append(module)
    last = found.get(max(found, default=0), [])
    return last[0] if len(last) == 1 else None
