"""Whether two checkpoints are the same model: then a comparison of them says nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from blindspot.models.transformers.checkpoint import OTHER_SENSES, Checkpoint

#: What classes put in front of the name of a text model's tensor.
_PREFIX = re.compile(r"^(?:model\.|language_model\.|transformer\.)+")
#: The output layer, which checkpoints with a tied one may hold or not.
_OUTPUT = "lm_head.weight"
_PIECE = 2**22

#: Type, shape, file, and the first and last + 1 byte in it.
_Place = tuple[str, tuple[int, ...], Path, int, int]


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether every tensor of the text model is the same, byte by byte, in both.

    However they are split over files and whatever wraps the model. Different models differ in the
    first tensors that are read.
    """
    if one.header or other.header:
        files = (one.weights, other.weights)
        return len(files[0]) == len(files[1]) and all(
            _same_bytes((a, 0, a.stat().st_size), (b, 0, b.stat().st_size))
            for a, b in zip(*files, strict=True)
        )
    ours, theirs = dict(_places(one)), dict(_places(other))
    if (ours.keys() ^ theirs.keys()) - {_OUTPUT} or not ours:
        return False
    return all(
        ours[name][:2] == theirs[name][:2] and _same_bytes(ours[name][2:], theirs[name][2:])
        for name in ours.keys() & theirs.keys()
    )


def _places(checkpoint: Checkpoint) -> Iterator[tuple[str, _Place]]:
    """Where the tensors of the text model lie, by name."""
    for path in checkpoint.weights:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        for name, entry in header.items():
            if name != "__metadata__" and not OTHER_SENSES.search(name):
                begin, end = (8 + size + offset for offset in entry["data_offsets"])
                place = (entry["dtype"], tuple(entry["shape"]), path, begin, end)
                yield _PREFIX.sub("", name), place


def _same_bytes(one: tuple[Path, int, int], other: tuple[Path, int, int]) -> bool:
    (first, begin, end), (second, start, stop) = one, other
    if end - begin != stop - start:
        return False
    with first.open("rb") as a, second.open("rb") as b:
        a.seek(begin)
        b.seek(start)
        for left in range(end - begin, 0, -_PIECE):
            count = min(left, _PIECE)
            if a.read(count) != b.read(count):
                return False
    return True
