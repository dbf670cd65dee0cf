"""Slots in which the tokens of many sequences lie side by side, each seeing its own beginnings.

A lane is a row of a forward pass. Its slots hold a tree of tokens in no order: where a token lies
does not matter, because its position is part of its key and a mask says what it sees. A beginning
is therefore kept once for all that share it, nothing is padded, and a slot that is let go of is
taken by the next token without moving any other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

#: Slot of what pads a pass: it sees itself, and nothing sees it.
PADDING = 0


class Lane:
    """Bookkeeping of one lane: which slots are taken, and what the token in each of them sees.

    A token stays as long as it is held: by those behind it, and by whoever called ``extend`` or
    ``hold`` and has not called ``release``.
    """

    def __init__(self, slots: int) -> None:
        """All slots are free but the padding's."""
        self.seen: NDArray[np.bool_] = np.zeros((slots, slots), np.bool_)
        self.seen[PADDING, PADDING] = True
        self._holders = [0] * slots
        self._parents = [-1] * slots
        self._free = list(range(slots - 1, PADDING, -1))
        self._left: list[int] = []

    @property
    def free(self) -> int:
        """Number of slots that can be taken now."""
        return len(self._free)

    def extend(self, parent: int, count: int) -> list[int]:
        """Take slots for tokens that follow each other behind ``parent`` (-1 for none).

        The last of them is held by the caller. The lowest free slots are taken, so that those that
        attention has to look at stay few.
        """
        slots = self._free[: -count - 1 : -1]
        del self._free[-count:]
        if parent >= 0:
            self._holders[parent] += 1
        index = np.array(slots)
        self.seen[index] = self.seen[parent] if parent >= 0 else False
        self.seen[index[:, None], index] = _EARLIER[:count, :count]
        for slot in slots:
            self._parents[slot], self._holders[slot] = parent, 1
            parent = slot
        return slots

    def hold(self, slot: int) -> None:
        """Keep a token and all before it until ``release``."""
        self._holders[slot] += 1

    def release(self, slot: int) -> None:
        """Let go of a token, and of those before it that nothing else needs.

        Their slots are free after the pass that is being put together, which may still read them.
        """
        while slot >= 0:
            self._holders[slot] -= 1
            if self._holders[slot]:
                return
            self._left.append(slot)
            slot = self._parents[slot]

    def passed(self) -> None:
        """A pass was computed: what was released before it is free."""
        if self._left:
            self._free += self._left
            self._free.sort(reverse=True)
            self._left.clear()

    def grow(self, slots: int) -> None:
        """Add slots."""
        before = len(self._parents)
        seen = np.zeros((before + slots, before + slots), np.bool_)
        seen[:before, :before] = self.seen
        self.seen = seen
        self._holders += [0] * slots
        self._parents += [-1] * slots
        self._free = [*range(before + slots - 1, before - 1, -1), *self._free]


#: Longest run of tokens that is added at once.
LONGEST_RUN = 512
_EARLIER = np.tri(LONGEST_RUN, dtype=np.bool_)


class SlotCache(DynamicCache):  # type: ignore[misc]
    """Keys and values of all lanes, (lanes, heads, slots, width) a layer.

    ``slots`` may be raised between passes.
    """

    def __init__(self, lanes: int, slots: int) -> None:
        super().__init__()
        self.lanes, self.slots = lanes, slots
        self.top = slots
        self._written = torch.empty(0)
        self._index: dict[tuple[int, torch.device], Tensor] = {}
        self.layer_class_to_replicate = partial(_SlotLayer, self)

    def place(self, slots: Tensor, top: int) -> None:
        """Say where the tokens of the next pass go.

        Args:
            slots: (lanes, tokens) int64 on the CPU.
            top: slots that attention looks at, from the first on.
        """
        self.top, self._written = top, slots
        self._index.clear()

    def index(self, heads: int, device: torch.device) -> Tensor:
        """Flat index (lane, head, token) of the next pass's tokens in buffers of many heads."""
        if (heads, device) not in self._index:
            planes = torch.arange(self.lanes * heads).view(self.lanes, heads, 1)
            flat = planes * self.slots + self._written[:, None, :]
            self._index[heads, device] = flat.flatten().to(device)
        return self._index[heads, device]


class _SlotLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one attention layer, written to the slots that its cache names."""

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()
        self._cache = cache
        self._buffers: list[Tensor] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (lanes, heads, tokens, width); returns views of all slots that are looked at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        parts = (key_states, value_states)
        if not self._buffers or self._buffers[0].shape[2] < self._cache.slots:
            self._buffers = [self._room(at, part) for at, part in enumerate(parts)]
        for buffer, part in zip(self._buffers, parts, strict=True):
            width = part.shape[-1]
            index = self._cache.index(part.shape[1], part.device)
            buffer.view(-1, width).index_copy_(0, index, part.reshape(-1, width))
        self.keys, self.values = (buffer[:, :, : self._cache.top] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self._cache.top

    def _room(self, at: int, part: Tensor) -> Tensor:
        lanes, heads, _, width = part.shape
        # Zeros: what is masked is still multiplied, by 0, and must be a number.
        room = part.new_zeros(lanes, heads, self._cache.slots, width)
        if self._buffers:
            room[:, :, : self._buffers[at].shape[2]] = self._buffers[at]
        return room
