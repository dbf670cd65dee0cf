"""Which model to load and how: pure data, imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blindspot.errors import ModelError, has_secret, line

ModelArgument = str | int | float | bool | None

#: Arguments of ``from_pretrained`` that have a flag of their own, and that flag.
_FLAGS = {
    "pretrained": "--model",
    "pretrained_model_name_or_path": "--model",
    "revision": "--revision",
    "dtype": "--dtype",
    "torch_dtype": "--dtype",
    "device": "--device",
    "batch_size": "--batch-size",
    "trust_remote_code": "--trust-remote-code",
    "apply_chat_template": "--apply-chat-template",
    "batch_invariant": "--batch-invariant",
    "use_safetensors": "",
    "ignore_mismatched_sizes": "",
    "local_files_only": "",
    "subfolder": "",
    "variant": "",
    "gguf_file": "",
    "output_loading_info": "",
    "config": "",
    "state_dict": "",
    "cache_dir": "",
    "code_revision": "",
    "adapter_name": "",
    "adapter_kwargs": "",
    "quantization_config": "",
}
#: Names of arguments that are secrets; ``pad_token`` and the like are not.
_SECRET = re.compile(
    r"(?:^|_)(?:auth|auth_token|access_token|api_?key|credentials?|passw(?:or)?d|secret)(?:_|$)"
    r"|^(?:hf_|hub_|use_auth_)?token$",
    re.IGNORECASE,
)
#: What may be shown of a part that is refused: a name, as those of arguments are.
_SHOWN = re.compile("[A-Za-z][a-z_]{1,40}")
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True, slots=True)
class Scaled:
    """A file or directory that changes a model, and by how much: ``PATH`` or ``PATH@SCALE``."""

    path: Path
    scale: float = 1.0

    @classmethod
    def of(cls, text: str) -> Scaled:
        """As written; a path that exists is one, whatever its name.

        Raises:
            ModelError: the scale is not a finite number.
        """
        path, at, scale = text.rpartition("@")
        if not at or not path or Path(text).exists():
            return cls(Path(text).expanduser())
        try:
            found = float(scale)
        except ValueError:
            return cls(Path(text).expanduser())
        if not math.isfinite(found):
            raise ModelError(f"{line(text, 100)}: {scale} is no scale; use a finite number")
        return cls(Path(path).expanduser(), found)

    def __str__(self) -> str:
        return self.path.resolve().name + ("" if self.scale == 1 else f"@{self.scale:g}")


@dataclass(frozen=True)
class ModelOptions:
    """A model and how to run it; the fields are the flags of the command line.

    ``name``: local directory, hub id (``org/name``) or ``organism:NAME``. ``dtype``: ``auto``
    (float32 on a CPU, the checkpoint's own on an accelerator) or a type. ``device``: ``auto`` or
    a torch device. ``batch_size``: ``auto`` (by memory) or the most rows of a forward pass.
    ``batch_invariant``: in half precision, decide near-ties without their batch. ``model_args``:
    more arguments for transformers' ``from_pretrained``. ``adapter``: merged into the weights;
    ``steer``: vectors that are added to the residual stream.
    """

    name: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch_size: str | int = "auto"
    batch_invariant: bool = False
    apply_chat_template: bool = False
    seed: int = 0
    trust_remote_code: bool = False
    model_args: Mapping[str, ModelArgument] = field(default_factory=dict)
    adapter: Scaled | None = None
    steer: Scaled | None = None

    @property
    def title(self) -> str:
        """The name of the model with what changes it: ``org/name+adapter@0.5``."""
        return "+".join(map(str, filter(None, (self.name, self.adapter, self.steer))))

    def rows(self) -> int | None:
        """Most rows of a forward pass, None for ``auto``.

        Raises:
            ModelError: the batch size is neither ``auto`` nor a whole number above 0.
        """
        text = str(self.batch_size)
        if text == "auto":
            return None
        if not (text.isdecimal() and int(text) > 0):
            raise ModelError(f"--batch-size {text}: use auto or a whole number above 0")
        return int(text)


def parse_model_args(text: str) -> dict[str, ModelArgument]:
    """``"k=v,k=v"`` with values read as int, float, bool, None or else text.

    Raises:
        ModelError: a part has no ``=``, a name is not an identifier or comes twice, or the
            argument has a flag of its own.
    """
    arguments: dict[str, ModelArgument] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        _check_secret(name, value)
        if not equals or not name.isidentifier():
            shown = repr(name) if _SHOWN.fullmatch(name) else "a part"  # which may hold a secret
            raise ModelError(f"--model-args: {shown} is not of the form name=value")
        if name in arguments:
            raise ModelError(f"--model-args: {name} is given twice")
        arguments[name] = _typed(value)
    check_model_args(arguments)
    return arguments


def check_model_args(arguments: Mapping[str, ModelArgument]) -> None:
    """Refuse secrets, and arguments that have a flag: a setting must come from one place.

    Raises:
        ModelError: names the argument and its flag, never its value.
    """
    for name, value in arguments.items():
        _check_secret(name, str(value))
        if name in _FLAGS:
            flag = _FLAGS[name]
            remedy = f"use {flag}" if flag else "it is fixed; omit it"
            raise ModelError(f"--model-args: {name} cannot be given here; {remedy}")


def _check_secret(name: str, value: str) -> None:
    """Refuse secrets that reports, baselines and the answer store would record."""
    if has_secret(name) or has_secret(value):
        raise ModelError(
            "--model-args: a value looks like a secret, which reports and baselines would record; "
            "set HF_TOKEN, or BLINDSPOT_API_KEY for a server, in the environment instead"
        )
    if _SECRET.search(name):
        shown = name if _SHOWN.fullmatch(name) else "a part"
        raise ModelError(
            f"--model-args: {shown} is a secret, which reports and baselines would keep; set "
            "HF_TOKEN, or BLINDSPOT_API_KEY for a server, in the environment instead"
        )


def _typed(text: str) -> ModelArgument:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?", text):
        return float(text)
    return text
