"""Quantised safetensors checkpoints: what config.json states, and whether that is what computes.

No torch: a model that cannot be computed here is refused before anything is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from blindspot.errors import ModelError

#: Quantisations that transformers undoes on a CPU: the run would test another model.
_UNDONE = ("fbgemm_fp8", "fp8", "mxfp4", "mxfp8", "nvfp4")
#: Packages that compute a quantisation in transformers. Without them it raises an error, or drops
#: the quantisation.
_PACKAGES = {
    "aqlm": ("aqlm", "accelerate"),
    "auto-round": ("auto_round",),
    "awq": ("gptqmodel", "accelerate"),
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "compressed-tensors": ("compressed_tensors",),
    "eetq": ("kernels", "accelerate"),
    "gptq": ("optimum", "gptqmodel"),
    "hqq": ("hqq",),
    "quanto": ("optimum", "accelerate"),
    "quark": ("quark",),
    "torchao": ("torchao",),
}
#: Types of unpacked weights in safetensors files, by safetensors' names.
_PLAIN = ("BF16", "F16", "F32", "F64")
#: Share of all weights that may be of other types: buffers, such as the numbers of positions.
_FEW = 0.01
#: Bits of the types that hold several weights in one number.
_BITS = {"I32": 32, "U8": 8, "I8": 8}
#: Endings of tensors of packed weights; what lies beside them are scales and orders.
_WEIGHTS = ("qweight", ".weight", ".weight_packed")
_BESIDE = ("scales", "qzeros", "g_idx", "_scale", "absmax", "quant_map", "quant_state", "_shape")
_SHOWN = 100


def quantization(config: Mapping[str, Any]) -> str:
    """The quantisation that config.json states, by transformers' name; "" for none."""
    stated = _stated(config)
    if not stated:
        return ""
    found = stated.get("quant_method") if isinstance(stated, dict) else None
    return str(found or "bitsandbytes")[:_SHOWN]


def entries(config: Mapping[str, Any], tensor: str, size: int, kind: str) -> int:
    """Weights in a tensor of a file, of which packed types hold several in one number.

    Args:
        config: content of config.json.
        tensor: its name.
        size: numbers in it.
        kind: their type, by safetensors' name.
    """
    method = quantization(config)
    if not method:
        return size
    if any(part in tensor.rpartition(".")[2] for part in _BESIDE):
        return 0
    stated = _stated(config)
    told = stated if isinstance(stated, dict) else {}
    bits = 4 if told.get("load_in_4bit") else told.get("bits")
    if not isinstance(bits, int) or bits < 1 or kind not in _BITS or not tensor.endswith(_WEIGHTS):
        return size
    return size * max(1, _BITS[kind] // bits)


def check_quantization(name: str, config: Mapping[str, Any], types: Mapping[str, int]) -> None:
    """Refuse packed weights that config.json does not mention: they would be read as numbers.

    Args:
        name: of the model.
        config: content of config.json.
        types: entries of the weights by safetensors' types.

    Raises:
        ModelError: names the type.
    """
    packed = {kind: count for kind, count in types.items() if kind not in _PLAIN}
    if quantization(config) or sum(packed.values()) <= _FEW * sum(types.values()):
        return
    most = max(packed, key=packed.__getitem__)
    raise ModelError(
        f"{name}: its weights are {most} numbers, but config.json has no quantization_config; "
        "export the model again, or use the one that it was quantised from"
    )


def check_computed(name: str, config: Mapping[str, Any], device: str) -> None:
    """Refuse a quantised model that cannot be computed here, or would be as another model.

    Args:
        name: of the model.
        config: content of config.json.
        device: that runs it, "" if several share it.

    Raises:
        ModelError: names the quantisation and what it takes.
    """
    method = quantization(config)
    if method in _UNDONE and device == "cpu":
        raise ModelError(
            f"{name} is quantised ({method}), which a CPU cannot compute: it would run as "
            "float32; use an accelerator, or the model that it was quantised from"
        )
    missing = [package for package in _PACKAGES.get(method, ()) if find_spec(package) is None]
    if missing:
        raise ModelError(
            f"{name} is quantised ({method}), which takes the package {missing[0]} to compute; "
            "install it, or use the model that it was quantised from"
        )


def _stated(config: Mapping[str, Any]) -> Any:
    inner = config.get("text_config")
    return config.get("quantization_config") or (
        inner.get("quantization_config") if isinstance(inner, dict) else None
    )
