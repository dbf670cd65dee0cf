"""Matrix products of large layers on a CPU.

torch multiplies float32 matrices by MKL. oneDNN, which every x86 build of torch has as well, is
faster where few rows meet weights that have to be fetched from memory, and nothing is packed or
copied for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import linear

#: Of rows (..., inputs), a weight (outputs, inputs) and a bias: (..., outputs).
Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]
#: Numbers of a weight from which oneDNN pays. Weights of width 768 from memory, on two cores of an
#: AMD EPYC (benchmarks/products.py): 53 rows in 0.7 of the time, 160 in 0.8, 320 in 0.9. By 256 x
#: 256 as fast or faster; by 96 x 96 half as fast, for a call takes 10 microseconds more.
_LARGE = 1 << 16


def product_for(weight: Tensor) -> Product:
    """The faster way to multiply by a weight: oneDNN's, or torch's own wherever that is unknown.

    Builds without MKL, for other processors, multiply in other ways, beside which nothing was
    measured.
    """
    known = (
        torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
    large = weight.numel() >= _LARGE and weight.is_contiguous()
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return _by_onednn if known and large and plain else linear


def quickened(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Layers of a model that oneDNN multiplies faster."""
    return [
        layer
        for layer in model.modules()
        if type(layer) is torch.nn.Linear
        and "forward" not in vars(layer)  # nobody else does something in its place
        and product_for(layer.weight) is not linear
    ]


@contextmanager
def quicker(layers: Sequence[torch.nn.Linear]) -> Iterator[None]:
    """Have oneDNN multiply in these layers within; their hooks run as ever."""
    for layer in layers:
        vars(layer)["forward"] = partial(_by_onednn, weight=layer.weight, bias=layer.bias)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]


def _by_onednn(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return product
