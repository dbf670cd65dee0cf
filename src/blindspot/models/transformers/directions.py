"""Directions in the residual stream, added at every token of every pass (``--steer FILE``)."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindspot.errors import ModelError, line
from blindspot.files import is_file
from blindspot.models.options import Scaled
from blindspot.models.residual import Write
from blindspot.models.transformers.checkpoint import tensor_shapes

if TYPE_CHECKING:
    from torch import Tensor

_NAME = re.compile(r"(?:layers?[._]?)?([0-9]{1,4})")
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Directions:
    """A safetensors file with a vector, (width,), for each of some layers.

    ``layers``: the layer of each tensor by its name: ``layer.3`` or ``3``. ``coefficient``: factor
    of all vectors, that of the command line times that of the file.
    """

    path: Path
    layers: Mapping[str, int]
    coefficient: float

    @property
    def name(self) -> str:
        """What messages call it."""
        return line(self.path, _SHOWN)


def open_directions(asked: Scaled) -> Directions:
    """Check everything that the file alone can show, without torch.

    Raises:
        ModelError: it is missing or unreadable, or holds other tensors; names it and the remedy.
    """
    path, name = asked.path, line(asked.path, _SHOWN)
    if not is_file(path):
        raise ModelError(
            f"--steer {name}: no such file; name a safetensors file (FILE or FILE@COEFFICIENT)"
        )
    shapes = tensor_shapes(f"--steer {name}", path)
    layers = {}
    for key, shape in shapes.items():
        match = _NAME.fullmatch(key)
        if match is None or len(shape) != 1:
            raise ModelError(
                f"--steer {name}: {line(key, 60)} {shape} is no vector of a layer; name tensors "
                "layer.0, layer.1 ... of shape (width,)"
            )
        layers[key] = int(match[1])
    if not layers or len(set(layers.values())) < len(layers):
        what = "two vectors for a layer" if layers else "no vectors"
        raise ModelError(f"--steer {name}: {what}; save one vector for each layer")
    return Directions(path, layers, asked.scale * _coefficient(name, path))


def _coefficient(name: str, path: Path) -> float:
    """The coefficient in the metadata of the file, 1 without one."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        stated = (file.metadata() or {}).get("coefficient", "1")
    try:
        found = float(stated)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ModelError(f"--steer {name}: coefficient {line(stated, 40)} is no finite number")
    return found


def attach(model: Any, directions: Directions, name: str) -> None:
    """Add the vectors to what the blocks return, from now on.

    A part of each block's own forward pass: whoever reads, overwrites or resumes the residual
    stream meets it as if the model had been trained so.

    Args:
        model: of transformers, where it runs.
        directions: for its layers.
        name: of the model.

    Raises:
        ModelError: the model has no such layer or another width, or a vector is not finite; or
            they change nothing.
    """
    from safetensors.torch import load_file

    from blindspot.models.transformers.blocks import Blocks

    try:
        blocks = Blocks(model, name)
    except ModelError:
        raise ModelError(
            f"--steer {directions.name}: the blocks of {name} were not found, so nothing can be "
            "added to its residual stream; omit it"
        ) from None
    vectors = load_file(directions.path)
    for key, layer in directions.layers.items():
        vector = vectors[key].float() * directions.coefficient
        if layer >= blocks.layers or len(vector) != blocks.width:
            raise ModelError(
                f"--steer {directions.name}: {key} has {len(vector)} numbers, but {name} has "
                f"{blocks.layers} layers {blocks.width} wide; it was made for another model"
            )
        if not bool(vector.isfinite().all()):
            raise ModelError(f"--steer {directions.name}: {key} contains NaN or infinity")
        vectors[key] = vector
    if not any(bool(vectors[key].any()) for key in directions.layers):
        raise ModelError(
            f"--steer {directions.name}: all vectors are zero, or the coefficient is; it changes "
            "nothing"
        )
    for key, layer in directions.layers.items():
        module = blocks.modules[layer]
        module.forward = _steered(module.forward, vectors[key])


def _steered(forward: Any, vector: Tensor) -> Any:
    """The forward pass of a block that adds a vector to all of its output."""
    from blindspot.models.transformers.blocks import hidden_of, with_hidden

    @functools.wraps(forward)
    def steered(*arguments: Any, **named: Any) -> Any:
        output = forward(*arguments, **named)
        hidden = hidden_of(output)
        return with_hidden(output, Write.ADD.onto(hidden, vector.to(hidden)))

    return steered
