"""Large layers are multiplied by oneDNN, to the same numbers, and only where that is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from blindspot.models.transformers import products
from blindspot.models.transformers.engine import Engine
from blindspot.models.transformers.products import product_for, quickened, quicker
from blindspot.models.transformers.selfcheck import check
from tests.unit import tiny_models

measured = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="torch is not built for x86"
)
LARGE = torch.nn.Linear(320, 256)


@pytest.fixture
def every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of tiny models count as large."""
    monkeypatch.setattr(products, "_LARGE", 0)


@measured
@pytest.mark.parametrize(
    "shape", [(320,), (1, 320), (0, 320), (1, 0, 320), (53, 320), (3, 67, 320)]
)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "none"])
@torch.inference_mode()
def test_products_are_those_of_double_precision(shape: tuple[int, ...], bias: bool) -> None:
    """To rounding, for any number of rows and also for some outputs of a layer only."""
    layer = torch.nn.Linear(320, 512, bias=bias)
    rows = torch.randn(shape)
    product = product_for(layer.weight)
    assert product is not torch.nn.functional.linear
    for part in (slice(None), slice(256, 512)):
        weight, offset = layer.weight[part], layer.bias[part] if bias else None
        found = product(rows, weight, offset)
        exact = torch.nn.functional.linear(
            rows.double(), weight.double(), None if offset is None else offset.double()
        )
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(96, 256),
        torch.zeros(512, 512, dtype=torch.bfloat16),
        torch.zeros(512, 512, dtype=torch.float64),
        torch.zeros(512, 512).T[:, ::2],
        torch.zeros(512, 512, device="meta"),
    ],
    ids=["small", "half", "double", "strided", "elsewhere"],
)
def test_other_weights_are_left_to_torch(weight: Tensor) -> None:
    """Only float32 on the CPU is multiplied otherwise, and only where it pays."""
    assert product_for(weight) is torch.nn.functional.linear


@measured
def test_other_processors_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MKL torch multiplies in another way, beside which nothing was measured."""
    assert product_for(LARGE.weight) is not torch.nn.functional.linear
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    assert product_for(LARGE.weight) is torch.nn.functional.linear


class Otherwise(torch.nn.Linear):
    """A layer of somebody's own."""


@measured
def test_layers_that_others_changed_are_left_alone() -> None:
    """Neither subclasses, nor layers whose pass somebody replaced, as offloading does."""
    replaced = torch.nn.Linear(320, 256)
    replaced.forward = lambda rows: rows  # type: ignore[method-assign]
    model = torch.nn.ModuleList([LARGE, Otherwise(320, 256), replaced])
    assert quickened(model) == [LARGE]


@measured
@torch.inference_mode()
def test_layers_are_multiplied_otherwise_within_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks of a layer run as ever, and it is itself again behind, also after an error."""
    multiplied = []
    monkeypatch.setattr(
        products, "_by_onednn", lambda rows, weight, bias: multiplied.append(rows) or rows
    )
    hooked: list[Any] = []
    hook = LARGE.register_forward_hook(lambda *_: hooked.append(1))
    rows = torch.randn(4, 320)
    before = LARGE(rows)
    with pytest.raises(RuntimeError, match="memory"), quicker([LARGE]):  # noqa: PT012
        assert LARGE(rows) is rows
        raise RuntimeError("out of memory")
    assert torch.equal(LARGE(rows), before)
    hook.remove()
    assert (len(multiplied), len(hooked)) == (1, 3)


@measured
@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gpt_neox", "gemma3", "mixtral"])
@pytest.mark.usefixtures("every_layer")
def test_packed_passes_multiply_in_the_faster_way(architecture: str) -> None:
    """It is used where a packed pass that uses it has the numbers of a plain one that does not."""
    engine = Engine(tiny_models.model(architecture, **_WITHOUT_WINDOW), "tiny")
    check(engine, packing=True)
    assert engine.packs
    assert engine.shortcuts.head is not None
    assert engine.shortcuts.quickened


#: The windows of tiny models are shorter than what is tried.
_WITHOUT_WINDOW = {"sliding_window": 64}


def _wrong(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.nn.functional.linear(rows, weight, bias) * 1.01


def _refused(*_: Any) -> Tensor:
    raise RuntimeError("could not create a primitive")


@measured
@pytest.mark.parametrize("broken", [_wrong, _refused])
@pytest.mark.usefixtures("every_layer")
def test_a_wrong_product_is_not_used(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    """Where it is inexact or fails, passes are packed without it."""
    monkeypatch.setattr(products, "_by_onednn", broken)
    engine = Engine(tiny_models.model(), "tiny")
    check(engine, packing=True)
    assert engine.packs
    assert not engine.shortcuts.quickened
