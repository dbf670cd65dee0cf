"""Adapters in peft's format: plain LoRA is merged into its base here, others by peft itself.

Plain LoRA is the same with and without peft installed: W + scale * alpha / rank * B A, computed in
float32 and rounded once to the type of W.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from blindspot.errors import ModelError, line
from blindspot.files import is_directory, is_file
from blindspot.models.options import Scaled
from blindspot.models.transformers.checkpoint import read_json, tensor_shapes

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

#: Prefix of the names of tensors: peft's two wrappers around the model.
_WRAPPED = "base_model.model."
#: Fields of adapter_config.json that say how plain LoRA was made, or are read here.
_PLAIN = frozenset(
    {
        "peft_type",
        "task_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "r",
        "lora_alpha",
        "rank_pattern",
        "alpha_pattern",
        "use_rslora",
        "target_modules",
        "exclude_modules",
        "layers_to_transform",
        "layers_pattern",
        "modules_to_save",
        "lora_dropout",
        "fan_in_fan_out",
        "runtime_config",
        "megatron_core",
        "eva_config",
        "qalora_group_size",
        "init_lora_weights",
    }
)
#: Values that other fields have in plain LoRA.
_NEUTRAL: tuple[object, ...] = (None, False, "", {}, [], "none")
#: Ways to begin that leave the base as it is; the others store a part of it in the adapter.
_BEGINNINGS: tuple[object, ...] = (None, True, False, "gaussian", "orthogonal", "eva")
#: Rank and alpha, at most: no matrix is as wide.
_LARGEST = 2**31
_FACTOR = re.compile(r"(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?")
#: A pattern that takes no time to match: the name of modules, with one repetition or one choice at
#: most. Others can take for ever, and peft writes none.
_ONE = r"[\w-]|\\?[.-]|\\d|\[(?:0-9|[0-9]+)\]"
_PATTERN = re.compile(rf"\^?(?:{_ONE})*(?:(?:{_ONE})[*+]|\([\w.|-]+\))?(?:{_ONE})*\$?")
_LONGEST = 300
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Adapter:
    """A directory with a readable ``adapter_config.json`` and a whole safetensors file.

    ``shapes``: of its tensors by name. ``foreign``: the first field that plain LoRA does not have,
    as ``name value``; "" for plain LoRA.
    """

    directory: Path
    scale: float
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    foreign: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return line(self.directory, _SHOWN)

    @property
    def files(self) -> tuple[Path, Path]:
        """All that is read of it."""
        return self.directory / CONFIG, self.directory / WEIGHTS

    def notes(self, base: str) -> list[str]:
        """A note on an adapter that says it was made for another base."""
        stated = str(self.config.get("base_model_name_or_path") or "")
        said, here = (_last(name) for name in (stated, base))
        if not stated or said == here:
            return []
        return [f"{self.name} says that it was made for {line(stated, _SHOWN)}, not for {base}"]


def open_adapter(asked: Scaled) -> Adapter:
    """Check everything that the files alone can show, without torch.

    Raises:
        ModelError: a file is missing or unreadable, or the adapter needs peft and it is not
            installed; names the file or the field.
    """
    directory, name = asked.path, line(asked.path, _SHOWN)
    if is_file(directory):
        raise ModelError(f"--adapter {name} is a file; name the directory of the adapter")
    if not is_directory(directory):
        raise ModelError(f"--adapter {name}: no such directory; check the path (DIR or DIR@SCALE)")
    if not is_file(directory / CONFIG):
        raise ModelError(f"--adapter {name} has no {CONFIG}; name a directory that peft saved")
    config = read_json(f"--adapter {name}", directory / CONFIG)
    if not is_file(directory / WEIGHTS):
        pickled = sorted(path.name for path in directory.glob("adapter_model.*"))
        raise ModelError(
            f"--adapter {name} has only {line(pickled[0])}, which can run code when read; save it "
            "as safetensors (save_pretrained of a current peft)"
            if pickled
            else f"--adapter {name} has no {WEIGHTS}; copy it, or save the adapter again"
        )
    shapes = tensor_shapes(f"--adapter {name}", directory / WEIGHTS)
    if not shapes:
        raise ModelError(f"--adapter {name}: {WEIGHTS} has no tensors; save the adapter again")
    for field in ("rank_pattern", "alpha_pattern"):
        _check_patterns(name, field, config.get(field))
    adapter = Adapter(directory, asked.scale, config, shapes, _foreign(config))
    if adapter.foreign and find_spec("peft") is None:
        raise ModelError(
            f"--adapter {name} is more than plain LoRA ({adapter.foreign} in {CONFIG}); install "
            "peft, or merge it into its base and save the result"
        )
    if adapter.foreign and asked.scale != 1:
        raise ModelError(
            f"--adapter {name}@{asked.scale:g}: only plain LoRA can be scaled, and this has "
            f"{adapter.foreign} in {CONFIG}; omit @{asked.scale:g}"
        )
    if not adapter.foreign:
        _Plain(adapter).check()
    return adapter


def merge(model: Any, adapter: Adapter) -> Any:
    """The model with the adapter in its weights; ``model`` itself, changed, for plain LoRA.

    Args:
        model: of transformers, its weights in memory.
        adapter: of this model.

    Raises:
        ModelError: it does not fit the model, is not finite, or changes nothing.
    """
    if not adapter.foreign:
        _Plain(adapter).merge(model)
        return model
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(model, str(adapter.directory))
    if not hasattr(wrapped.base_model, "merge_and_unload"):
        raise ModelError(
            f"--adapter {adapter.name} cannot be merged into weights ({adapter.foreign} in "
            f"{CONFIG}); blindspot judges adapters that can"
        )
    return wrapped.merge_and_unload(safe_merge=True)


class _Plain:
    """Plain LoRA: factors A (rank, in) and B (out, rank) of modules, and whole tensors."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._config = adapter.config

    @cached_property
    def _factors(self) -> dict[str, dict[str, str]]:
        """The names of tensors A and B by module."""
        found: dict[str, dict[str, str]] = {}
        for name in self._adapter.shapes:
            if match := _FACTOR.fullmatch(_unwrapped(name)):
                found.setdefault(match[1], {})[match[2]] = name
        return found

    @cached_property
    def _whole(self) -> dict[str, str]:
        """The names of tensors that replace one of the model, by the name of that one."""
        return {
            _unwrapped(name).replace(".base_layer.", "."): name
            for name in self._adapter.shapes
            if not _FACTOR.fullmatch(_unwrapped(name))
        }

    def check(self) -> None:
        """Check factors, ranks and names against adapter_config.json.

        Raises:
            ModelError: names the tensor or the field.
        """
        saved = self._config.get("modules_to_save") or []
        if not isinstance(saved, list):
            raise self._fault(f"modules_to_save is no list in {CONFIG}")
        for target, name in self._whole.items():
            module = target.rpartition(".")[0]
            embedded = ".base_layer." in name or _last_part(module) in ("embed_tokens", "lm_head")
            if not embedded and not any(_is_named(module, each) for each in saved):
                raise self._fault(f"the tensor {name} belongs to no LoRA and no modules_to_save")
        for module, pair in self._factors.items():
            if len(module) > _LONGEST:
                raise self._fault(f"the name of the module {line(module, 60)} is too long")
            if pair.keys() != {"A", "B"}:
                raise self._fault(f"{module} has only one of lora_A and lora_B")
            first, second = (self._adapter.shapes[pair[part]] for part in "AB")
            if len(first) != 2 or len(second) != 2 or first[0] != second[1]:
                raise self._fault(f"lora_A {first} and lora_B {second} of {module} do not fit")
            rank, _ = self._scaling(module)
            if first[0] != rank:
                raise self._fault(f"lora_A of {module} has rank {first[0]}, {CONFIG} says {rank}")

    def _scaling(self, module: str) -> tuple[int, float]:
        """Rank, and the factor of B A, of a module."""
        found = []
        for field, pattern in (("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")):
            value = _matched(self._config.get(pattern) or {}, module, self._config.get(field))
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._fault(f"{field} of {module} is no number in {CONFIG}")
            found.append(value)
        rank, alpha = found
        if not 1 <= rank <= _LARGEST or rank != int(rank) or not abs(alpha) <= _LARGEST:
            said = f"r {line(rank, 20)} and lora_alpha {line(alpha, 20)} of {module}"
            raise self._fault(f"{said} are out of range")
        return int(rank), alpha / (math.sqrt(rank) if self._config.get("use_rslora") else rank)

    def merge(self, model: Any) -> None:
        """As the function of this name."""
        import torch
        from safetensors.torch import load_file

        tensors = load_file(self._adapter.directory / WEIGHTS)
        for name, tensor in tensors.items():
            if not bool(torch.isfinite(tensor.float()).all()):
                raise self._fault(f"{name} contains NaN or infinity")
        modules = dict(model.named_modules())
        touched = [*self._factors, *(name.rpartition(".")[0] for name in self._whole)]
        if missing := [module for module in touched if module not in modules]:
            raise self._fault(f"the model has no {missing[0]}: it was made for another one")
        _untie(model, [modules[module] for module in touched])
        changed = False
        for target, name in self._whole.items():
            module, _, part = target.rpartition(".")
            changed |= self._replace(modules[module], module, part, tensors[name].float())
        for module, pair in self._factors.items():
            first, second = (tensors[pair[part]].float() for part in "AB")
            delta = second @ first * (self._scaling(module)[1] * self._adapter.scale)
            if _is_transposed(modules[module]):
                delta = delta.T
            weight = self._weight(modules[module], module, "weight", delta)
            new = weight.float() + delta.to(weight.device)
            changed |= self._replace(modules[module], module, "weight", new)
        if not changed:
            raise ModelError(
                f"--adapter {self._adapter.name}@{self._adapter.scale:g} changes no weight of its "
                "base; it was not trained, its scale is 0, or the wrong directory is named"
            )

    def _weight(self, module: nn.Module, name: str, part: str, other: Tensor) -> Tensor:
        """A tensor of the model, of the shape of another one."""
        weight = getattr(module, part, None)
        if weight is None or not weight.is_floating_point() or weight.is_meta:
            raise self._fault(f"{name}.{part} of the model is no whole matrix of floats")
        if weight.shape != other.shape:
            told = f"{name} is {tuple(other.shape)}, of the model {tuple(weight.shape)}"
            if _last_part(name) in ("embed_tokens", "lm_head"):
                raise self._fault(f"another vocabulary: {told}; merge it and save the result")
            raise self._fault(f"{told}: it was made for another model")
        return weight  # type: ignore[no-any-return]

    def _replace(self, module: nn.Module, name: str, part: str, new: Tensor) -> bool:
        """Overwrite a tensor of the model; whether that changes it."""
        weight = self._weight(module, name, part, new)
        rounded = new.to(weight)
        if not bool(rounded.isfinite().all()):
            raise self._fault(f"{name}.{part} overflows when it is merged")
        differs = not bool((rounded == weight).all())
        weight.data.copy_(rounded)
        return differs

    def _fault(self, what: str) -> ModelError:
        return ModelError(f"--adapter {self._adapter.name}: {line(what, 300)}")


def _foreign(config: Mapping[str, Any]) -> str:
    """The first field that plain LoRA does not have."""
    if config.get("peft_type") != "LORA":
        return f"peft_type {line(config.get('peft_type'), 40)}"
    if config.get("init_lora_weights") not in _BEGINNINGS:
        return f"init_lora_weights {line(config['init_lora_weights'], 40)}"
    return next(
        (
            f"{line(field, 40)} {line(value, 40)}"
            for field, value in config.items()
            if field not in _PLAIN and value not in _NEUTRAL
        ),
        "",
    )


def _check_patterns(name: str, field: str, patterns: Any) -> None:
    """Refuse names of modules that are regular expressions of another kind than peft writes.

    Raises:
        ModelError: names the pattern.
    """
    if patterns and not isinstance(patterns, dict):
        raise ModelError(f"--adapter {name}: {field} in {CONFIG} is no table of modules")
    for key in patterns or ():
        if len(key) > _LONGEST or not _PATTERN.fullmatch(key):
            raise ModelError(
                f"--adapter {name}: {field} in {CONFIG} has {line(key, 60)}, which is more than "
                "the name of modules with one repetition or one choice; write their names"
            )


def _matched(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value of the first pattern that matches the end of a module's name, as in peft."""
    for key, value in patterns.items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def _is_named(module: str, name: Any) -> bool:
    """Whether a module, or one that contains it, has this name."""
    return f".{name}." in f".{module}."


def _is_transposed(module: nn.Module) -> bool:
    """Whether a module keeps its weight as (in, out)."""
    from torch.nn import Embedding
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, (Conv1D, Embedding))


def _untie(model: Any, touched: Iterable[nn.Module]) -> None:
    """Give the output layer a weight of its own if an adapter changes it or the embedding."""
    from torch import nn

    inner, outer = model.get_input_embeddings(), model.get_output_embeddings()
    tied = outer is not None and outer.weight is inner.weight
    if tied and any(module is inner or module is outer for module in touched):
        outer.weight = nn.Parameter(outer.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _unwrapped(name: str) -> str:
    return name.removeprefix(_WRAPPED)


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _last(name: str) -> str:
    """The last part of the name of a model, however it is written."""
    return PurePath(name.rpartition(":")[2].rstrip("/")).name.casefold()
