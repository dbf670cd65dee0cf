"""Refused checkpoints: transformers would load files that are not digested, or nonsense.

The digests of a model are those of ``config.json``, of ``model.safetensors`` (or the files of its
index) and of the tokenizer's usual files. Several settings point transformers elsewhere; each has
its error message here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blindspot.errors import ModelError

#: Keys of config.json that make transformers read other files than the usual ones.
_ELSEWHERE = ("transformers_weights", "configuration_files")
#: A class in a Python file of the model's own directory.
_OWN_CODE = re.compile(r"\w+(\.\w+)+")
#: Keys of config.json that name an attention kernel.
_KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_WIDTHS = ("hidden_size", "n_embd", "d_model")
#: Sizes of matrices whose other side is the width of the model.
_SIZES = (
    "vocab_size",
    "intermediate_size",
    "moe_intermediate_size",
    "ffn_dim",
    "n_inner",
    "d_ff",
    "n_positions",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
)
#: Largest ratio of a matrix by config.json to all numbers in the files, which may be packed.
_IMPLAUSIBLE = 16
#: Characters of a name that are shown.
_SHOWN = 100


def check_places(name: str, directory: Path, config: dict[str, Any], settings: Any) -> None:
    """Refuse a directory from which transformers would load files that are not digested.

    Args:
        name: of the model.
        directory: of the model.
        config: content of config.json.
        settings: content of tokenizer_config.json.

    Raises:
        ModelError: names the file and the remedy.
    """
    if (directory / "adapter_config.json").exists():
        raise ModelError(
            f"{name} holds a model and an adapter (adapter_config.json): merge the adapter into "
            "the model, or move it to a directory of its own"
        )
    for path in directory.glob("shard-*-model-*-of-*.safetensors"):
        raise ModelError(
            f"{name} holds a distributed checkpoint ({path.name[:_SHOWN]}); convert it with "
            "save_pretrained"
        )
    for key, value in _entries(config):
        if key in _ELSEWHERE:
            raise ModelError(
                f"{name}: config.json names other files to load ({key}); give them their usual "
                "names (model.safetensors, config.json) and remove the entry"
            )
        if key in _KERNELS and "/" in str(value):
            raise ModelError(
                f"{name}: config.json asks for an attention kernel from elsewhere ({key}); remove "
                "the entry, or choose it with --model-args attn_implementation=NAME"
            )
    if settings.get("fast_tokenizer_files", ["tokenizer.json"]) != ["tokenizer.json"]:
        raise ModelError(
            f"{name}: tokenizer_config.json names tokenizers by version (fast_tokenizer_files); "
            "keep one as tokenizer.json and remove the entry"
        )


def check_pulled(name: str, path: Path) -> None:
    """Refuse a file of weights that Git LFS has not fetched.

    Raises:
        ModelError: names the file.
    """
    with path.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs"):
            raise ModelError(f"{name}: {path.name} is a Git LFS pointer; run git lfs pull")


def check_code(name: str, files: Mapping[str, Any]) -> None:
    """Refuse a model whose own code is elsewhere: it could change unnoticed.

    Args:
        name: of the model.
        files: the content of its JSON files by name.

    Raises:
        ModelError: names the file that says so.
    """
    for file, content in files.items():
        for key, value in _entries(content):
            if key == "auto_map" and not all(map(_OWN_CODE.fullmatch, _texts(value))):
                raise ModelError(
                    f"{name}: {file} takes code from elsewhere (auto_map); copy its files into the "
                    "directory and name them as module.Class"
                )


def check_numbers(name: str, config: dict[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuse sizes that the weights cannot have, before anything is built from them.

    Args:
        name: of the model.
        config: content of config.json.
        sizes: entries of each tensor in its files.

    Raises:
        ModelError: names the entry of config.json.
    """
    parameters, inner = sum(sizes.values()), config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        numbers = {key: value for key, value in place.items() if type(value) is int}
        width = max((numbers.get(key, 1) for key in _WIDTHS), default=1)
        faults = [
            *(key for key in _LAYERS if numbers.get(key, 0) > len(sizes)),
            *(key for key in _WIDTHS if numbers.get(key, 0) > parameters),
            *(key for key in _SIZES if numbers.get(key, 0) * width > _IMPLAUSIBLE * parameters),
        ]
        if faults:
            raise ModelError(
                f"{name}: config.json has {faults[0]} {str(numbers[faults[0]])[:_SHOWN]}, but the "
                f"weights are {len(sizes)} tensors of {parameters} numbers; export the model again"
            )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All entries of a JSON object, including nested ones."""
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _entries(inner)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
