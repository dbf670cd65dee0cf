"""Have transformers load a GGUF file: quietly, from this file alone, and all of it.

transformers turns the header into a configuration and a tokenizer, and the blocks into numbers. It
leaves out settings and tensors that it has no place for; they are found here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blindspot.errors import ModelError
from blindspot.models.transformers.gguf_header import GgufHeader
from blindspot.models.transformers.loaded import replaced

#: The name under which transformers sees the file, in a directory of its own.
_ALONE = "model.gguf"
_REMEDY = "use the safetensors checkpoint of the model"
_SHOWN = 100
#: Settings that decide what a model computes, and transformers' names for them.
_SETTINGS = {
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "logit_scale": "logit_scale",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "attention.scale": "attention_multiplier",
}
#: A tensor by which the frequencies of rotary positions are divided (Llama 3.1 and later).
_ROPE_FACTORS = "rope_freqs.weight"
_TOKENS = "tokenizer.ggml.tokens"
#: Byte-level vocabularies whose text llama.cpp splits like that of GPT-2, as transformers does
#: with all that it does not know.
_SPLIT_LIKE_GPT2 = ("gpt-2", "mpt", "olmo", "phi-2")


@dataclass(frozen=True, slots=True)
class _Field:
    """A value as the reader of the gguf package presents it."""

    parts: list[Any]
    data: range
    types: list[int]


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    tensor_type: Any
    data: Any


class _Reader:
    """A `gguf.GGUFReader` as far as transformers uses one, without the texts of the vocabulary."""

    def __init__(self, header: GgufHeader) -> None:
        self.fields: dict[str, _Field] = {}
        for key, found in header.values.items():
            kinds, value = list(found.kind), found.value
            if value is None:  # only its length is used, and only that of the tokens
                length = found.length if key == _TOKENS else min(2, found.length)
                self.fields[key] = _Field([(0,)] * length, range(length), [4])
            elif isinstance(value, list):
                self.fields[key] = _Field([(v,) for v in value], range(len(value)), kinds)
            else:
                part = value.encode() if isinstance(value, str) else (value,)
                self.fields[key] = _Field([part], range(1), kinds)
        self._header = header

    @property
    def tensors(self) -> list[_Tensor]:
        """The tensors; bytes of blocks as ``(..., bytes of a row)`` uint8."""
        import gguf
        import numpy as np

        raw = np.memmap(self._header.path, np.uint8, "r")
        types, made = {"F32": np.float32, "F16": np.float16}, []
        for one in self._header.tensors:
            data = raw[one.start : one.start + one.bytes]
            if one.kind in types:
                data = data.view(types[one.kind]).reshape(one.shape)
            else:
                data = data.reshape(*one.shape[:-1], -1)
            made.append(_Tensor(one.name, gguf.GGMLQuantizationType[one.kind], data))
        return made


@contextmanager
def source(header: GgufHeader) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Within, have transformers read this file and no other.

    Yields:
        arguments for ``from_pretrained``, and a set that gets the names of the tensors that a model
        has taken, without their endings.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils as module

    taken: set[str] = set()
    real = module.get_gguf_hf_weights_map

    def noted(*arguments: Any, **named: Any) -> dict[str, str]:
        found: dict[str, str] = real(*arguments, **named)
        taken.update(map(_stem, found))
        return found

    quiet = {"get_gguf_hf_weights_map": noted, "tqdm": lambda items, **_: items}
    with (
        tempfile.TemporaryDirectory() as directory,
        replaced(gguf, {"GGUFReader": lambda _: _Reader(header)}),
        replaced(module, quiet),
    ):
        alone = Path(directory) / _ALONE
        try:
            alone.symlink_to(header.path.resolve())
        except OSError:  # of systems where not everybody may
            alone.hardlink_to(header.path.resolve())
        yield {"pretrained_model_name_or_path": directory, "gguf_file": _ALONE}, taken


def check_known(name: str, header: GgufHeader) -> None:
    """Check that transformers has code for the architecture and for the kind of vocabulary.

    Raises:
        ModelError: names the one that it does not know.
    """
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_TOKENIZER_TYPES

    release = f"transformers {version('transformers')}"
    if _settings_read(header) is None:
        raise ModelError(
            f"{name}: {release} reads no GGUF file of a {header.architecture[:_SHOWN]} model; "
            f"{_REMEDY}"
        )
    vocabulary = str(header.value("tokenizer.ggml.model"))
    if vocabulary not in GGUF_TOKENIZER_TYPES:
        raise ModelError(
            f"{name}: {release} cannot rebuild a vocabulary of kind {vocabulary[:_SHOWN]} from a "
            f"GGUF file; {_REMEDY}"
        )


def check_settings(name: str, header: GgufHeader, config: Any) -> None:
    """Check that transformers has read the settings that decide what the model answers.

    Args:
        name: of the model.
        header: of its file.
        config: what transformers made of it.

    Raises:
        ModelError: names the setting.
    """
    read, text = _settings_read(header) or set(), config.get_text_config()
    for key, found in header.values.items():
        prefix, _, setting = key.partition(".")
        if prefix != header.architecture or setting in read:
            continue
        lost = setting in _SETTINGS and getattr(text, _SETTINGS[setting], None) != found.value
        if setting == "rope.scaling.factor":
            kind = header.value(f"{prefix}.rope.scaling.type")
            lost = kind != "none" and found.value not in {0.0, 1.0}
        if lost:
            raise ModelError(
                f"{name}: its header sets {key} to {found.value}, which transformers "
                f"{version('transformers')} does not read; {_REMEDY}"
            )


def notes(header: GgufHeader) -> list[str]:
    """What readers of the answers should know of the vocabulary: how its texts are split."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    stated = header.value("tokenizer.ggml.pre")
    known = {*GGUF_PRE_TOKENIZER_SPLITS, *_SPLIT_LIKE_GPT2}
    if header.value("tokenizer.ggml.model") != "gpt2" or stated in known:
        return []
    named = f"the pre-tokenizer {str(stated)[:_SHOWN]}" if stated else "no pre-tokenizer"
    return [
        f"its header names {named}, which transformers {version('transformers')} does not know: "
        "text is split as for GPT-2, and some tokens, such as those of numbers, may differ"
    ]


def complete(header: GgufHeader, model: Any, taken: set[str]) -> list[str]:
    """Set what transformers leaves out of a loaded model; returns names of unused tensors."""
    import torch

    if not taken:
        return []
    unused = [one.name for one in header.tensors if _stem(one.name) not in taken]
    if _ROPE_FACTORS in unused:
        (found,) = (one for one in _Reader(header).tensors if one.name == _ROPE_FACTORS)
        turning = [m for m in model.modules() if getattr(m, "inv_freq", None) is not None]
        fits = all(module.inv_freq.shape == found.data.shape for module in turning)
        if found.tensor_type.name == "F32" and turning and fits:
            factors = torch.from_numpy(found.data.copy())
            for module in turning:
                module.inv_freq.div_(factors.to(module.inv_freq.device))
            unused.remove(_ROPE_FACTORS)
    return unused


def _stem(tensor: str) -> str:
    return tensor.removesuffix(".weight")


def _settings_read(header: GgufHeader) -> set[str] | None:
    """Settings of this architecture that transformers reads, None if it does not know it."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
    from transformers.integrations.gguf import GGUF_CONFIG_ARCHS

    if header.architecture in GGUF_CONFIG_ARCHS:
        return {*_SETTINGS, "rope.scaling.factor"}  # a newer way, which reads all
    plain = str.maketrans("", "", "-_")
    for known, settings in GGUF_CONFIG_MAPPING.items():
        if known.translate(plain) == header.architecture.translate(plain):
            return set(settings)
    return None
